"""Lists of trials of anybody: Kaldi's ``<enrol> <test> target|nontarget``, VoxCeleb's ``1|0 <file> <file>``, and whose voices they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import Lists
from utils.errors import UserError
from utils.files import read_foreign_lines, words_of
from utils.trials.checked import refuse_contradictions

WORDS = {"target": True, "tgt": True, "nontarget": False, "imp": False}
CLASSES = WORDS | {"1": True, "0": False}
AUDIO_ENDING = re.compile(r"\.(wav|flac|m4a|mp3|ogg|opus|sph)$", re.IGNORECASE)
SHAPES = "'<enrol> <test> target|nontarget' or '1|0 <enrol> <test>'"

Pair = tuple[str, str]


@dataclass(frozen=True)
class TrialList:
    """Trials with their classes."""

    path: Path
    enrol: list[str]
    test: list[str]
    is_target: np.ndarray

    @cached_property
    def pairs(self) -> list[Pair]:
        """Both sides of each trial."""
        return list(zip(self.enrol, self.test, strict=True))

    @cached_property
    def listed(self) -> Trials:
        """The same as `Trials`."""
        kinds = [class_name(is_target) for is_target in self.is_target.tolist()]
        return Trials(self.enrol, self.test, kinds)


def plain_name(name: str) -> str:
    """What a file is called in lists without paths: ``id10270/x6uYqmx31kE/00001.wav`` is ``id10270-x6uYqmx31kE-00001``, as in Kaldi's recipe."""
    return AUDIO_ENDING.sub("", name).replace("/", "-")


def read_foreign_trials(path: Path) -> TrialList:
    """Read trials, whichever side the class stands on; CR LF, a byte order mark and several blanks do not matter."""
    rows = fields_of_lines(path, SHAPES)
    place = class_column(path, rows)
    first, second = (0, 1) if place == 2 else (1, 2)
    found = TrialList(
        path=path,
        enrol=[fields[first] for fields in rows],
        test=[fields[second] for fields in rows],
        is_target=np.array([CLASSES[fields[place].lower()] for fields in rows]),
    )
    refuse_contradictions(path, found.listed, {}, {}, path)
    targets = int(found.is_target.sum())
    if targets in (0, len(rows)):
        raise UserError(
            f"{path}: {targets:,} target and {len(rows) - targets:,} nontarget trials; error rates need both"
        )
    return found


def fields_of_lines(path: Path, expected: str) -> list[list[str]]:
    """The fields of each line, none of which is empty but at the end."""
    rows = [words_of(line) for line in read_foreign_lines(path)]
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise UserError(f"{path}: empty, expected lines {expected}")
    if [] in rows:
        raise UserError(f"{path}:{rows.index([]) + 1}: empty line, expected {expected}; remove it")
    return rows


def class_column(path: Path, rows: Sequence[Sequence[str]]) -> int:
    """Where the class stands: 2 for the last of three columns, 0 for the first."""
    for number, fields in enumerate(rows, 1):
        if len(fields) == 2:
            raise UserError(
                f"{path}:{number}: trial '{' '.join(fields)}' has no class, expected {SHAPES}: "
                "scores without classes have no error rates"
            )
        if len(fields) != 3:
            raise UserError(f"{path}:{number}: {len(fields)} fields, expected 3: {SHAPES}")
    bad = {
        place: next((n for n, row in enumerate(rows, 1) if row[place].lower() not in CLASSES), None)
        for place in (2, 0)
    }
    good = [place for place, number in bad.items() if number is None]
    if len(good) == 2:
        good = [place for place in good if all(fields[place].lower() in WORDS for fields in rows)]
        if len(good) != 1:
            raise UserError(
                f"{path}: the first and the last column could both be classes; write target or nontarget as the third"
            )
    if not good:
        # the line that goes wrong last is the one in which the list is not what its other lines are
        number = max(filter(None, bad.values()))
        raise UserError(
            f"{path}:{number}: '{' '.join(rows[number - 1])}', expected {SHAPES}, all lines alike; "
            f"a line of titles is to be left out: tail -n +2 {path}"
        )
    return good[0]


def class_name(is_target: bool) -> str:
    """The class as lists write it."""
    return "target" if is_target else "nontarget"


@dataclass(frozen=True)
class TrialSpeakers:
    """Whose voices trials are."""

    enrol: list[str]
    test: list[str]
    notes: list[str]

    @property
    def are_known(self) -> bool:
        """False where ``utt2spk`` calls utterances their own speakers, as Kaldi's SRE16 does."""
        return bool(self.enrol)


def speakers_of_trials(
    trials: TrialList, utt2spk: Path, enroll_spk2utt: Path | None = None
) -> TrialSpeakers:
    """Speaker of each side, which have to agree with the classes."""
    speaker_of = read_speakers(utt2spk)
    models = read_models(enroll_spk2utt) if enroll_spk2utt else {}
    heard = {utterance for utterances in models.values() for utterance in utterances}
    spelled = speaker_of | looked_up(speaker_of, {*trials.enrol, *trials.test, *heard})
    known = spelled.keys() | set(spelled.values()) | models.keys()
    for number, pair in enumerate(trials.pairs, 1):
        for side in pair:
            if side not in known:
                raise UserError(
                    f"{trials.path}:{number}: no speaker of '{side}' in {utt2spk}; models of several utterances are told by --enroll-spk2utt"
                )
    if nobody := next((utterance for utterance in sorted(heard) if utterance not in spelled), None):
        raise UserError(f"{enroll_spk2utt}: no speaker of '{nobody}' in {utt2spk}; add it there")
    where = enroll_spk2utt or utt2spk
    notes = refuse_contradictions(trials.path, trials.listed, spelled, models, where)
    lists = Lists(trials.listed, spelled, models)
    sides = ((trials.enrol, lists.enrol_speakers), (trials.test, lists.test_speakers))
    enrol, test = ([speakers.get(name, "") for name in names] for names, speakers in sides)
    if "" in enrol or "" in test:
        return TrialSpeakers([], [], [f"{trials.path}: {note}" for note in notes])
    return TrialSpeakers(enrol, test, [])


def read_speakers(utt2spk: Path) -> dict[str, str]:
    """Utterance -> speaker."""
    found: dict[str, str] = {}
    for number, fields in enumerate(fields_of_lines(utt2spk, "<utterance> <speaker>"), 1):
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
    """Model -> utterances."""
    found: dict[str, list[str]] = {}
    shape = "<model> <utterance> ..."
    for number, (model, *utterances) in enumerate(fields_of_lines(enroll_spk2utt, shape), 1):
        if not utterances or model in found:
            raise UserError(
                f"{enroll_spk2utt}:{number}: '{model}', expected one line for each model: {shape}"
            )
        found[model] = utterances
    return found


def looked_up(value_of: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """Values of some names, which may be spelled as `plain_name` does on either side; names without one are left out."""
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
