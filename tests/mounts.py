"""A small disk of its own, for tests of what happens across mounts and on full ones."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mounted(*words) -> bool:
    """Whether mount took these words."""
    return (
        subprocess.run(["mount", *map(str, words)], capture_output=True, check=False).returncode
        == 0
    )


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A tmpfs; the test is skipped where this user may not mount one."""
    place.mkdir()
    if os.geteuid() or not mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place):
        pytest.skip(
            "only root can mount a small tmpfs here: what happens on another disk is not tried"
        )
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
