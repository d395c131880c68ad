"""Time and memory of the data directory at the size of VoxCeleb 1 and 2 with four augmented copies.

    python -m tests.bench.bench_data_dir [utterances]

Each row is one process, with its wall-clock seconds, start included, and its peak memory.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEAKERS = 7_205
TRIALS = 580_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def make_data_dir(
    folder: Path, utterances: int, *, missing: bool = False, shuffled: bool = False
) -> None:
    """Write lists shaped like VoxCeleb's; `missing`: one line in a thousand is left out."""
    draw = random.Random(1)
    folder.mkdir()
    ids = {}
    for n in range(utterances):
        speaker = f"id{10_001 + n % SPEAKERS}"
        video = "".join(draw.choices(ALPHABET, k=11))
        ids[f"{speaker}-{video}-{draw.randrange(500):05d}"] = speaker
    ids = dict(sorted(ids.items()))
    members = {}
    for utterance, speaker in ids.items():
        members.setdefault(speaker, []).append(utterance)
    lists = {
        "utt2spk": [f"{utterance} {speaker}\n" for utterance, speaker in ids.items()],
        "wav.scp": [
            f"{utterance} /data/voxceleb/dev/aac/{utterance.replace('-', '/')}.m4a\n"
            for utterance in ids
        ],
        "utt2dur": [f"{utterance} {draw.uniform(4, 20):.2f}\n" for utterance in ids],
        "spk2gender": [f"{speaker} {'mf'[n % 2]}\n" for n, speaker in enumerate(members)],
        "spk2utt": [f"{speaker} {' '.join(names)}\n" for speaker, names in members.items()],
    }
    for name, lines in lists.items():
        if missing and name != "spk2gender":
            del lines[draw.randrange(1000) :: 1000]
        if shuffled:
            draw.shuffle(lines)
        (folder / name).write_text("".join(lines), encoding="ascii")


def make_trials(path: Path) -> None:
    """Write a list of trials of VoxCeleb1-E's size."""
    with open(path, "w", encoding="ascii") as file:
        for n in range(TRIALS):
            sides = (
                f"id{10_001 + (n + k * n) % 1251}-x6uYqmx31kE-{n * 7 % 145_000:06d}{k}"
                for k in range(2)
            )
            file.write(f"{' '.join(sides)} {'target' if n % 2 else 'nontarget'}\n")


def measure(name: str, *command: str) -> None:
    """Run a command of Python and print its row."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = process.stdout.read().decode().strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    seconds, cpu_seconds = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    print(
        f"{name:28} {seconds:6.2f} s {cpu_seconds:6.2f} s of CPU "
        f"{usage.ru_maxrss / 2**20:6.2f} GiB  exit {os.WEXITSTATUS(status)}"
        f"  {output[-1][-70:] if output else ''}",
        flush=True,
    )


def bench_data_dir(utterances: int = 1_200_000) -> None:
    """Make data directories in a temporary folder and print the table."""
    folder = Path(tempfile.mkdtemp())
    try:
        make_data_dir(folder / "good", utterances)
        make_data_dir(folder / "gaps", utterances, missing=True)
        make_data_dir(folder / "bad", utterances, missing=True, shuffled=True)
        make_trials(folder / "trials")
        print(f"{utterances:,} utterances of {SPEAKERS:,} speakers; {TRIALS:,} trials")
        module = ("-m", "utils.data_dir")
        library = "from utils.data_dir import *; "
        measure("start of Python alone", "-c", library)
        measure("validate", *module, "validate", str(folder / "good"))
        measure("validate, bad", *module, "validate", str(folder / "bad"))
        measure("fix, nothing to do", *module, "fix", str(folder / "good"))
        measure("fix, lines missing", *module, "fix", str(folder / "gaps"))
        measure("fix, missing and shuffled", *module, "fix", str(folder / "bad"))
        measure(
            "read_data_dir(check=False)",
            "-c",
            f"{library}read_data_dir({str(folder / 'good')!r}, check=False)",
        )
        measure(
            "subset --per-speaker 5",
            *module,
            "subset",
            str(folder / "good"),
            str(folder / "subset"),
            "--per-speaker",
            "5",
        )
        measure("read_trials", "-c", f"{library}read_trials({str(folder / 'trials')!r})")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    bench_data_dir(*map(int, sys.argv[1:]))
