"""Lists of trials of any origin: Kaldi's, VoxCeleb's ``1|0 <file> <file>``; and their speakers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.data_dir.trial_list import Trials, class_name
from utils.data_dir.trial_rules import Lists
from utils.errors import UserError
from utils.files import read_foreign_lines, split_words
from utils.trials.checked import refuse_contradictions

WORDS = {"target": True, "tgt": True, "nontarget": False, "imp": False}
CLASSES = WORDS | {"1": True, "0": False}
AUDIO_ENDING = re.compile(r"\.(wav|flac|m4a|mp3|ogg|opus|sph)$", re.IGNORECASE)
SHAPES = "'<enrol> <test> target|nontarget' or '1|0 <enrol> <test>'"

Pair = tuple[str, str]


@dataclass(frozen=True)
class TrialList:
    """N trials with their classes; ``path`` is their file, for messages."""

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
        """The trials as the checks of `utils.data_dir` take them."""
        kinds = [class_name(is_target) for is_target in self.is_target.tolist()]
        return Trials(self.enrol, self.test, kinds)


def plain_name(name: str) -> str:
    """The name of a file in lists without paths, as in Kaldi's recipe.

    ``id10270/x6uYqmx31kE/00001.wav`` is ``id10270-x6uYqmx31kE-00001``.
    """
    return AUDIO_ENDING.sub("", name).replace("/", "-")


def read_foreign_trials(path: Path) -> TrialList:
    """Read lines ``<enrol> <test> target|nontarget`` or ``1|0 <enrol> <test>``; or ``tgt|imp``.

    CR LF, a byte order mark and extra blanks are accepted.  UserError for other lines, a side with
    itself, a pair with both classes, or a list with one class only.
    """
    rows = fields_of_lines(path, SHAPES)
    position = class_column(path, rows)
    first = 0 if position == 2 else 1
    trials = TrialList(
        path=path,
        enrol=[fields[first] for fields in rows],
        test=[fields[first + 1] for fields in rows],
        is_target=np.array([CLASSES[fields[position].lower()] for fields in rows]),
    )
    refuse_contradictions(path, trials.listed, {}, {}, path)
    targets = int(trials.is_target.sum())
    if targets in (0, len(rows)):
        raise UserError(
            f"{path}: {targets:,} target and {len(rows) - targets:,} nontarget trials; "
            "error rates need both"
        )
    return trials


def fields_of_lines(path: Path, expected: str) -> list[list[str]]:
    """The fields of each line of a text file; empty lines are accepted at its end only.

    ``expected``: a line, for messages.
    """
    rows = [split_words(line) for line in read_foreign_lines(path)]
    while rows and not rows[-1]:
        rows.pop()
    if not rows:
        raise UserError(f"{path}: empty, expected lines {expected}")
    if [] in rows:
        raise UserError(f"{path}:{rows.index([]) + 1}: empty line, expected {expected}; remove it")
    return rows


def class_column(path: Path, rows: Sequence[Sequence[str]]) -> int:
    """The column of the classes: 2, the last of three, or 0.

    ``rows`` come from `fields_of_lines`.  UserError if a line has no class, or both columns could
    be classes.
    """
    for number, fields in enumerate(rows, 1):
        if len(fields) == 2:
            raise UserError(
                f"{path}:{number}: trial '{' '.join(fields)}' has no class, expected {SHAPES}: "
                "scores without classes have no error rates"
            )
        if len(fields) != 3:
            raise UserError(f"{path}:{number}: {len(fields)} fields, expected 3: {SHAPES}")
    last_bad = _first_other(rows, 2, CLASSES)
    first_bad = _first_other(rows, 0, CLASSES)
    if last_bad and first_bad:
        # the later of the two lines is the one that differs from the others
        number = max(last_bad, first_bad)
        raise UserError(
            f"{path}:{number}: '{' '.join(rows[number - 1])}', expected {SHAPES}, all lines alike; "
            f"leave out a line of titles: tail -n +2 {path}"
        )
    if last_bad:
        return 0
    if first_bad:
        return 2
    has_words = [column for column in (2, 0) if not _first_other(rows, column, WORDS)]
    if len(has_words) != 1:
        raise UserError(
            f"{path}: the first and the last column could both be classes; "
            "write target or nontarget as the third"
        )
    return has_words[0]


def _first_other(
    rows: Sequence[Sequence[str]], column: int, words: Mapping[str, bool]
) -> int | None:
    """Number of the first line whose column has none of these words."""
    for number, fields in enumerate(rows, 1):
        if fields[column].lower() not in words:
            return number
    return None


@dataclass(frozen=True)
class TrialSpeakers:
    """Speaker of each side, (N,) lists, empty if not all are known; notes say what is not known."""

    enrol: list[str]
    test: list[str]
    notes: list[str]

    @property
    def are_known(self) -> bool:
        """False if ``utt2spk`` names utterances as their own speakers, as Kaldi's SRE16 does."""
        return bool(self.enrol)


def speakers_of_trials(
    trials: TrialList, utt2spk: Path, enroll_spk2utt: Path | None = None
) -> TrialSpeakers:
    """Speaker of each side, which have to agree with the classes.

    The lists, ``<utterance> <speaker>`` and ``<model> <utterance> ...``, may be in any order.
    UserError if a side has no speaker, a model has two or is tested with an utterance of its own,
    or a class contradicts the speakers.
    """
    speakers = _read_speakers(utt2spk)
    models: dict[str, list[str]] = {}
    if enroll_spk2utt:
        models = _read_models(enroll_spk2utt)
    enrolled: set[str] = set()
    for utterances in models.values():
        enrolled.update(utterances)
    speakers |= _look_up(speakers, {*trials.enrol, *trials.test, *enrolled})
    _refuse_unknown(trials, speakers, models, utt2spk)
    for utterance in sorted(enrolled):
        if utterance not in speakers:
            raise UserError(
                f"{enroll_spk2utt}: no speaker of '{utterance}' in {utt2spk}; add it there"
            )
    models_path = enroll_spk2utt or utt2spk
    notes = refuse_contradictions(trials.path, trials.listed, speakers, models, models_path)
    lists = Lists(trials.listed, speakers, models)
    enrol = [lists.enrol_speakers.get(name, "") for name in trials.enrol]
    test = [lists.test_speakers.get(name, "") for name in trials.test]
    if "" in enrol or "" in test:
        return TrialSpeakers([], [], [f"{trials.path}: {note}" for note in notes])
    return TrialSpeakers(enrol, test, [])


def _refuse_unknown(
    trials: TrialList, speakers: Mapping[str, str], models: Iterable[str], utt2spk: Path
) -> None:
    """Refuse sides that are neither an utterance nor a speaker nor a model."""
    known = {*speakers, *speakers.values(), *models}
    for number, pair in enumerate(trials.pairs, 1):
        for side in pair:
            if side not in known:
                raise UserError(
                    f"{trials.path}:{number}: no speaker of '{side}' in {utt2spk}; "
                    "give models of several utterances by --enroll-spk2utt"
                )


def _read_speakers(utt2spk: Path) -> dict[str, str]:
    """Utterance -> speaker, in any order; refuses an utterance with two speakers."""
    speakers: dict[str, str] = {}
    for number, fields in enumerate(fields_of_lines(utt2spk, "<utterance> <speaker>"), 1):
        if len(fields) != 2:
            raise UserError(
                f"{utt2spk}:{number}: {len(fields)} fields, expected 2: <utterance> <speaker>"
            )
        utterance, speaker = fields
        if speakers.setdefault(utterance, speaker) != speaker:
            raise UserError(
                f"{utt2spk}:{number}: '{utterance}' is of {speaker} here and of "
                f"{speakers[utterance]} before; correct one of them"
            )
    return speakers


def _read_models(enroll_spk2utt: Path) -> dict[str, list[str]]:
    """Model -> utterances, in any order."""
    models: dict[str, list[str]] = {}
    shape = "<model> <utterance> ..."
    for number, (model, *utterances) in enumerate(fields_of_lines(enroll_spk2utt, shape), 1):
        if not utterances or model in models:
            raise UserError(
                f"{enroll_spk2utt}:{number}: '{model}', expected one line for each model: {shape}"
            )
        models[model] = utterances
    return models


def _look_up(values: Mapping[str, str], names: set[str]) -> dict[str, str]:
    """Values of names, which may be spelled as by `plain_name` on either side, if there is one."""
    known = {name: values[name] for name in names if name in values}
    if len(known) == len(names):
        return known
    plain: dict[str, set[str]] = {}
    for name, value in values.items():
        plain.setdefault(plain_name(name), set()).add(value)
    for name in names - known.keys():
        candidates = plain.get(plain_name(name), set())
        if len(candidates) == 1:
            known[name] = min(candidates)
    return known
