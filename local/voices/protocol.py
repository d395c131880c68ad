"""What the lists of VOiCES 2019 say together: which recordings are enrolled and tested, who speaks in them, and whether the keys agree."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from local.voices.lists import Located, read_rows
from local.voices.names import SHAPE, Recording, parse_name, stem_of, utterance_id
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import Lists
from utils.errors import UserError


@dataclass
class Listed:
    """The files that the lists name.

    Attributes
    ----------
    recordings : dict of str to Recording
        File name without its end -> what is known of it.
    utterances : dict of str to str
        The same -> utterance.
    models : dict of str to list of str
        Enrolment -> utterances.
    """

    recordings: dict[str, Recording]
    utterances: dict[str, str]
    models: dict[str, list[str]]


def read_listed(found: Located, part: str) -> Listed:
    """What enrolment and test list name.

    Parameters
    ----------
    found : Located
        Where they are.
    part : str
        ``dev`` or ``eval``.

    Raises
    ------
    UserError
        A list is malformed, names a file that says nothing of itself, or a recording twice.
    """
    names = (
        {stem_of(stem): stem_of(name) for stem, name in read_rows(found.lists["map"], 2, more=True)}
        if "map" in found.lists
        else {}
    )
    listed = Listed({}, {}, {})
    enrolments = read_rows(found.lists["enrol"], 2)
    tests = [row[0] for row in read_rows(found.lists["test"], 1)]
    for kind, sides in (("enrol", [path for _, path in enrolments]), ("test", tests)):
        stems = [stem_of(path) for path in sides]
        again = next(
            (stem for stem, number in Counter(stems).items() if number > 1 and kind == "test"), None
        )
        if again:
            raise UserError(
                f"{found.lists[kind]}: '{again}' is there twice, expected each file once; fetch the list again"
            )
        for stem, path in zip(stems, sides, strict=True):
            recording = parse_name(names.get(stem, stem))
            if recording is None:
                raise UserError(_unknown_name(found, part, kind, path))
            folder = path.rpartition("/")[0].rpartition("/")[2]
            if re.fullmatch(r"sp\d+", folder) and folder != recording.speaker:
                raise UserError(
                    f"{found.lists[kind]}: '{path}' lies in the folder of {folder} and names {recording.speaker}; fetch the list again"
                )
            listed.recordings[stem] = recording
            listed.utterances[stem] = utterance_id(stem, recording.speaker)
    for model, path in enrolments:
        listed.models.setdefault(model, []).append(listed.utterances[stem_of(path)])
    return listed


def _unknown_name(found: Located, part: str, kind: str, path: str) -> str:
    """Why a listed file cannot be used, in one line."""
    if part == "eval" and "map" not in found.lists:
        return (
            f"{found.lists[kind]}: '{path}' is anonymous, and no VOiCES_challenge_2019_eval.SID.map is there to say who speaks where; "
            "it came with the keys, in VOiCES_challenge_2019_post-eval-release: put it below the same folder"
        )
    where = (
        f"has no line in {found.lists['map']}"
        if "map" in found.lists
        else "is no name of the corpus"
    )
    return f"{found.lists[kind]}: '{path}' {where}, expected {SHAPE}; is it a list of another set?"


def refuse_wrong_keys(keys: Path, trials: Trials, listed: Listed) -> None:
    """Hold the keys against the speakers that the names tell.

    Parameters
    ----------
    keys : path
        For messages.
    trials : Trials
        From it.
    listed : Listed
        Who speaks.

    Raises
    ------
    UserError
        A line says tgt of two speakers, or imp of one, or tests a recording that its enrolment has heard.
    """
    speakers = {
        utterance: listed.recordings[stem].speaker for stem, utterance in listed.utterances.items()
    }
    enrolled = {model: speakers[utterances[0]] for model, utterances in listed.models.items()}
    if trials.kinds is not None:
        rows = zip(trials.enrol, trials.test, trials.kinds, strict=True)
        for number, (model, test, kind) in enumerate(rows, 1):
            if (enrolled[model] == speakers[test]) != (kind == "target"):
                raise UserError(
                    f"{keys}: trial {number}, '{trials[number - 1]}', is of {enrolled[model]} "
                    f"and {speakers[test]}; keys and lists are of different versions: "
                    "fetch both again"
                )
    heard = Lists(trials, {}, listed.models).inside_model()
    if len(heard):
        raise UserError(
            f"{keys}: trial {heard[0] + 1}, '{trials[int(heard[0])]}', tests a recording that its enrolment has heard; keys and lists are "
            "of different versions: fetch both again"
        )
