"""Time and memory of preparing a corpus of VoxCeleb2's size, made of hard links to short waves.

    python -m tests.bench.bench_prepare [utterances] [jobs]

The tree is in memory (/dev/shm) where that exists, so that the disk's time is left out. Each row is
one process, with its wall-clock seconds, start included, and its peak memory. The first run lists,
reads every header and writes all lists; the second reads no headers; the third does nothing.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.lookalike.voxceleb import make_voxceleb1, write_wave

UTTERANCES, VIDEOS, SEGMENTS = 1_092_009, 27, 7
LINKS = 30_000  # to one file; file systems have their limits


def make_tree(root: Path, utterances: int) -> None:
    """Make folders dev/wav/<speaker>/<video>/ of hard links."""
    source, made = None, 0
    for speaker in range(12, 10_000):
        for video in range(VIDEOS):
            folder = root / "dev" / "wav" / f"id{speaker:05d}" / f"video{video:06d}"
            folder.mkdir(parents=True)
            for segment in range(1, SEGMENTS + 1):
                if made % LINKS == 0:
                    source = root / f".source{made}.wav"
                    write_wave(source, np.zeros(16_000 + made // LINKS))
                os.link(source, folder / f"{segment:05d}.wav")
                made += 1
                if made == utterances:
                    return


def measure(name: str, words: list[str]) -> None:
    """Run a command of Python and print its row."""
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{name}: exit code {process.returncode}"
    core = usage.ru_utime + usage.ru_stime
    print(
        f"{name:34} {time.perf_counter() - start:8.1f} s {core:8.1f} s of core time "
        f"{usage.ru_maxrss / 1024:8.0f} MiB"
    )


def main() -> None:
    """Make the tree, prepare it three times, print the table."""
    utterances = int(sys.argv[1]) if len(sys.argv) > 1 else UTTERANCES
    jobs = sys.argv[2] if len(sys.argv) > 2 else str(os.cpu_count())
    base = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    try:
        one = make_voxceleb1(base / "one", seconds=0.1)
        start = time.perf_counter()
        make_tree(base / "two", utterances)
        print(f"{utterances:,} links made in {time.perf_counter() - start:.0f} s; {jobs} jobs")
        words = [
            "-m",
            "local.prepare_voxceleb",
            str(one),
            str(base / "out"),
            "--voxceleb2",
            str(base / "two"),
            "--tests",
            "[vox1_o]",
            "--allow-incomplete",
            "true",
            "--jobs",
            jobs,
        ]
        measure("first: list, headers, lists", words)
        for made in (base / "out").rglob("receipts/made.json"):
            made.unlink()
        measure("again, everything measured", words)
        measure("nothing to do", words)
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"largest process: {children:.0f} MiB")
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
