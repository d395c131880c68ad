"""Whether this Python has what requirements files ask for: `python -m utils.requirements requirements.txt`, whose exit code says it.

Standard library only: path.sh asks Pythons that have nothing else.
"""

from __future__ import annotations  # an old Python, too, has to be able to answer

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYTHON = (3, 11)  # the first that the code runs on
TOO_NEW = (3, 14)  # the first that packages of requirements.txt have no wheels for


def read_pins(path: str | Path) -> dict[str, str]:
    """Package -> version of the lines ``name[extra]==version``.

    Parameters
    ----------
    path : path
        A requirements file.
    """
    text = Path(path).read_text(encoding="utf-8")
    lines = (line.split("#")[0].strip() for line in text.split("\n"))
    return dict(re.split(r"(?:\[.*\])?==", line) for line in lines if line)


def _numbers(text: str) -> list[int]:
    """The first three numbers of a version: ``2.13.0+cu130`` gives 2, 13, 0."""
    return [int(number) for number in re.findall(r"\d+", text.split("+", maxsplit=1)[0])[:3]]


def faults(paths: Sequence[str | Path]) -> tuple[list[str], list[str]]:
    """What is missing, and what is older than asked for.

    Parameters
    ----------
    paths : sequence of path
        Requirements files.

    Returns
    -------
    list of str and list of str
        ``torch==2.13.0``; ``numpy 1.26.0 (2.4.6 asked for)``.
    """
    missing, old = [], []
    for name, pin in (pair for path in paths for pair in read_pins(path).items()):
        try:
            if _numbers(version(name)) < _numbers(pin):
                old.append(f"{name} {version(name)} ({pin} asked for)")
        except PackageNotFoundError:
            missing.append(f"{name}=={pin}")
    return missing, old


if __name__ == "__main__":
    sys.exit(sys.version_info < PYTHON or any(faults(sys.argv[1:])))
