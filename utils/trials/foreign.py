"""Lists of trials of anybody: Kaldi's ``<enrol> <test> target|nontarget``, VoxCeleb's ``1|0 <file> <file>``, and whose voices they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.data_dir import read_map
from utils.data_dir.lists import read_spk2utt
from utils.errors import UserError
from utils.files import read_lines

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
    """Read trials, whichever side the class stands on; CR LF, several blanks and empty lines do not matter.

    Parameters
    ----------
    path : path
        Lines ``<enrol> <test> target|nontarget`` or ``1|0 <enrol> <test>``; ``tgt|imp`` is read too.

    Raises
    ------
    UserError
        A line is no trial, a pair has both classes, or the list has one class only.
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
    refuse_both_classes(found)
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
    rows = [(number, line.split()) for number, line in enumerate(read_lines(path), 1)]
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
        good = [place for place in good if all(fields[place].lower() in WORDS for _, fields in rows)]
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


def refuse_both_classes(trials: TrialList) -> None:
    """Refuse a pair that is a target and a nontarget, in whichever order its sides stand.

    Parameters
    ----------
    trials : TrialList
        The list.

    Raises
    ------
    UserError
        Names both lines.
    """
    first: dict[Pair, int] = {}
    is_target = trials.is_target.tolist()
    for row, (one, other) in enumerate(trials.pairs):
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
        False where ``utt2spk`` calls each utterance its own speaker, as Kaldi's SRE16 does, so that nothing is known of speakers.
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
        ``<utterance> <speaker>`` on each line, in byte order.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: enrolment sides that are models of several utterances.

    Raises
    ------
    UserError
        A side is nobody's, a model has two speakers, or a class is not what the speakers say.
    """
    speaker_of_utterance = read_map(utt2spk)
    known = {speaker: speaker for speaker in speaker_of_utterance.values()} | speaker_of_utterance
    if enroll_spk2utt:
        known |= speakers_of_models(speaker_of_utterance, enroll_spk2utt)
    sides = {*trials.enrol, *trials.test}
    speaker_of = looked_up(known, sides)
    for number, pair in zip(trials.numbers, trials.pairs, strict=True):
        for side in pair:
            if side not in speaker_of:
                raise UserError(
                    f"{trials.path}:{number}: no speaker of '{side}' in {utt2spk}; "
                    "models of several utterances are told by --enroll-spk2utt"
                )
    enrol, test = ([speaker_of[side] for side in column] for column in (trials.enrol, trials.test))
    own = {side for side in sides if speaker_of[side] == side and side in speaker_of_utterance}
    are_known = not own
    for row, same in enumerate(map(str.__eq__, enrol, test)):
        if same == bool(trials.is_target[row]) or not own.isdisjoint(trials.pairs[row]):
            continue
        raise UserError(
            f"{trials.path}:{trials.numbers[row]}: '{' '.join(trials.pairs[row])}' is a {class_name(not same)}, but {utt2spk} says "
            f"{enrol[row]} and {test[row]}; correct one of the two lists"
        )
    return TrialSpeakers(enrol, test, are_known)


def speakers_of_models(speaker_of: Mapping[str, str], enroll_spk2utt: Path) -> dict[str, str]:
    """Speaker of each model.

    Parameters
    ----------
    speaker_of : mapping of str to str
        Utterance -> speaker.
    enroll_spk2utt : path
        ``<model> <utterance> ...`` on each line.

    Raises
    ------
    UserError
        Its utterances are of nobody, or of two speakers.
    """
    found = {}
    for model, utterances in read_spk2utt(enroll_spk2utt).items():
        speakers = {speaker_of.get(utterance, "") for utterance in utterances}
        if "" in speakers or len(speakers) > 1:
            names = " and ".join(sorted(speakers - {""})) or "nobody"
            raise UserError(
                f"{enroll_spk2utt}: the utterances of model '{model}' are of {names}, expected one speaker known to utt2spk"
            )
        found[model] = speakers.pop()
    return found


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
