"""What a receipt records of the run itself: processor time, memory and the checkout's commit."""

import resource
import subprocess
import sys
from pathlib import Path


def core_seconds() -> float:
    """Processor time of this process and the children that it waited for, all threads, in seconds."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def peak_memory_bytes() -> int:
    """Most memory that this process, or one of the children that it waited for, has held so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(whose).ru_maxrss for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def commit() -> str:
    """The checkout's commit, for the record; empty outside git."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
