"""Speed of VAD: WebRTC in one and in two processes, and every detector on one core.

python -m tests.bench.bench_vad
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from tests.speechlike import RATE, silence, vowels
from utils.cli import run
from utils.data_dir import DataDir, write_data_dir
from utils.errors import UserError
from utils.vad.registry import VADS

FILES, SECONDS = 40, 8.0
GOAL = 1.8


def bench_vad(*, hours: float = 30.0, rounds: int = 3, detector_minutes: float = 5.0) -> dict:
    """Print the gain of a second process in stage 1, start included, and each detector's speed.

    Parameters
    ----------
    hours : float
        Sound for the processes: a few files repeated, so that the disk is not measured.
    rounds : int
        Number of runs with one process and with two, in turn.
    detector_minutes : float
        Sound for each detector.

    Returns
    -------
    dict
        ``ratio`` (median of the rounds), and times real time by detector.
    """
    with tempfile.TemporaryDirectory() as name:
        sounds = make_sounds(Path(name))
        data = make_data_dir(Path(name) / "data", sounds, round(hours * 3600 / SECONDS))
        ratios = []
        for number in range(1, rounds + 1):
            one, two = time_stage_1(data, 1), time_stage_1(data, 2)
            ratios.append(one / two)
            print(
                f"round {number}: {hours:g} hours by 1 process {one:.2f} s "
                f"({hours * 3600 / one:,.0f} x real time), by 2 {two:.2f} s: {one / two:.2f} x",
                flush=True,
            )
        print(
            f"two processes: {np.median(ratios):.2f} x one "
            f"(median of {rounds}; goal {GOAL} on two idle cores)"
        )
        speeds = {kind: detector_speed(kind, sounds, detector_minutes) for kind in VADS}
    for kind, speed in speeds.items():
        text = "   its package is not installed"
        if speed:
            text = f"{speed:10,.0f} x real time, one core"
        print(f"{kind:15}{text}")
    return {"ratio": float(np.median(ratios)), **speeds}


def make_sounds(folder: Path) -> list[Path]:
    """Write vowels between pauses, in faint noise."""
    paths = []
    for number in range(FILES):
        pause = 0.5 + number / FILES
        sound = np.concatenate(
            [silence(pause), vowels(3.0), silence(1.0), vowels(SECONDS - 4.0 - pause)]
        )
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], sound, RATE, subtype="PCM_16")
    return paths


def make_data_dir(folder: Path, sounds: list[Path], utterances: int) -> Path:
    """Write a data directory of many utterances in few files."""
    wav_scp = {f"s{number:06}": str(sounds[number % len(sounds)]) for number in range(utterances)}
    write_data_dir(DataDir(folder, wav_scp, dict.fromkeys(wav_scp, "s")), folder)
    return folder


def time_stage_1(data: Path, processes: int) -> float:
    """Wall-clock seconds of stage 1's array, as a recipe runs it; removes earlier decisions."""
    shutil.rmtree(data / "vad", ignore_errors=True)
    words = [
        "--max",
        str(processes),
        f"JOB=1:{processes}",
        str(data / "log" / "vad.JOB.log"),
        sys.executable,
        "-m",
        "steps.compute_vad",
        str(data),
        "--job",
        f"JOB/{processes}",
    ]
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "utils.launchers", "local", *words],
        check=True,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
    )
    return time.perf_counter() - start


def detector_speed(kind: str, sounds: list[Path], minutes: float) -> float | None:
    """Times real time of a detector with its defaults; None if its package is missing."""
    samples = [soundfile.read(path, dtype="float32")[0] for path in sounds]
    detector = VADS[kind]()
    try:
        detector.decisions(samples[0], RATE)  # loads the package
    except UserError:
        return None
    count = max(1, round(minutes * 60 / SECONDS))
    start = time.process_time()
    for number in range(count):
        detector.decisions(samples[number % len(samples)], RATE)
    return count * SECONDS / (time.process_time() - start)


if __name__ == "__main__":
    run(bench_vad)
