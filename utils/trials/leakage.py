"""The leakage guard: speakers of a test set that a system was trained on.

An error, unless allowed, and then a watermark beside every figure: test speakers in the training
of the network, in dev, calibration, cohort or the training of a back end; dev or calibration
speakers in the training of the network.  Normal, and printed: speakers of the network's training
in the cohort, or in the training of a back end (mean, LDA, PLDA).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from utils.data_dir import read_map
from utils.errors import UserError

# role of a set -> its name in messages
ROLES = {
    "train": "the network's training",
    "dev": "dev",
    "calibration": "calibration",
    "cohort": "the cohort",
    "backend": "back-end training",
}
MAX_SPEAKERS = 3  # named in a message


def read_speakers(data: Iterable[Path]) -> set[str]:
    """Speakers of data directories, from their ``utt2spk``; UserError if one has none."""
    speakers: set[str] = set()
    for folder in data:
        utt2spk = Path(folder) / "utt2spk"
        if not utt2spk.exists():
            raise UserError(
                f"{folder}/utt2spk: no such file: the leakage guard compares speakers; "
                "name data directories"
            )
        speakers.update(read_map(utt2spk).values())
    return speakers


def find_leakage(
    tests: Mapping[str, set[str]], learned: Mapping[str, set[str]]
) -> tuple[list[str], list[str]]:
    """Faults and notes, one sentence each.

    ``tests``: test set -> speakers; ``learned``: role (`ROLES`) -> speakers, roles without a set
    may be missing.
    """
    faults = []
    for name, speakers in tests.items():
        for role in ROLES:
            faults += _overlap(f"test set {name}", speakers, role, learned)
    for role in ("dev", "calibration"):
        faults += _overlap(role, learned.get(role, set()), "train", learned)
    notes = []
    for role in ("cohort", "backend"):
        speakers = learned.get(role, set())
        shared = speakers & learned.get("train", set())
        if shared:
            notes.append(
                f"{len(shared)} of {len(speakers)} speakers of {ROLES[role]} "
                "are in the network's training, which is normal"
            )
    return faults, notes


def _overlap(
    what: str, speakers: set[str], role: str, learned: Mapping[str, set[str]]
) -> list[str]:
    """A sentence if some of these speakers are in a set that was learned from."""
    shared = sorted(speakers & learned.get(role, set()))
    if not shared:
        return []
    more = ", ..." if len(shared) > MAX_SPEAKERS else ""
    names = ", ".join(shared[:MAX_SPEAKERS]) + more
    return [f"{len(shared)} of {len(speakers)} speakers of {what} are in {ROLES[role]} ({names})"]


def refuse_leakage(
    tests: Mapping[str, set[str]], learned: Mapping[str, set[str]], *, allow: bool = False
) -> list[str]:
    """Print the notes of `find_leakage` and refuse its faults.

    Returns the watermarks of every figure: empty unless ``allow`` was needed.
    """
    faults, notes = find_leakage(tests, learned)
    for note in notes:
        print(note)
    if faults and not allow:
        more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise UserError(
            f"{faults[0]}{more}: results would be too optimistic; use other sets, "
            "or give --allow-leakage, which marks every result"
        )
    return [f"leakage: {fault}" for fault in faults]
