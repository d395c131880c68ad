"""Which trial lists have too few speakers for confidence intervals."""

from collections.abc import Iterable
from pathlib import Path

from utils.data_dir.lists import read_map
from utils.metrics.interval_rule import few_speakers
from utils.receipts import Task


def lists_without_intervals(tasks: Iterable[Task]) -> list[str]:
    """A line for each trial list with too few speakers, of those whose data directories exist."""
    folders = {task.inputs["trials"].parent for task in tasks if "trials" in task.inputs}
    lines = []
    for folder in sorted(folders):
        num_speakers = _count_speakers(folder)
        reason = few_speakers(num_speakers) if num_speakers else ""
        if reason:
            lines.append(f"{folder.name}: {reason}")
    return list(dict.fromkeys(lines))  # prepared and packed directories give the same line


def _count_speakers(folder: Path) -> int:
    """Number of speakers of a data directory; 0 if it does not exist yet."""
    path = folder / "utt2spk"
    return len(set(read_map(path).values())) if path.exists() else 0
