"""Time of score normalisation, calibration and decisions, on work of VoxCeleb1-E's size.

    python -m tests.bench.bench_score_norm
    python -m tests.bench.bench_score_norm --device cuda
    # memory of a cohort of a million
    python -m tests.bench.bench_score_norm --cohort 1000000 --num-embeddings 500 --num-trials 2000

Whole processes on two threads, files in and files out.  The naive way, one trial after the other
against the whole cohort, is measured on a few trials and scaled up.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.bench.bench_scoring import make_embeddings, timed
from utils.archive import ArchiveWriter, read_vectors
from utils.cli import run
from utils.data_dir import read_trials
from utils.scoring.score_files import write_scores

TARGET_SECONDS, TARGET_GIB = 25, 4


def bench_score_norm(
    *,
    num_embeddings: int = 145_116,
    dimensions: int = 256,
    num_trials: int = 579_818,
    cohort: int = 5_994,
    top_k: int = 300,
    naive_trials: int = 200,
    methods: list[str] | None = None,
    device: str = "cpu",
) -> dict:
    """Make data, run the steps on them, and print a table.

    Parameters
    ----------
    num_embeddings, dimensions, num_trials : int
        Size of the work.
    cohort : int
        Members of the cohort.
    top_k : int
        Cohort scores that the adaptive norms use.
    naive_trials : int
        So many are also normalised one by one, and the time is scaled up.
    methods : list of str or None
        Which norms; None: s_norm and the adaptive ones.
    device : str
        ``cuda``: cohort scores on a GPU (not of as_norm2).

    Returns
    -------
    dict
        Seconds of each row.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_embeddings(folder / "test", num_embeddings, dimensions, num_trials)
        rows = [line.split() for line in (folder / "test" / "xvector.scp").read_text().splitlines()]
        (folder / "test" / "utt2spk").write_text(
            "".join(f"{key} {key[:7]}\n" for key, _ in sorted(rows))
        )
        make_cohort(folder / "train", cohort, dimensions)
        scores = folder / "scores" / "test"
        raw = [folder / "backend", folder / "test"]
        commands = {
            "train_backend": [folder / "test", folder / "backend"],
            "score": [*raw, folder / "test" / "trials", scores / "raw.scores"],
        }
        for method in methods or ["s_norm", "as_norm1", "as_norm2"]:
            commands[f"normalise_scores {method}"] = [
                scores / "raw.scores",
                *raw,
                folder / "test",
                folder / "train",
                scores / f"{method}.scores",
                "--method",
                method,
                "--top-k",
                top_k,
                "--device",
                device if method != "as_norm2" else "cpu",
            ]
        make_scores(folder / "test" / "trials", known := scores / "known.scores")
        commands["calibrate"] = [known, folder / "test", folder / "calibration"]
        commands["apply_calibration"] = [
            folder / "calibration",
            known,
            folder / "test",
            scores / "llr.scores",
            "--allow-leakage",
        ]
        commands["decide"] = [scores / "llr.scores", folder / "decisions"]
        seconds = {}
        print(
            f"{num_trials:,} trials over {num_embeddings:,} embeddings of {dimensions} dimensions, "
            f"cohort of {cohort:,}"
        )
        print(f"{'':60}{'wall s':>10}{'core s':>10}{'peak GiB':>10}")
        for step, words in commands.items():
            wall, core, memory = timed(
                [sys.executable, "-m", f"steps.{step.split()[0]}", *map(str, words)]
            )
            seconds[step] = wall
            print(f"{step:60}{wall:10.2f}{core:10.2f}{memory:10.2f}", flush=True)
        naive = normalise_naively(folder, naive_trials, top_k) * num_trials / naive_trials
    print(f"{'as_norm1, one trial after the other (scaled up)':60}{naive:10.0f}")
    print(f"goals: normalise_scores as_norm1 in {TARGET_SECONDS} s, any cohort in {TARGET_GIB} GiB")
    return seconds | {"naive": naive}


def make_cohort(folder: Path, members: int, dimensions: int) -> None:
    """Write random speaker means to spk_xvector.ark and .scp."""
    rng = np.random.default_rng(1)
    with ArchiveWriter(folder / "spk_xvector.ark", folder / "spk_xvector.scp") as writer:
        for member in range(members):
            writer.write(f"cohort{member:07d}", rng.standard_normal(dimensions, dtype=np.float32))
    (folder / "xvector.scp").write_text((folder / "spk_xvector.scp").read_text())


def make_scores(trials: Path, path: Path) -> None:
    """Write scores that are higher for targets."""
    enrol, test, is_target = read_trials(trials)
    write_scores(path, enrol, test, np.random.default_rng(2).normal(is_target, 0.5))


def normalise_naively(folder: Path, num_trials: int, top_k: int) -> float:
    """Seconds of normalising trials one by one, each time against the whole cohort, sorted."""
    vectors = dict(zip(*read_vectors(folder / "test" / "xvector.scp"), strict=True))
    cohort = read_vectors(folder / "train" / "spk_xvector.scp")[1]
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    start = time.perf_counter()
    with open(folder / "test" / "trials") as trials:
        for line, _ in zip(trials, range(num_trials), strict=False):
            sides = [vectors[name] / np.linalg.norm(vectors[name]) for name in line.split()[:2]]
            best = [np.sort(cohort @ side)[-top_k:] for side in sides]
            sum((sides[0] @ sides[1] - scores.mean()) / scores.std() for scores in best)
    return time.perf_counter() - start


if __name__ == "__main__":
    run(bench_score_norm)
