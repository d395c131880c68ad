"""Audio hours that a core embeds in an hour: a published network here, and by its toolkit's code.

    python -m tests.bench.bench_published_rate NAME FOLDER PYTHON

NAME: ``campplus``, ``ecapa`` or ``resemblyzer``.  PYTHON: an interpreter with the same release of
torch and with the toolkit: SpeechBrain; Resemblyzer; torchaudio, and 3D-Speaker's checkout on
PYTHONPATH.  Both sides start from the files, use one thread, and take turns; what is compared is
processor time, start-up and loading left out.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile as sf

from tests.conftest import ROOT
from utils.cli import run

TOOLKIT = ROOT / "tests/bench/embed_by_toolkit.py"
SOUND = (".wav", ".flac")


def bench_published_rate(
    name: str, folder: Path, python: Path, *, num_files: int = 100, rounds: int = 3
) -> dict:
    """Print the rates of each round and the median ratio.

    Parameters
    ----------
    name : str
        Published network.
    folder : path
        The wav and flac files below it are taken in order, at equal distances.
    python : path
        Interpreter that has the toolkit.
    num_files : int
        How many files.
    rounds : int
        Turns of each side.

    Returns
    -------
    dict
        Hours per core hour of both sides, by round.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix in SOUND)
    files = found[:: max(1, len(found) // num_files)][:num_files]
    listed = "\n".join(str(file.resolve()) for file in files)
    audio_seconds = sum(sf.info(str(file)).duration for file in files)
    sides = {
        "here": [sys.executable, "-m", "tests.bench.bench_published_rate", "--one", name],
        "toolkit": [str(python), str(TOOLKIT), name],
    }
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, command in sides.items():
            shown = subprocess.run(
                command, input=listed, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
            )
            core_seconds = sum(float(line) for line in shown.stdout.split())
            rates[side].append(audio_seconds / core_seconds)
    print(f"{name}: {len(files)} files, {audio_seconds:.0f} s")
    print("| round | here | toolkit | ratio |\n|---|---|---|---|")
    ratios = []
    for number, (ours, theirs) in enumerate(zip(*rates.values(), strict=True), start=1):
        ratios.append(ours / theirs)
        print(f"| {number} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")
    print(f"median ratio: {np.median(ratios):.2f}")
    return rates


def embed_here(name: str) -> None:
    """The same as `embed_by_toolkit`, by this project."""
    import torch

    from steps.api import load_model

    torch.set_num_threads(1)
    files = sys.stdin.read().splitlines()
    model = load_model(name)
    model.embed(files[0])
    for path in files:
        start = time.process_time()
        model.embed(path)
        print(time.process_time() - start, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        embed_here(sys.argv[2])
    else:
        run(bench_published_rate)
