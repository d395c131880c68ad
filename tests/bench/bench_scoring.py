"""Time of scoring, whole processes, files in and files out, on work of VoxCeleb1-E's size.

python -m tests.bench.bench_scoring
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter, read_scp, read_vector
from utils.cli import run

ROOT = Path(__file__).parents[2]
KALDI_SECONDS = 4.9  # ivector-compute-dot-products on the same counts, two cores of another machine


def bench_scoring(
    *,
    num_embeddings: int = 145_116,
    dimensions: int = 256,
    num_trials: int = 579_818,
    naive_trials: int = 10_000,
) -> dict:
    """Make embeddings and trials, score them, and print a table.

    Parameters
    ----------
    num_embeddings, dimensions, num_trials : int
        Size of the work.
    naive_trials : int
        So many are also scored one by one, reading each vector from its archive, and the time is
        scaled up.

    Returns
    -------
    dict
        Seconds of each row.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_embeddings(folder / "test", num_embeddings, dimensions, num_trials)
        train = ["steps.train_backend", folder / "test", folder / "cosine"]
        score = [
            "steps.score",
            folder / "cosine",
            folder / "test",
            folder / "test" / "trials",
            folder / "test.scores",
        ]
        seconds = {}
        print(
            f"{num_trials:,} trials over {num_embeddings:,} embeddings of {dimensions} dimensions"
            f"{'wall s':>12}{'core s':>10}{'peak GiB':>10}"
        )
        for words in (train, score):
            wall, core, memory = timed([sys.executable, "-m", *map(str, words)])
            seconds[words[0]] = wall
            print(f"{words[0]:60}{wall:10.2f}{core:10.2f}{memory:10.2f}")
        start = time.perf_counter()
        score_naively(folder / "test", naive_trials)
        seconds["naive"] = (time.perf_counter() - start) * num_trials / naive_trials
    others = {
        "one trial after the other (scaled up)": seconds["naive"],
        "Kaldi, ivector-compute-dot-products": KALDI_SECONDS,
    }
    for name, duration in others.items():
        slower = duration / seconds["steps.score"]
        print(f"{name:60}{duration:10.2f}   {slower:.1f} x steps.score")
    return seconds


def make_embeddings(folder: Path, num_embeddings: int, dimensions: int, num_trials: int) -> None:
    """Write random embeddings, xvector.ark and xvector.scp, and trials."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((num_embeddings, dimensions), dtype=np.float32)
    num_speakers = min(1251, num_embeddings // 4)
    keys = [f"id{10000 + k % num_speakers}-{k:011d}-00001" for k in range(num_embeddings)]
    with ArchiveWriter(folder / "xvector.ark", folder / "xvector.scp") as writer:
        for key, vector in zip(keys, vectors, strict=True):
            writer.write(key, vector)
    enrol = rng.integers(num_embeddings, size=num_trials)
    enrol.sort()  # as in published lists: the trials of one enrolment side are together
    distance = rng.integers(1, num_embeddings, size=num_trials)
    distance[::2] = num_speakers  # every second trial is a target
    test = (enrol + distance) % num_embeddings
    lines = []
    for one, other in zip(enrol.tolist(), test.tolist(), strict=True):
        kind = "nontarget"
        if (one - other) % num_speakers == 0:
            kind = "target"
        lines.append(f"{keys[one]} {keys[other]} {kind}\n")
    (folder / "trials").write_text("".join(lines))


def timed(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, core seconds and peak memory in GiB of a process on one thread."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: exit status {status}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20


def score_naively(folder: Path, num_trials: int) -> list[str]:
    """Score trials one by one."""
    entries, lines = read_scp(folder / "xvector.scp"), []
    with open(folder / "trials") as trials:
        for line, _ in zip(trials, range(num_trials), strict=False):
            enrol, test, _ = line.split()
            left, right = read_vector(entries[enrol]), read_vector(entries[test])
            cosine = left @ right / np.linalg.norm(left) / np.linalg.norm(right)
            lines.append(f"{enrol} {test} {cosine:.7g}\n")
    return lines


if __name__ == "__main__":
    run(bench_scoring)
