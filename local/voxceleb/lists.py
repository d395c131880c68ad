"""VoxCeleb1's lists of trials, original and cleaned, and other people's lists of training files."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from local.voxceleb.meta import Speakers
from utils.errors import UserError
from utils.files import read_foreign_lines, words_of
from utils.trials.voxceleb_names import FIRST_RELEASE

KEY = re.compile(r"(?:\S*/)?(id\d{5})/([^/\s]+)/(\d{5})(?:\.(?:wav|flac|m4a))?")
OLD_KEY = re.compile(rf"(?:\S*/)?{FIRST_RELEASE.pattern}")


class Published(NamedTuple):
    """A list of trials as its site has it.

    Attributes
    ----------
    names : tuple of str
        What the file is called: on VoxCeleb's site, and in VGG's repository.
    trials : int
        How many.
    draws_on_dev : bool
        Its speakers are those of VoxCeleb1's dev part too.
    digest : str
        First digits of the SHA-256 of its trials, ``<label> <utterance> <utterance>`` on each line; empty where it isn't known.
    """

    names: tuple[str, ...]
    trials: int
    draws_on_dev: bool = False
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
Trial = tuple[
    str, str, bool
]  # enrolment utterance, test utterance, whether both are of one speaker


def _utterance_of(key: str, id_of: Mapping[str, str]) -> str | None:
    """The utterance that a list's path names; None where it is no path of VoxCeleb."""
    if match := KEY.fullmatch(key):
        return f"{match[1]}-{match[2]}-{match[3]}"
    match = OLD_KEY.fullmatch(key)
    return f"{id_of[match[1]]}-{match[2]}-{match[3][-5:]}" if match and match[1] in id_of else None


def read_trial_list(path: Path, speakers: Speakers) -> tuple[list[Trial], int]:
    """Trials of a list: ``<1 or 0> <path> <path>`` on each line; blanks, CR LF and a missing last line end do not matter.

    Parameters
    ----------
    path : path
        Text file.
    speakers : Speakers
        What is known of them.

    Returns
    -------
    trials : list of trials
        In the list's order, each once.
    repeated : int
        How many lines say again what an earlier one says.

    Raises
    ------
    UserError
        A line is no trial, is one of a file with itself, or its label is not what its speakers say.
    """
    trials: dict[Trial, None] = {}
    lines = 0
    for number, line in enumerate(read_foreign_lines(path), 1):
        fields = words_of(line)
        if not fields:
            continue
        names = [_utterance_of(key, speakers.id_of) for key in fields[1:]]
        sides = [name for name in names if name is not None]
        if len(fields) != 3 or fields[0] not in ("0", "1") or len(sides) != 2:
            raise UserError(
                f"{path}:{number}: '{line.strip()[:100]}', expected '1 id10270/<video>/00001.wav id10270/<video>/00002.wav', "
                "0 where they are two speakers"
            )
        enrol, test = sides
        trial = enrol, test, fields[0] == "1"
        if (enrol[:7] == test[:7]) != trial[2]:
            raise UserError(
                f"{path}:{number}: label {fields[0]} for {enrol[:7]} and {test[:7]}, expected 1 for one speaker, 0 for two; "
                "fetch it again"
            )
        if enrol == test:
            raise UserError(
                f"{path}:{number}: trial of {enrol} with itself, expected two files; fetch it again"
            )
        trials[trial] = None
        lines += 1
    return list(trials), lines - len(trials)


def check_version(
    name: str, path: Path, trials: list[Trial], repeated: int, allow_incomplete: bool
) -> str:
    """Refuse a list that is not the one that its name says.

    Parameters
    ----------
    name : str
        Of `LISTS`.
    path : path
        Its file.
    trials, repeated : list of trials, int
        From `read_trial_list`.
    allow_incomplete : bool
        A list of another length is taken nevertheless, unless it is another official one.

    Returns
    -------
    str
        What to say of it.

    Raises
    ------
    UserError
        Says which list it is, or how long it should be.
    """
    expected, found = LISTS[name], len(trials) + repeated
    other = next((other for other, published in LISTS.items() if published.trials == found), name)
    if other != name:
        raise UserError(
            f"{path}: {found:,} trials: this is {other} ({LISTS[other].names[0]}), expected the {expected.trials:,} of {name} "
            f"({expected.names[0]}); put the right file there"
        )
    if found == expected.trials and expected.digest not in ("", digest(trials)):
        raise UserError(
            f"{path}: as many trials as {name} has, {found:,}, but others; fetch {expected.names[0]} again"
        )
    has_dev = {utterance[:7] for trial in trials for utterance in trial[:2]} - set(
        Speakers().known("voxceleb1", "test")
    )
    if has_dev and not expected.draws_on_dev:
        raise UserError(
            f"{path}: {len(has_dev):,} speakers are not among the 40 of {name}, first {min(has_dev)}; put {expected.names[0]} there"
        )
    if found != expected.trials and not allow_incomplete:
        raise UserError(
            f"{path}: {found:,} trials, expected the {expected.trials:,} of {name} ({expected.names[0]}); fetch it again, "
            "or give --allow-incomplete for a list of another length"
        )
    compared = (
        "as published"
        if found == expected.trials
        else f"the published list has {expected.trials:,}"
    )
    return f"{path}: {found:,} trials of {name} ({compared})" + (
        f"; {repeated:,} stand there twice and count once" if repeated else ""
    )


def digest(trials: Iterable[Trial]) -> str:
    """First digits of the fingerprint of a list, whatever its line ends and endings of names.

    Parameters
    ----------
    trials : iterable of trials
        In the list's order.
    """
    lines = "".join(f"{int(is_target)} {enrol} {test}\n" for enrol, test, is_target in trials)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def read_training_list(path: Path, speakers: Speakers) -> list[str]:
    """Utterances of a training list.

    Parameters
    ----------
    path : path
        Lines ``id00012 id00012/<video>/00001.wav`` (voxceleb_trainer) or ``id00012/<video>/00001.wav 0`` (VGG: each number one speaker).
    speakers : Speakers
        What is known of them.

    Returns
    -------
    list of str
        In byte order.

    Raises
    ------
    UserError
        A line has neither format, names another speaker than its path does, or comes twice.
    """
    utterances: dict[str, int] = {}
    label_of: dict[str, str] = {}
    for number, line in enumerate(read_foreign_lines(path), 1):
        fields = words_of(line)
        if not fields:
            continue
        keys = [_utterance_of(field, speakers.id_of) for field in fields]
        named = [key for key in keys if key is not None]
        if len(fields) != 2 or len(named) != 1:
            raise UserError(
                f"{path}:{number}: '{line.strip()[:100]}', expected 'id00012 id00012/<video>/00001.wav' or 'id00012/<video>/00001.wav 0'"
            )
        utterance = named[0]
        label = fields[0] if keys[0] is None else fields[1]
        if label_of.setdefault(label, utterance[:7]) != utterance[:7] or (
            label.startswith("id") and label != utterance[:7]
        ):
            raise UserError(
                f"{path}:{number}: '{label}' for {utterance[:7]}, expected {label_of[label]}; each label is one speaker"
            )
        if utterances.setdefault(utterance, number) != number:
            raise UserError(
                f"{path}:{number}: the file of line {utterances[utterance]} again; remove one of them"
            )
    if not utterances:
        raise UserError(f"{path}: empty, expected a list of training files")
    return sorted(utterances)


def refuse_heard(tests: Iterable[str], is_heard: bool, source: str, allow_leakage: bool) -> None:
    """Refuse the lists E and H where the network hears their speakers in training.

    Parameters
    ----------
    tests : iterable of str
        Names of lists.
    is_heard : bool
        Whether VoxCeleb1 dev is trained on.
    source : str
        What says so.
    allow_leakage : bool
        Go on nevertheless.

    Raises
    ------
    UserError
        It is, and there is no leave.
    """
    drawing = [name for name in tests if LISTS[name].draws_on_dev]
    if is_heard and drawing and not allow_leakage:
        raise UserError(
            f"{source} trains on speakers of VoxCeleb1 dev, and the trials of {', '.join(drawing)} are theirs: figures would flatter; "
            "take lists O alone, train on vox2dev, or say --allow-leakage, which marks every result"
        )
