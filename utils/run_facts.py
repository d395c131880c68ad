"""What a receipt records of the run itself: processor time and the checkout's commit."""

import resource
import subprocess
from pathlib import Path


def core_seconds() -> float:
    """Processor time of this process and the children that it waited for, all threads, in seconds."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def commit() -> str:
    """The checkout's commit, for the record; empty outside git."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
