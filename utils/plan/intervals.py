"""Which lists of trials have too few speakers for intervals: known as soon as their data directories are there."""

from collections.abc import Iterable
from pathlib import Path

from utils.data_dir.lists import read_map
from utils.metrics.interval_rule import few_speakers
from utils.receipts import Task


def lists_without_intervals(tasks: Iterable[Task]) -> list[str]:
    """A line for each list of trials that is to be scored, or was, and has too few speakers.

    Parameters
    ----------
    tasks : iterable of Task
        Of the plan.
    """
    trials = {task.inputs["trials"] for task in tasks if "trials" in task.inputs}
    told = []
    for folder in sorted({path.parent for path in trials}):
        speakers = _speakers_of(folder)
        reason = few_speakers(speakers) if speakers else ""
        if reason:
            told.append(f"{folder.name}: {reason}")
    return list(dict.fromkeys(told))  # prepared and packed directories say the same


def _speakers_of(folder: Path) -> int:
    """How many speakers a data directory has; 0 where that is not known yet."""
    path = folder / "utt2spk"
    return len(set(read_map(path).values())) if path.exists() else 0
