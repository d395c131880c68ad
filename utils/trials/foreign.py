"""Lists of trials of anybody: Kaldi's ``<enrol> <test> target|nontarget``, VoxCeleb's ``1|0 <file> <file>``, and whose voices they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.files import read_foreign_lines, words_of

WORDS = {"target": True, "tgt": True, "nontarget": False, "imp": False}
CLASSES = WORDS | {"1": True, "0": False}
AUDIO_ENDING = re.compile(r"\.(wav|flac|m4a|mp3|ogg|opus|sph)$", re.IGNORECASE)
SHAPES = "'<enrol> <test> target|nontarget' or '1|0 <enrol> <test>'"

Pair = tuple[str, str]


@dataclass(frozen=True)
class TrialList:
    """Trials with their classes.

    Attributes
    ----------
    path : path
        The file, for messages.
    numbers : list of N int
        Line of each trial, from 1.
    enrol, test : lists of N str
        Both sides.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    """

    path: Path
    numbers: list[int]
    enrol: list[str]
    test: list[str]
    is_target: np.ndarray

    @cached_property
    def pairs(self) -> list[Pair]:
        """Both sides of each trial."""
        return list(zip(self.enrol, self.test, strict=True))


def plain_name(name: str) -> str:
    """What a file is called in lists without paths: ``id10270/x6uYqmx31kE/00001.wav`` is ``id10270-x6uYqmx31kE-00001``, as in Kaldi's recipe.

    Parameters
    ----------
    name : str
        Utterance, model or file.
    """
    return AUDIO_ENDING.sub("", name).replace("/", "-")


def read_foreign_trials(path: Path) -> TrialList:
    """Read trials, whichever side the class stands on; CR LF, a byte order mark, several blanks and empty lines do not matter.

    Parameters
    ----------
    path : path
        Lines ``<enrol> <test> target|nontarget`` or ``1|0 <enrol> <test>``; ``tgt|imp`` is read too.

    Raises
    ------
    UserError
        A line is no trial, or a side with itself, a pair has both classes, or the list has one class only.
    """
    rows = numbered_fields(path)
    if not rows:
        raise UserError(f"{path}: empty, expected trials: {SHAPES}")
    place = class_column(path, rows)
    first, second = (0, 1) if place == 2 else (1, 2)
    found = TrialList(
        path=path,
        numbers=[number for number, _ in rows],
        enrol=[fields[first] for _, fields in rows],
        test=[fields[second] for _, fields in rows],
        is_target=np.array([CLASSES[fields[place].lower()] for _, fields in rows]),
    )
    refuse_no_trials(found)
    targets = int(found.is_target.sum())
    if targets in (0, len(rows)):
        raise UserError(
            f"{path}: {targets:,} target and {len(rows) - targets:,} nontarget trials; error rates need both"
        )
    return found


def numbered_fields(path: Path) -> list[tuple[int, list[str]]]:
    """The fields of each line that has any, with the line's number.

    Parameters
    ----------
    path : path
        Text file.
    """
    rows = [(number, words_of(line)) for number, line in enumerate(read_foreign_lines(path), 1)]
    return [(number, fields) for number, fields in rows if fields]


def class_column(path: Path, rows: Sequence[tuple[int, Sequence[str]]]) -> int:
    """Where the class stands: 2 for the last of three columns, 0 for the first.

    Parameters
    ----------
    path : path
        The file, for messages.
    rows : sequence of (int, sequence of str)
        From `numbered_fields`.

    Raises
    ------
    UserError
        A line has no class, or both columns could hold it.
    """
    for number, fields in rows:
        if len(fields) == 2:
            raise UserError(
                f"{path}:{number}: trial '{' '.join(fields)}' has no class, expected {SHAPES}: "
                "scores without classes have no error rates"
            )
        if len(fields) != 3:
            raise UserError(f"{path}:{number}: {len(fields)} fields, expected 3: {SHAPES}")
    bad = {
        place: next((row for row in rows if row[1][place].lower() not in CLASSES), None)
        for place in (2, 0)
    }
    good = [place for place, row in bad.items() if row is None]
    if len(good) == 2:
        good = [
            place for place in good if all(fields[place].lower() in WORDS for _, fields in rows)
        ]
        if len(good) != 1:
            raise UserError(
                f"{path}: the first and the last column could both be classes; write target or nontarget as the third"
            )
    if not good:
        # the line that goes wrong last is the one in which the list is not what its other lines are
        number, fields = max(filter(None, bad.values()), key=lambda row: row[0])
        raise UserError(
            f"{path}:{number}: '{' '.join(fields)}', expected {SHAPES}, all lines alike; "
            f"a line of titles is to be left out: tail -n +2 {path}"
        )
    return good[0]


def refuse_no_trials(trials: TrialList) -> None:
    """Refuse a pair that is a target and a nontarget, in whichever order its sides stand, and what is tried with itself.

    Parameters
    ----------
    trials : TrialList
        The list.

    Raises
    ------
    UserError
        Names the first such line.
    """
    first: dict[Pair, int] = {}
    is_target = trials.is_target.tolist()
    for row, (one, other) in enumerate(trials.pairs):
        if one == other:
            raise UserError(
                f"{trials.path}:{trials.numbers[row]}: trial of '{one}' with itself; leave it out"
            )
        pair = (one, other) if one <= other else (other, one)
        before = first.setdefault(pair, row)
        if is_target[before] != is_target[row]:
            here, there = (class_name(is_target[k]) for k in (row, before))
            raise UserError(
                f"{trials.path}:{trials.numbers[row]}: '{one} {other}' is a {here} here and a {there} in line "
                f"{trials.numbers[before]}; correct one of them"
            )


def class_name(is_target: bool) -> str:
    """The class as lists write it.

    Parameters
    ----------
    is_target : bool
        Both sides are one speaker.
    """
    return "target" if is_target else "nontarget"


@dataclass(frozen=True)
class TrialSpeakers:
    """Whose voices trials are.

    Attributes
    ----------
    enrol, test : lists of N str
        Speaker of each side.
    are_known : bool
        False where ``utt2spk`` calls utterances of target trials their own speakers, as Kaldi's SRE16 does: then speakers cannot be told apart.
    """

    enrol: list[str]
    test: list[str]
    are_known: bool


def speakers_of_trials(
    trials: TrialList, utt2spk: Path, enroll_spk2utt: Path | None = None
) -> TrialSpeakers:
    """Speaker of each side, which have to agree with the classes.

    Parameters
    ----------
    trials : TrialList
        The list.
    utt2spk : path
        ``<utterance> <speaker>`` on each line, in any order.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: enrolment sides that are models of several utterances.

    Raises
    ------
    UserError
        A side is nobody's, a model has two speakers or is tested with an utterance of its own, or a class is not what the speakers say.
    """
    speaker_of_utterance = read_speakers(utt2spk)
    models = read_models(enroll_spk2utt) if enroll_spk2utt else {}
    known = {speaker: speaker for speaker in speaker_of_utterance.values()} | speaker_of_utterance
    for model, utterances in models.items():
        known[model] = speaker_of_model(model, utterances, speaker_of_utterance, utt2spk)
    sides = {*trials.enrol, *trials.test}
    speaker_of = looked_up(known, sides)
    own = {side for side in sides & speaker_of_utterance.keys() if speaker_of.get(side) == side}
    are_known = True
    for row, (enrol, test) in enumerate(trials.pairs):
        where = f"{trials.path}:{trials.numbers[row]}"
        for side in (enrol, test):
            if side not in speaker_of:
                raise UserError(
                    f"{where}: no speaker of '{side}' in {utt2spk}; models of several utterances are told by --enroll-spk2utt"
                )
        if test in models.get(enrol, ()):
            raise UserError(
                f"{where}: model '{enrol}' holds its test '{test}'; leave the trial out"
            )
        is_target = bool(trials.is_target[row])
        if (speaker_of[enrol] == speaker_of[test]) == is_target:
            continue
        if own.isdisjoint((enrol, test)):
            raise UserError(
                f"{where}: '{enrol} {test}' is a {class_name(is_target)}, but {utt2spk} says {speaker_of[enrol]} and "
                f"{speaker_of[test]}; correct one of the two lists"
            )
        are_known = False
    enrols, tests = (
        [speaker_of[side] for side in column] for column in (trials.enrol, trials.test)
    )
    return TrialSpeakers(enrols, tests, are_known)


def read_speakers(utt2spk: Path) -> dict[str, str]:
    """Utterance -> speaker.

    Parameters
    ----------
    utt2spk : path
        ``<utterance> <speaker>`` on each line, in any order.

    Raises
    ------
    UserError
        A line has other than two fields, or an utterance two speakers.
    """
    found: dict[str, str] = {}
    for number, fields in numbered_fields(utt2spk):
        if len(fields) != 2:
            raise UserError(
                f"{utt2spk}:{number}: {len(fields)} fields, expected 2: <utterance> <speaker>"
            )
        utterance, speaker = fields
        if found.setdefault(utterance, speaker) != speaker:
            raise UserError(
                f"{utt2spk}:{number}: '{utterance}' is of {speaker} here and of {found[utterance]} before; correct one of them"
            )
    return found


def read_models(enroll_spk2utt: Path) -> dict[str, list[str]]:
    """Model -> utterances.

    Parameters
    ----------
    enroll_spk2utt : path
        ``<model> <utterance> ...`` on each line, in any order.

    Raises
    ------
    UserError
        A line has no utterance, or a model stands twice.
    """
    found: dict[str, list[str]] = {}
    for number, (model, *utterances) in numbered_fields(enroll_spk2utt):
        if not utterances or model in found:
            raise UserError(
                f"{enroll_spk2utt}:{number}: '{model}', expected one line for each model: <model> <utterance> ..."
            )
        found[model] = utterances
    return found


def speaker_of_model(
    model: str, utterances: Sequence[str], speaker_of: Mapping[str, str], utt2spk: Path
) -> str:
    """The speaker of a model's utterances.

    Parameters
    ----------
    model : str
        Its name.
    utterances : sequence of str
        What it is made of.
    speaker_of : mapping of str to str
        Utterance -> speaker.
    utt2spk : path
        Where that is from, for messages.

    Raises
    ------
    UserError
        They are of nobody, or of two speakers.
    """
    found = looked_up(speaker_of, {*utterances})
    speakers = sorted({*found.values()})
    if len(found) < len({*utterances}) or len(speakers) != 1:
        raise UserError(
            f"{utt2spk}: the utterances of model '{model}' are of {' and '.join(speakers) or 'nobody'}, expected one speaker for all of them"
        )
    return speakers[0]


def looked_up(value_of: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """Values of some names, which may be spelled as `plain_name` does on either side; names without one are left out.

    Parameters
    ----------
    value_of : mapping of str to str
        Name -> value.
    names : set of str
        Whose values are wanted.
    """
    found = {name: value_of[name] for name in names if name in value_of}
    if len(found) == len(names):
        return found
    values: dict[str, set[str]] = {}
    for name, value in value_of.items():
        values.setdefault(plain_name(name), set()).add(value)
    for name in names - found.keys():
        spelled = values.get(plain_name(name), set())
        if len(spelled) == 1:
            found[name] = min(spelled)
    return found
