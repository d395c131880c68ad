"""Checks of the software: Python, packages, ffmpeg, libsndfile, GPU, locale.

Standard library only; packages are imported inside the checks.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from utils.doctor.findings import (
    BAD,
    OK,
    WARNING,
    Finding,
    ask_program,
    first_line,
    graded,
    in_turn,
)
from utils.requirements import PYTHON, TOO_NEW, faults

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ("WAV", "FLAC", "OGG", "MP3")  # of corpora; each is written and read
OTHER_CUDA = "pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cu126"
TORCH = """import torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
print(torch.__version__, torch.version.cuda or "none", count)"""


def check_software(device: str) -> Iterator[Finding]:
    """Run all checks; `device`, ``cpu`` or ``cuda``, is that of training and extraction."""
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
    """The interpreter for recipes, before they create their own environment."""
    version = sys.version.split()[0]
    remedy = (
        "install Python 3.11, 3.12 or 3.13 (conda create -n sv python=3.12), "
        "or activate an environment that has it"
    )
    return graded(
        "Python",
        f"{version}, {sys.executable}",
        (sys.version_info < PYTHON, BAD, remedy),
        (
            sys.version_info >= TOO_NEW,
            WARNING,
            f"{remedy}; packages may have no wheels for this one yet",
        ),
    )


def _check_packages() -> Finding:
    """Packages of requirements.txt at their versions or newer."""
    missing, old = faults([ROOT / "requirements.txt"])
    facts = []
    if missing:
        facts.append(f"missing: {', '.join(missing)}")
    if old:
        facts.append(f"too old: {', '.join(old)}")
    if not facts:
        return Finding("packages", OK, "all of requirements.txt, at its versions or newer")
    remedy = (
        "pip install -r requirements.txt, or start any recipe without --doctor: "
        "it installs them into .venv"
    )
    return Finding("packages", BAD, "; ".join(facts), remedy)


def check_ffmpeg() -> Finding:
    """The program that decodes m4a and the like."""
    done = ask_program(["ffmpeg", "-version"])
    remedy = (
        "only m4a, aac, webm and wma need it: apt install ffmpeg, "
        "conda install -c conda-forge ffmpeg, or brew install ffmpeg"
    )
    if done is None:
        return Finding("ffmpeg", WARNING, "not on PATH", remedy)
    if done.returncode:
        return Finding("ffmpeg", BAD, first_line(done)[:60], f"it does not start; {remedy}")
    return Finding("ffmpeg", OK, first_line(done)[:60])


def check_libsndfile() -> Finding:
    """The library for wav, flac, ogg and mp3: one second of each is written and read."""
    try:
        import numpy as np
        import soundfile
    except ImportError as error:
        return Finding(
            "libsndfile", BAD, f"not checked: {error}", "pip install -r requirements.txt"
        )
    except OSError as error:  # soundfile without its library
        remedy = (
            "pip install --force-reinstall soundfile (its wheels include it), "
            "or apt install libsndfile1"
        )
        return Finding("libsndfile", BAD, str(error), remedy)
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
    names = [name.lower() for name in FORMATS]
    readable = [name for name in names if name not in unread]
    facts = f"{soundfile.__libsndfile_version__}, reads {', '.join(readable)}"
    if unread:
        remedy = "libsndfile 1.1 or newer reads them all: pip install --force-reinstall soundfile"
        return Finding("libsndfile", WARNING, f"{facts}; not {', '.join(unread)}", remedy)
    return Finding("libsndfile", OK, facts)


def check_gpu(device: str) -> Finding:
    """Cards and driver, and whether torch can use them; faults are bad if `device` is ``cuda``."""
    verdict = WARNING
    if device == "cuda":
        verdict = BAD
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    cards = ask_program(["nvidia-smi", *query])
    torch_facts, cuda, num_devices = _torch_and_cuda()
    facts = f"{_describe_cards(cards)}; {torch_facts}"
    if cards is None:
        if device != "cuda" or num_devices:
            return Finding("GPU", OK, facts)
        return Finding(
            "GPU",
            BAD,
            facts,
            "--device cpu, or a machine with an NVIDIA card and driver (containers: "
            "docker run --gpus all, apptainer exec --nv)",
        )
    return graded(
        "GPU",
        facts,
        (
            cards.returncode != 0,
            verdict,
            "the driver does not answer: install or reload it (often a restart helps)",
        ),
        (not cuda, verdict, "pip install -r requirements.txt"),
        (
            cuda == "none",
            verdict,
            "this torch is built for CPUs: pip install --force-reinstall torch, see docs/use.md",
        ),
        (
            not num_devices,
            verdict,
            f"a newer driver, or a torch for the driver's CUDA: {OTHER_CUDA}",
        ),
    )


def _describe_cards(cards: subprocess.CompletedProcess | None) -> str:
    if cards is None:
        return "no nvidia-smi"
    if cards.returncode:
        return first_line(cards)
    return cards.stdout.strip().replace("\n", "; ")


def _torch_and_cuda() -> tuple[str, str, int]:
    """Facts about torch, its CUDA version (empty without torch) and the number of GPUs it sees."""
    done = None
    if find_spec("torch"):
        done = ask_program([sys.executable, "-c", TORCH])
    if done is None or done.returncode:
        return "torch cannot be imported", "", 0
    version, cuda, num_devices = done.stdout.split()
    return f"torch {version}, CUDA {cuda}, sees {num_devices}", cuda, int(num_devices)


def check_locale() -> Finding:
    """Byte order of sort and UTF-8 in Python, which Kaldi's lists need."""
    done = subprocess.run(["sort"], input="a\nB\n", capture_output=True, text=True, check=False)
    encoding = sys.getfilesystemencoding()
    is_utf8 = bool(sys.flags.utf8_mode) or encoding.lower() == "utf-8"
    sorts_bytes = done.stdout == "B\na\n"
    order = "locale"
    if sorts_bytes:
        order = "bytes"
    return graded(
        "locale",
        f"LC_ALL={os.environ.get('LC_ALL', '')}, sort orders by {order}, file names are {encoding}",
        (
            not sorts_bytes or not is_utf8,
            WARNING,
            "export LC_ALL=C PYTHONUTF8=1, as path.sh does for every recipe",
        ),
    )
