"""Whether this Python has the packages of requirements files; exit code 0 if so.

    python -m utils.requirements requirements.txt

Standard library only: path.sh runs it on Pythons without any package.
"""

from __future__ import annotations  # old Pythons must be able to run this

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYTHON = (3, 11)  # the oldest that the code runs on
TOO_NEW = (3, 14)  # the first for which some package has no wheel


def read_pins(path: str | Path) -> dict[str, str]:
    """Package -> version of the lines ``name[extra]==version`` of a requirements file."""
    text = Path(path).read_text(encoding="utf-8")
    lines = (line.split("#")[0].strip() for line in text.split("\n"))
    return dict(re.split(r"(?:\[.*\])?==", line) for line in lines if line)


def _numbers(text: str) -> list[int]:
    """The first three numbers of a version: ``2.13.0+cu130`` gives 2, 13, 0."""
    return [int(number) for number in re.findall(r"\d+", text.split("+", maxsplit=1)[0])[:3]]


def faults(paths: Sequence[str | Path]) -> tuple[list[str], list[str]]:
    """Missing and outdated packages of requirements files.

    Returns
    -------
    missing : list of str
        Such as ``torch==2.13.0``.
    outdated : list of str
        Such as ``numpy 1.26.0 (2.4.6 required)``.
    """
    missing, outdated = [], []
    for path in paths:
        for name, pin in read_pins(path).items():
            try:
                installed = version(name)
            except PackageNotFoundError:
                missing.append(f"{name}=={pin}")
                continue
            if _numbers(installed) < _numbers(pin):
                outdated.append(f"{name} {installed} ({pin} required)")
    return missing, outdated


if __name__ == "__main__":
    sys.exit(sys.version_info < PYTHON or any(faults(sys.argv[1:])))
