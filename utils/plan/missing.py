"""What a plan lacks: files that no stage makes, programs, packages, a GPU, disk and memory."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from utils.audio.ffmpeg import MISSING as NO_FFMPEG
from utils.audio.ffmpeg import SUFFIXES as NEED_FFMPEG
from utils.doctor.cluster import SUBMITS
from utils.files import describe_no_folder
from utils.machine import nearest_existing
from utils.plan.audio_counts import Corpus, list_wav_entries
from utils.receipts import Task


def missing_options(options: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each option whose path, or one of whose paths joined by commas, does not exist."""
    lines = []
    for option, value in options:
        paths = [value] if Path(value).exists() else value.split(",")
        lines += [
            f"--{option} {path}: no such file or folder"
            for path in paths
            if not Path(path).exists()
        ]
    return lines


def missing_inputs(unfinished: Sequence[Task]) -> list[str]:
    """A line for each missing input that no unfinished task makes."""
    homes = {task.home.absolute() for task in unfinished}
    missing: dict[Path, Path] = {}  # absolute path -> path
    for task in unfinished:
        for path in task.inputs.values():
            if not path.exists() and homes.isdisjoint(path.absolute().parents):
                missing[path.absolute()] = path
    return [
        f"{path}: needed, and no stage of this recipe makes it"
        for _, path in sorted(missing.items())
    ]


def unwritable_folders(homes: Iterable[Path]) -> list[str]:
    """A line for each folder of outputs that cannot be made or written to."""
    lines = []
    for folder in sorted(set(map(nearest_existing, homes))):
        if not folder.is_dir():
            lines.append(f"{folder}: {describe_no_folder(folder)}")
        elif not os.access(folder, os.W_OK):
            lines.append(
                f"{folder}: this user may not write there; give --workdir DIR, another folder"
            )
    return lines


def missing_programs(unfinished: Sequence[Task], corpora: Iterable[Corpus], cmd: str) -> list[str]:
    """A line for each missing program or package of unfinished tasks; cmd is run.sh's --cmd."""
    lines = []
    compressed = _first_compressed(unfinished, corpora)
    if compressed and not shutil.which("ffmpeg"):
        lines.append(f"ffmpeg: {compressed}: {NO_FFMPEG}")
    if cmd in SUBMITS and not shutil.which(SUBMITS[cmd]):
        lines.append(f"{SUBMITS[cmd]}: --cmd {cmd} submits with it, and it is not on the PATH")
    detectors = {task.options.get("detector", {}).get("name") for task in unfinished}
    if "silero" in detectors and not find_spec("silero_vad"):
        lines.append(
            "silero-vad: the detector of --vad needs this package; "
            "pip install -r requirements-optional.txt"
        )
    return lines


def _first_compressed(tasks: Iterable[Task], corpora: Iterable[Corpus]) -> str:
    """The first corpus, else the first wav.scp entry, that ffmpeg has to decode; empty for none."""
    for corpus in corpora:
        if not corpus.suffixes.keys().isdisjoint(NEED_FFMPEG):
            return f"--{corpus.option} {corpus.path}"
    for entry in list_wav_entries(tasks):
        if entry.lower().endswith(NEED_FFMPEG):
            return entry
    return ""


def missing_gpu(commands: Iterable[Sequence[str]], cmd: str) -> list[str]:
    """A line if commands need a GPU on this machine and there is none."""
    if cmd != "local" or not any("cuda" in command for command in commands):
        return []
    check = subprocess.run(
        [sys.executable, "-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"],
        capture_output=True,
        check=False,
    )
    if check.returncode == 0:
        return []
    return ["GPU: --device cuda, and torch sees none here; --doctor --device cuda says why"]


def too_little(what: str, needed: float, available: float, remedy: str) -> list[str]:
    """A line if fewer bytes of disk or memory are available than needed."""
    if needed <= available:
        return []
    return [f"{what}: {needed / 1e9:,.1f} GB needed, {available / 1e9:,.1f} GB available; {remedy}"]
