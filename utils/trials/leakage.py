"""Whether speakers of a test were heard before: the sets that a system learnt from, compared by speaker.

An error, unless forced, and then said beside every figure: test speakers in the training of the
network, in dev, calibration, cohort or the training of a back end; dev or calibration speakers in
the training of the network.  Normal, and printed: speakers of the network's training in the
cohort, or in the training of a back end (mean, LDA, PLDA).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from utils.data_dir import read_map
from utils.errors import UserError

ROLES = ("train", "dev", "calibration", "cohort", "backend")
WORDS = {
    "train": "the network's training",
    "dev": "dev",
    "calibration": "calibration",
    "cohort": "the cohort",
    "backend": "back-end training",
}
SHOWN = 3  # speakers named in a message


def speakers_of(data: Iterable[Path]) -> set[str]:
    """Speakers of some data directories."""
    found: set[str] = set()
    for folder in data:
        if not (Path(folder) / "utt2spk").exists():
            raise UserError(
                f"{folder}/utt2spk: no such file: the leakage guard compares speakers; name data directories"
            )
        found |= set(read_map(Path(folder) / "utt2spk").values())
    return found


def find_leakage(
    tests: Mapping[str, set[str]], learnt: Mapping[str, set[str]]
) -> tuple[list[str], list[str]]:
    """What is wrong with the sets, and what is worth saying."""
    overlaps = [
        (f"test set {name}", speakers, role) for name, speakers in tests.items() for role in ROLES
    ]
    overlaps += [(role, learnt.get(role, set()), "train") for role in ("dev", "calibration")]
    faults = []
    for what, speakers, role in overlaps:
        shared = sorted(speakers & learnt.get(role, set()))
        if shared:
            names = ", ".join(shared[:SHOWN]) + (", ..." if len(shared) > SHOWN else "")
            faults.append(
                f"{len(shared)} of {len(speakers)} speakers of {what} are in {WORDS[role]} ({names})"
            )
    heard = {
        role: len(learnt.get(role, set()) & learnt.get("train", set()))
        for role in ("cohort", "backend")
    }
    return faults, [
        f"{count} of {len(learnt[role])} speakers of {WORDS[role]} are in the network's training, as is usual"
        for role, count in heard.items()
        if count
    ]


def refuse_leakage(
    tests: Mapping[str, set[str]], learnt: Mapping[str, set[str]], *, allow: bool = False
) -> list[str]:
    """Print what is usual, refuse what is not."""
    faults, notes = find_leakage(tests, learnt)
    for note in notes:
        print(note)
    if faults and not allow:
        more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise UserError(
            f"{faults[0]}{more}: figures would flatter; take other sets, or say --allow-leakage, which marks every result"
        )
    return [f"leakage: {fault}" for fault in faults]
