"""Time of PLDA as commands, at VoxCeleb's size, compared with plain loops.

python -m tests.bench.bench_backends
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from steps.backends.plda_training import train_plda
from steps.backends.speaker_statistics import SpeakerStatistics, speaker_statistics
from tests.bench.bench_scoring import make_embeddings, timed
from utils.archive import ArchiveWriter, read_vectors
from utils.archive.plda import PldaFile, read_plda
from utils.cli import run

# ivector-compute-plda and ivector-plda-scoring on the same counts, two cores of another machine
KALDI_SECONDS = {"training": 4.3, "scoring": 10.2}


def bench_backends(
    *,
    num_speakers: int = 5_994,
    num_utts: int = 20,
    dimensions: int = 256,
    num_embeddings: int = 145_116,
    num_trials: int = 579_818,
    config: Path = Path("conf/backends/plda.yaml"),
    naive_trials: int = 5_000,
) -> dict:
    """Make embeddings and trials, train PLDA, score, and print a table.

    Parameters
    ----------
    num_speakers, num_utts, dimensions : int
        Size of the training: speakers, utterances of each, dimensions.
    num_embeddings, num_trials : int
        Size of the test.
    config : path
        Back end.
    naive_trials : int
        Trials that are also scored one by one; the time is scaled up.

    Returns
    -------
    dict
        Seconds of each row.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_training(folder, num_speakers, num_utts, dimensions)
        make_embeddings(folder / "test", num_embeddings, dimensions, num_trials)
        train = [
            "steps.train_backend",
            folder / "train",
            folder / "plda",
            "--config",
            config,
            "--utt2spk",
            folder / "utt2spk",
        ]
        score = [
            "steps.score",
            folder / "plda",
            folder / "test",
            folder / "test" / "trials",
            folder / "test.scores",
        ]
        seconds = {}
        print(
            f"{num_speakers:,} x {num_utts} vectors, {num_trials:,} trials over "
            f"{num_embeddings:,}; {dimensions} dimensions, {config.stem}"
        )
        print(f"{'':60}{'wall s':>10}{'core s':>10}{'peak GiB':>10}")
        for words in (train, score):
            wall, core, memory = timed([sys.executable, "-m", *map(str, words)])
            seconds[words[0]] = wall
            print(f"{words[0]:60}{wall:10.2f}{core:10.2f}{memory:10.2f}")
        _, vectors = read_vectors(folder / "train" / "xvector.scp")
        statistics = speaker_statistics(vectors, np.repeat(np.arange(num_speakers), num_utts))
        seconds["naive training"] = 10 * naive_iteration(statistics)
        _, vectors = read_vectors(folder / "test" / "xvector.scp")
        plda = read_plda(folder / "plda" / "plda")
        measured = naive_scoring(plda, vectors, naive_trials)
        seconds["naive scoring"] = measured * num_trials / naive_trials
    ours = {"training": seconds["steps.train_backend"], "scoring": seconds["steps.score"]}
    for task, wall in ours.items():
        slower = seconds[f"naive {task}"]
        how = "10 iterations with an inverse per speaker (scaled up)"
        if task == "scoring":
            how = "one trial after the other in NumPy (scaled up)"
        print(f"{how:60}{slower:10.2f}   {slower / wall:.1f} x ours, without reading and writing")
        kaldi = KALDI_SECONDS[task]
        print(f"{'Kaldi, ' + task:60}{kaldi:10.2f}   {kaldi / wall:.1f} x ours")
    return seconds


def make_training(folder: Path, num_speakers: int, num_utts: int, dimensions: int) -> None:
    """Write utt2spk, and train/ with speakers that differ most in the first dimensions."""
    rng = np.random.default_rng(0)
    spread, lines = np.linspace(2, 0.1, dimensions), []
    with ArchiveWriter(
        folder / "train" / "xvector.ark", folder / "train" / "xvector.scp"
    ) as writer:
        for speaker in range(num_speakers):
            centre = spread * rng.standard_normal(dimensions)
            for utterance, vector in enumerate(
                centre + rng.standard_normal((num_utts, dimensions))
            ):
                key = f"id{10000 + speaker}-{utterance:05d}"
                writer.write(key, vector.astype(np.float32))
                lines.append(f"{key} id{10000 + speaker}\n")
    (folder / "utt2spk").write_text("".join(lines))


def naive_iteration(statistics: SpeakerStatistics, num_speakers: int = 100) -> float:
    """Seconds of one EM iteration with an inverse per speaker, scaled up from a few speakers."""
    trained = train_plda(statistics, 1)
    back = np.linalg.inv(trained.transform)
    within, between = back @ back.T, (back * trained.psi) @ back.T
    start, stats = time.perf_counter(), np.zeros_like(within)
    within_inverse, between_inverse = np.linalg.inv(within), np.linalg.inv(between)
    for count, mean in zip(
        statistics.counts[:num_speakers], statistics.means - trained.mean, strict=False
    ):
        mixed = np.linalg.inv(between_inverse + count * within_inverse)
        posterior = mixed @ (count * within_inverse @ mean)
        stats += mixed + np.outer(posterior, posterior)
    return (time.perf_counter() - start) * len(statistics.counts) / num_speakers


def naive_scoring(plda: PldaFile, vectors: np.ndarray, num_trials: int) -> float:
    """Seconds of scoring trials one by one, vectors in memory, without the links before PLDA."""
    start = time.perf_counter()
    gain, variance = plda.psi / (plda.psi + 1), 1 + plda.psi / (plda.psi + 1)

    def to_model(vector):
        side = plda.transform @ (vector.astype(np.float64) - plda.mean)
        return side * np.sqrt(len(side) / (side**2 / (plda.psi + 1)).sum())

    for row in range(num_trials):
        enrol, test = to_model(vectors[row]), to_model(vectors[row + 1])
        given = np.log(variance).sum() + ((test - gain * enrol) ** 2 / variance).sum()
        _ = 0.5 * (np.log1p(plda.psi).sum() + (test**2 / (1 + plda.psi)).sum() - given)
    return time.perf_counter() - start


if __name__ == "__main__":
    run(bench_backends)
