"""The lists of VOiCES 2019 together: enrolled and tested recordings, their speakers, the keys."""

import re
from dataclasses import dataclass
from pathlib import Path

from local.voices.lists import Located, read_rows
from local.voices.names import SHAPE, Recording, parse_name, recording_stem, utterance_id
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import Lists
from utils.errors import UserError


@dataclass
class Listed:
    """The files of the lists: stem -> recording, stem -> utterance id, model -> utterance ids."""

    recordings: dict[str, Recording]
    utterances: dict[str, str]
    models: dict[str, list[str]]


def read_listed(located: Located, part: str) -> Listed:
    """The files of the enrolment and test lists of ``dev`` or ``eval``.

    UserError: a list is malformed, has a file of an unknown name, or a test file twice.
    """
    real_names = {}
    if "map" in located.lists:
        for stem, name in read_rows(located.lists["map"], 2, more=True):
            real_names[recording_stem(stem)] = recording_stem(name)
    listed = Listed({}, {}, {})
    enrolments = read_rows(located.lists["enrol"], 2)
    for _, path in enrolments:
        _add_file(listed, located, part, "enrol", path, real_names)
    tested = set()
    for (path,) in read_rows(located.lists["test"], 1):
        stem = recording_stem(path)
        if stem in tested:
            raise UserError(
                f"{located.lists['test']}: '{stem}' comes twice, expected each file once; fetch "
                "the list again"
            )
        tested.add(stem)
        _add_file(listed, located, part, "test", path, real_names)
    for model, path in enrolments:
        listed.models.setdefault(model, []).append(listed.utterances[recording_stem(path)])
    return listed


def _add_file(
    listed: Listed,
    located: Located,
    part: str,
    kind: str,
    path: str,
    real_names: dict[str, str],
) -> None:
    """Add a file of a list (enrol or test) to the recordings and utterances."""
    stem = recording_stem(path)
    recording = parse_name(real_names.get(stem, stem))
    if recording is None:
        raise UserError(_explain_unknown_name(located, part, kind, path))
    folder = path.rpartition("/")[0].rpartition("/")[2]
    if re.fullmatch(r"sp\d+", folder) and folder != recording.speaker:
        raise UserError(
            f"{located.lists[kind]}: '{path}' is in the folder of {folder}, expected that of "
            f"{recording.speaker}; fetch the list again"
        )
    listed.recordings[stem] = recording
    listed.utterances[stem] = utterance_id(stem, recording.speaker)


def _explain_unknown_name(located: Located, part: str, kind: str, path: str) -> str:
    if part == "eval" and "map" not in located.lists:
        return (
            f"{located.lists[kind]}: '{path}' is anonymous, expected "
            "VOiCES_challenge_2019_eval.SID.map with its speaker; the map came with the keys, in "
            "VOiCES_challenge_2019_post-eval-release: put it below the same folder"
        )
    fault = "is not a name of the corpus"
    if "map" in located.lists:
        fault = f"has no line in {located.lists['map']}"
    return (
        f"{located.lists[kind]}: '{path}' {fault}, expected {SHAPE}; is it a list of another set?"
    )


def refuse_wrong_keys(keys: Path, trials: Trials, listed: Listed) -> None:
    """Raise UserError if keys contradict the speakers in the names.

    A line is wrong if it is tgt of two speakers, imp of one, or tests a recording of its own
    enrolment. Of keys without classes only the last can be checked.
    """
    remedy = "keys and lists are of different versions: fetch both again"
    test_speakers, enrolled = {}, {}
    for stem, utterance in listed.utterances.items():
        test_speakers[utterance] = listed.recordings[stem].speaker
    for model, utterances in listed.models.items():
        enrolled[model] = test_speakers[utterances[0]]
    if trials.kinds is not None:
        rows = zip(trials.enrol, trials.test, trials.kinds, strict=True)
        for number, (model, utterance, kind) in enumerate(rows, start=1):
            enrol, test = enrolled[model], test_speakers[utterance]
            if (enrol == test) != (kind == "target"):
                raise UserError(
                    f"{keys}: trial {number}, '{model} {utterance} {kind}', is of {enrol} and "
                    f"{test}; {remedy}"
                )
    inside = Lists(trials, {}, listed.models).inside_model()
    if len(inside):
        index = int(inside[0])
        raise UserError(
            f"{keys}: trial {index + 1}, '{trials[index]}', tests a recording of its own "
            f"enrolment; {remedy}"
        )
