"""What the doctor asks of the software: Python, packages, ffmpeg, libsndfile, GPU, locale.  Standard library only; packages are tried."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from utils.doctor.findings import BAD, WARNING, Finding, ask_program, first_line, graded, in_turn
from utils.requirements import PYTHON, TOO_NEW, faults

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("WAV", "FLAC", "OGG", "MP3")  # what corpora come in; each is written and read
TORCH = """import torch
print(torch.__version__, torch.version.cuda or "none", torch.cuda.device_count() if torch.cuda.is_available() else 0)"""


def check_software(device: str) -> Iterator[Finding]:
    """All of them, one after the other.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``: what training and extraction are to run on.
    """
    yield from in_turn(
        [
            ("Python", _check_python),
            ("packages", _check_packages),
            ("ffmpeg", check_ffmpeg),
            ("libsndfile", check_libsndfile),
            ("GPU", lambda: check_gpu(device)),
            ("locale", check_locale),
        ]
    )


def _check_python() -> Finding:
    """The interpreter that recipes would run on, before they make an environment of their own."""
    version = ".".join(map(str, sys.version_info[:3]))
    mend = "install Python 3.11, 3.12 or 3.13 (conda create -n sv python=3.12), or activate an environment that has it"
    return graded(
        "Python",
        f"{version}, {sys.executable}",
        (sys.version_info < PYTHON, BAD, mend),
        (
            sys.version_info >= TOO_NEW,
            WARNING,
            f"{mend}; packages may have no wheels for this one yet",
        ),
    )


def _check_packages() -> Finding:
    """Packages of requirements.txt at their versions or newer."""
    missing, old = faults([ROOT / "requirements.txt"])
    told = "; ".join(
        filter(
            None,
            [
                f"missing: {', '.join(missing)}" if missing else "",
                f"too old: {', '.join(old)}" if old else "",
            ],
        )
    )
    mend = "pip install -r requirements.txt, or start any recipe without --doctor: it installs them into .venv"
    return graded(
        "packages",
        told or "all of requirements.txt, at its versions or newer",
        (bool(told), BAD, mend),
    )


def check_ffmpeg() -> Finding:
    """The program that decodes m4a and the like."""
    done = ask_program(["ffmpeg", "-version"])
    mend = "only m4a, aac, webm and wma need it: apt install ffmpeg, conda install -c conda-forge ffmpeg, or brew install ffmpeg"
    if done is None:
        return Finding("ffmpeg", WARNING, "not on PATH", mend)
    return graded(
        "ffmpeg", first_line(done)[:60], (done.returncode != 0, BAD, f"it does not start; {mend}")
    )


def check_libsndfile() -> Finding:
    """The library that reads wav, flac, ogg and mp3: a second of each is written and read."""
    try:
        import numpy as np
        import soundfile
    except ImportError as error:
        return Finding(
            "libsndfile", BAD, f"not looked at: {error}", "pip install -r requirements.txt"
        )
    except OSError as error:  # soundfile is there and its library is not
        return Finding(
            "libsndfile",
            BAD,
            str(error),
            "pip install --force-reinstall soundfile (its wheels hold it), or apt install libsndfile1",
        )
    unread = []
    for name in FORMATS:
        file = io.BytesIO()
        try:
            soundfile.write(file, np.zeros(16000, np.float32), 16000, format=name)
            file.seek(0)
            if not len(soundfile.read(file)[0]):
                unread.append(name.lower())
        except (RuntimeError, ValueError, TypeError):
            # LibsndfileError; a format that this library does not know
            unread.append(name.lower())
    version = soundfile.__libsndfile_version__
    told = f"{version}, reads {', '.join(name.lower() for name in FORMATS if name.lower() not in unread)}"
    return graded(
        "libsndfile",
        told + (f"; not {', '.join(unread)}" if unread else ""),
        (
            bool(unread),
            WARNING,
            "libsndfile 1.1 or newer reads them all: pip install --force-reinstall soundfile",
        ),
    )


def check_gpu(device: str) -> Finding:
    """Cards and driver, and whether torch sees them.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.
    """
    wanted = BAD if device == "cuda" else WARNING
    cards = ask_program(
        ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    )
    torch = ask_program([sys.executable, "-c", TORCH]) if find_spec("torch") else None
    answer = torch if torch is not None and torch.returncode == 0 else None
    answered = answer is not None
    words = answer.stdout.split() if answer is not None else []
    seen = int(words[2]) if answered else 0
    told = "; ".join(
        filter(
            None,
            [
                "no nvidia-smi"
                if cards is None
                else cards.stdout.strip().replace("\n", "; ")
                if not cards.returncode
                else first_line(cards),
                f"torch {words[0]}, CUDA {words[1]}, sees {seen}"
                if answered
                else "torch cannot be imported",
            ],
        )
    )
    if cards is None:
        return graded(
            "GPU",
            told,
            (
                device == "cuda" and not seen,
                BAD,
                (
                    "--device cpu, or a machine with an NVIDIA card and driver (containers: "
                    "docker run --gpus all, apptainer exec --nv)"
                ),
            ),
        )
    return graded(
        "GPU",
        told,
        (
            cards.returncode != 0,
            wanted,
            "the driver does not answer: install or reload it (a restart, often)",
        ),
        (not answered, wanted, "pip install -r requirements.txt"),
        (
            answered and words[1] == "none",
            wanted,
            "this torch is a build for CPUs: pip install --force-reinstall torch as README.md says",
        ),
        (
            not seen,
            wanted,
            (
                "a newer driver, or a torch for the driver's CUDA: pip install torch==2.13.0 "
                "--index-url https://download.pytorch.org/whl/cu126"
            ),
        ),
    )


def check_locale() -> Finding:
    """Byte order of sort and UTF-8 in Python: Kaldi's lists need both."""
    done = subprocess.run(["sort"], input="a\nB\n", capture_output=True, text=True, check=False)
    by_bytes, utf8 = (
        done.stdout == "B\na\n",
        sys.flags.utf8_mode or sys.getfilesystemencoding().lower() == "utf-8",
    )
    order = "bytes" if by_bytes else "words"
    return graded(
        "locale",
        f"LC_ALL={os.environ.get('LC_ALL', '')}, sort goes by {order}, files are {sys.getfilesystemencoding()}",
        (
            not by_bytes or not utf8,
            WARNING,
            "export LC_ALL=C PYTHONUTF8=1, as path.sh does for every recipe",
        ),
    )
