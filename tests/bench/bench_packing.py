"""Speed of packing hours of flac in several jobs, next to a naive script.

One job is killed and started again: the bytes must be those of an undisturbed run.

    python -m tests.bench.bench_packing --hours 1
    python -m tests.bench.bench_packing --hours 100 --folder /scratch

Needs 115 MB an hour (100 hours: 11.5 GB) in a temporary folder, which is removed.
"""

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kaldiio
import numpy as np
import soundfile
import soxr

from utils.cli import run
from utils.data_dir import DataDir, read_map, write_data_dir
from utils.errors import UserError

RATE = 16000
NUM_FILES, SECONDS = 200, 8.0  # different files, each of which is named many times


def bench_packing(
    *,
    hours: float = 100.0,
    naive_hours: float = 5.0,
    jobs: int = 2,
    source_rate_hz: int = RATE,
    folder: Path | None = None,
) -> dict:
    """Print how many times as fast as real time hours of flac are packed.

    Parameters
    ----------
    hours : float
        Sound to pack; 0.115 GB of disk each.
    naive_hours : float
        Sound that the naive way has to read, at most.
    jobs : int
        Processes at the same time.
    source_rate_hz : int
        Sample rate of the flac; other rates than 16000 are resampled.
    folder : path or None
        Where the temporary folder is made; None: in the system's folder for them.

    Returns
    -------
    dict
        Times real time of each row.
    """
    num_utterances = round(hours * 3600 / SECONDS)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        data, packed = Path(name) / "data", Path(name) / "packed"
        read_bytes = make_data(Path(name) / "flac", data, num_utterances, source_rate_hz)
        print(
            f"{num_utterances:,} utterances of {SECONDS:.0f} s, {NUM_FILES} different ones: "
            f"{hours:.1f} hours at {source_rate_hz} Hz"
        )
        start = time.perf_counter()
        for process in start_jobs(data, packed, jobs):
            expect_success(process)
        rows = {
            f"pack_audio, {jobs} jobs": report(
                f"pack_audio, {jobs} jobs", hours, time.perf_counter() - start, read_bytes
            )
        }
        collect(data, packed, jobs)
        undisturbed = digests(packed)
        most = max(1, min(num_utterances, round(naive_hours * 3600 / SECONDS)))
        start = time.perf_counter()
        pack_naively(data, Path(name) / "naive", most)
        rows["naive, 1 process"] = report(
            "naive, 1 process",
            hours * most / num_utterances,
            time.perf_counter() - start,
            read_bytes * most / num_utterances,
        )
        print(f"{rows[f'pack_audio, {jobs} jobs'] / rows['naive, 1 process']:.2f} times as fast")
        for path in (*packed.rglob("*"), *Path(name).glob("naive*")):
            if path.is_file():
                path.unlink()
        seconds = pack_with_a_kill(data, packed, jobs)
        collect(data, packed, jobs)
        if digests(packed) != undisturbed:
            raise UserError(
                "after a kill and a second run the bytes differ from those of an undisturbed run"
            )
        print(
            f"one job killed half-way, then all started again: done after another {seconds:.1f} s, "
            f"{len(undisturbed)} files, the same bytes"
        )
    return rows


def make_data(sounds: Path, data: Path, num_utterances: int, rate: int) -> float:
    """Write flac files and a data directory that repeats them; returns the bytes to read."""
    rng, paths = np.random.default_rng(0), []
    sounds.mkdir()
    times = np.arange(round(SECONDS * rate)) / rate
    for number in range(NUM_FILES):
        pitch_hz = rng.uniform(80, 250)
        phase = (
            2
            * np.pi
            * pitch_hz
            * (times + 0.01 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * times))
        )
        voice = sum(np.sin(k * phase) / k for k in range(1, 12)) * np.clip(
            np.sin(2 * np.pi * rng.uniform(1, 3) * times), 0, None
        )
        paths.append(sounds / f"{number:03}.flac")
        soundfile.write(
            paths[-1], 0.1 * voice + rng.normal(0, 2e-3, len(times)), rate, subtype="PCM_16"
        )
    names = [f"s{number % 100:02}-{number:07}" for number in range(num_utterances)]
    wav_scp = {key: str(paths[number % NUM_FILES]) for number, key in enumerate(names)}
    write_data_dir(
        DataDir(
            data,
            wav_scp,
            {key: key[:3] for key in names},
            None,
            {"utt2dur": dict.fromkeys(names, f"{SECONDS:.4f}")},
        ),
        data,
    )
    return sum(path.stat().st_size for path in paths) * num_utterances / NUM_FILES


def start_jobs(data: Path, packed: Path, jobs: int) -> list[subprocess.Popen]:
    """Start an array of packing jobs."""
    command = [
        sys.executable,
        "-m",
        "steps.pack_audio",
        str(data),
        str(packed),
        "--min-speech-seconds",
        "0",
        "--job",
    ]
    return [subprocess.Popen([*command, f"{job}/{jobs}"]) for job in range(1, jobs + 1)]


def expect_success(process: subprocess.Popen) -> None:
    """Wait for a process; its exit code must be 0."""
    if process.wait():
        raise UserError(f"{' '.join(process.args)}: ended with exit code {process.returncode}")


def collect(data: Path, packed: Path, jobs: int) -> None:
    """Merge the parts of the jobs."""
    expect_success(
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "steps.collect_packed",
                str(data),
                str(packed),
                "--jobs",
                str(jobs),
            ]
        )
    )


def pack_with_a_kill(data: Path, packed: Path, jobs: int) -> float:
    """Kill the first job half-way and start all again; returns the seconds of the second start."""
    half = (
        sum(float(seconds) for seconds in read_map(data / "utt2dur").values()) * 2 * RATE / jobs / 2
    )
    victim, *others = start_jobs(data, packed, jobs)
    written = packed / ".packed.1.ark.tmp"
    while not written.exists() or written.stat().st_size < half:
        if victim.poll() is not None:
            raise UserError("the job was done before it could be killed; take more --hours")
        time.sleep(0.002)
    victim.kill()
    victim.wait()
    for process in others:
        expect_success(process)
    start = time.perf_counter()
    for process in start_jobs(data, packed, jobs):
        expect_success(process)
    return time.perf_counter() - start


def pack_naively(data: Path, stem: Path, num_utterances: int) -> None:
    """Pack the first utterances with a plain script of soundfile, soxr and kaldiio."""
    entries = list(read_map(data / "wav.scp").items())[:num_utterances]
    with kaldiio.WriteHelper(f"ark,scp:{stem}.ark,{stem}.scp") as writer:
        for key, path in entries:
            samples, rate = soundfile.read(path)
            if rate != RATE:
                samples = soxr.resample(samples, rate, RATE)
            writer(key, (RATE, np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)))


def report(name: str, hours: float, seconds: float, read_bytes: float) -> float:
    """Print a row; returns the speed in times real time."""
    speed = hours * 3600 / seconds
    written_bytes = hours * 3600 * 2 * RATE
    print(
        f"{name:24}{hours:8.2f} hours in {seconds:8.1f} s: {speed:8,.0f} x real time, "
        f"{read_bytes / seconds / 1e6:7.1f} MB/s of flac in, "
        f"{written_bytes / seconds / 1e6:7.1f} MB/s of samples out",
        flush=True,
    )
    return speed


def digests(packed: Path) -> dict[str, str]:
    """SHA-256 of every file except the receipts, which hold times."""
    result = {}
    for path in sorted(packed.rglob("*")):
        if path.is_file() and "receipts" not in path.parts:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256")
            result[str(path.relative_to(packed))] = digest.hexdigest()
    return result


if __name__ == "__main__":
    run(bench_packing)
