"""VoxCeleb1's lists of trials, original and cleaned, and training lists of other projects."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from local.trial_design import Trial
from local.voxceleb.meta import Speakers
from utils.errors import UserError
from utils.files import read_foreign_lines, split_words
from utils.trials.voxceleb_names import FIRST_RELEASE

KEY = re.compile(r"(?:\S*/)?(id\d{5})/([^/\s]+)/(\d{5})(?:\.(?:wav|flac|m4a))?")
OLD_KEY = re.compile(rf"(?:\S*/)?{FIRST_RELEASE.pattern}")
LINE_LETTERS = 100  # of a line in a message


class Published(NamedTuple):
    """A list of trials as published.

    ``names``: of the file on VoxCeleb's site and in VGG's repository; ``uses_dev_speakers``:
    its speakers are also those of VoxCeleb1's dev part; ``digest``: see `digest`, empty if unknown.
    """

    names: tuple[str, ...]
    trials: int
    uses_dev_speakers: bool = False
    digest: str = ""


LISTS = {
    "vox1_o": Published(
        ("veri_test.txt", "voxceleb1_veri_test.txt"), 37_720, digest="7a82ec7fa9503b33"
    ),
    "vox1_o_cleaned": Published(
        ("veri_test2.txt", "voxceleb1_veri_test_fixed.txt"), 37_611, digest="3c46150e621b9d5e"
    ),
    "vox1_e": Published(("list_test_all.txt", "voxceleb1_veri_test_extended.txt"), 581_480, True),
    "vox1_e_cleaned": Published(
        ("list_test_all2.txt", "voxceleb1_veri_test_extended_fixed.txt"), 579_818, True
    ),
    "vox1_h": Published(("list_test_hard.txt", "voxceleb1_veri_test_hard.txt"), 552_536, True),
    "vox1_h_cleaned": Published(
        ("list_test_hard2.txt", "voxceleb1_veri_test_hard_fixed.txt"), 550_894, True
    ),
}


def _parse_key(key: str, ids: Mapping[str, str]) -> str:
    """The utterance of a path in a list; empty if it is not a path of VoxCeleb."""
    if match := KEY.fullmatch(key):
        return "-".join(match.groups())
    match = OLD_KEY.fullmatch(key)
    if match and match[1] in ids:
        return f"{ids[match[1]]}-{match[2]}-{match[3][-5:]}"
    return ""


def read_trial_list(path: Path, speakers: Speakers) -> tuple[list[Trial], int]:
    """Distinct trials of lines ``<1 or 0> <path> <path>``, and the number of repeated lines.

    UserError: a line is not a trial, is of a file with itself, or its label is wrong.
    """
    trials: dict[Trial, None] = {}
    num_lines = 0
    for number, line in enumerate(read_foreign_lines(path), 1):
        fields = split_words(line)
        if not fields:
            continue
        sides = [_parse_key(key, speakers.ids) for key in fields[1:]]
        if len(fields) != 3 or fields[0] not in ("0", "1") or not all(sides):
            raise UserError(
                f"{path}:{number}: '{line.strip()[:LINE_LETTERS]}', expected "
                "'1 id10270/<video>/00001.wav id10270/<video>/00002.wav', 0 for two speakers; "
                "fetch it again"
            )
        enrol, test = sides
        is_target = fields[0] == "1"
        if (enrol[:7] == test[:7]) != is_target:
            raise UserError(
                f"{path}:{number}: label {fields[0]} for {enrol[:7]} and {test[:7]}, expected 1 "
                "for one speaker, 0 for two; fetch it again"
            )
        if enrol == test:
            raise UserError(
                f"{path}:{number}: trial of {enrol} with itself, expected two files; fetch it again"
            )
        trials[enrol, test, is_target] = None
        num_lines += 1
    return list(trials), num_lines - len(trials)


def check_version(
    name: str, path: Path, trials: list[Trial], repeated: int, allow_incomplete: bool
) -> str:
    """A line about a list; UserError if it is not the one of `LISTS` that its name says.

    ``allow_incomplete`` accepts a list of another length, unless it is another official one.
    """
    expected, number = LISTS[name], len(trials) + repeated
    for other, published in LISTS.items():
        if published.trials == number and other != name:
            raise UserError(
                f"{path}: {number:,} trials: this is {other} ({published.names[0]}), expected the "
                f"{expected.trials:,} of {name} ({expected.names[0]}); put the right file there"
            )
    if number == expected.trials and expected.digest not in ("", digest(trials)):
        raise UserError(
            f"{path}: {number:,} trials, as many as {name} has, but not the same; fetch "
            f"{expected.names[0]} again"
        )
    if not expected.uses_dev_speakers:
        _refuse_dev_speakers(name, path, trials)
    remark = "as published"
    if number != expected.trials:
        remark = f"the published list has {expected.trials:,}"
        if not allow_incomplete:
            raise UserError(
                f"{path}: {number:,} trials, expected the {expected.trials:,} of {name} "
                f"({expected.names[0]}); fetch it again, or give --allow-incomplete for a list of "
                "another length"
            )
    line = f"{path}: {number:,} trials of {name} ({remark})"
    if repeated:
        line += f"; {repeated:,} of them come twice and count once"
    return line


def _refuse_dev_speakers(name: str, path: Path, trials: Iterable[Trial]) -> None:
    """Refuse speakers that are not of VoxCeleb1's test part."""
    speakers: set[str] = set()
    for enrol, test, _ in trials:
        speakers.update((enrol[:7], test[:7]))
    others = speakers - set(Speakers().known("voxceleb1", "test"))
    if others:
        raise UserError(
            f"{path}: {len(others):,} speakers are not among the 40 of {name}, first "
            f"{min(others)}; put {LISTS[name].names[0]} there"
        )


def digest(trials: Iterable[Trial]) -> str:
    """First 16 digits of the SHA-256 of ``<label> <utterance> <utterance>`` lines."""
    lines = "".join(f"{int(is_target)} {enrol} {test}\n" for enrol, test, is_target in trials)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def read_training_list(path: Path, speakers: Speakers) -> list[str]:
    """Utterances of a training list, in byte order.

    Lines are ``id00012 id00012/<video>/00001.wav`` (voxceleb_trainer) or
    ``id00012/<video>/00001.wav 0`` (VGG: a number per speaker). UserError: a line has neither
    format, names another speaker than its path, or comes twice.
    """
    utterances: dict[str, int] = {}
    speaker_by_label: dict[str, str] = {}
    for number, line in enumerate(read_foreign_lines(path), 1):
        fields = split_words(line)
        if not fields:
            continue
        utterance, label = _parse_training_line(fields, speakers.ids)
        if not utterance:
            raise UserError(
                f"{path}:{number}: '{line.strip()[:LINE_LETTERS]}', expected "
                "'id00012 id00012/<video>/00001.wav' or 'id00012/<video>/00001.wav 0'; correct it"
            )
        speaker = utterance[:7]
        expected = speaker_by_label.setdefault(label, speaker)
        if expected != speaker or (label.startswith("id") and label != speaker):
            raise UserError(
                f"{path}:{number}: '{label}' for {speaker}, expected {expected}; each label is one "
                "speaker"
            )
        if utterances.setdefault(utterance, number) != number:
            raise UserError(
                f"{path}:{number}: the file of line {utterances[utterance]} again; remove one of "
                "them"
            )
    if not utterances:
        raise UserError(f"{path}: empty, expected a list of training files")
    return sorted(utterances)


def _parse_training_line(fields: list[str], ids: Mapping[str, str]) -> tuple[str, str]:
    """Utterance and label of a line; empty if it has neither format."""
    if len(fields) != 2:
        return "", ""
    first, second = (_parse_key(text, ids) for text in fields)
    if second and not first:
        return second, fields[0]
    if first and not second:
        return first, fields[1]
    return "", ""


def refuse_leakage(
    tests: Iterable[str], trains_on_dev: bool, source: str, allow_leakage: bool
) -> None:
    """Raise UserError for the lists E and H if ``source`` trains on VoxCeleb1 dev."""
    leaking = [name for name in tests if LISTS[name].uses_dev_speakers]
    if trains_on_dev and leaking and not allow_leakage:
        raise UserError(
            f"{source} trains on speakers of VoxCeleb1 dev, who are also in the trials of "
            f"{', '.join(leaking)}: results would be too good; take lists O alone, train on "
            "vox2dev, or give --allow-leakage, which marks every result"
        )
