"""Time and peak memory of the steps that read the 4 million trials of VOiCES 2019.

256 enrolments x 15,648 tests; whole processes.

python -m tests.bench.bench_voices
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.bench.bench_scoring import timed
from tests.lookalike.voices import (
    DEGREES,
    DEV_HOME,
    DEV_LISTS,
    DISTRACTORS,
    MICROPHONES,
    PREFIX,
    ROOMS,
)
from utils.archive import ArchiveWriter
from utils.cli import run
from utils.data_dir import read_map

MEMORY_GIB = 2.0  # the goal


def bench_voices(
    *,
    enrolments: int = 256,
    tests: int = 15_648,
    speakers: int = 196,
    dimensions: int = 256,
    replicates: int = 1000,
) -> dict:
    """Make a corpus of files of 10 ms and random embeddings, and time the steps.

    Parameters
    ----------
    enrolments, tests, speakers, dimensions : int
        Size of the work.
    replicates : int
        Resamples of the evaluation.

    Returns
    -------
    dict
        Step -> wall seconds and peak GiB.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tree(folder / "corpus", enrolments, tests, speakers)
        data, exp = folder / "data" / "voices_dev", folder / "exp"
        prepare = ["local.prepare_voices", folder / "corpus", folder / "data"]
        print(f"{enrolments * tests:,} trials{'wall s':>40}{'core s':>10}{'peak GiB':>10}")
        results = {"prepare": measure("prepare", prepare)}
        results["validate"] = measure("validate", ["utils.data_dir", "validate", data])
        make_embeddings(exp / "embeddings", read_map(data / "utt2spk"), dimensions)
        for backend in ("cosine", "plda"):
            train = [
                "steps.train_backend",
                exp / "embeddings",
                exp / "backend" / backend,
                "--config",
                f"conf/backends/{backend}.yaml",
            ]
            measure(f"train {backend}", [*train, "--utt2spk", data / "utt2spk"])
            score = [
                "steps.score",
                exp / "backend" / backend,
                exp / "embeddings",
                data / "trials",
                exp / "scores" / data.name / f"{backend}.scores",
            ]
            results[f"score {backend}"] = measure(
                f"score {backend}", [*score, "--enroll-spk2utt", data / "enroll.spk2utt"]
            )
        (exp / "scores" / data.name / "plda.scores").unlink()
        results["evaluate"] = measure(
            "evaluate one back end",
            ["steps.evaluate", exp, folder / "data", "--replicates", replicates],
        )
    highest = max(memory for _, memory in results.values())
    verdict = "above"
    if highest <= MEMORY_GIB:
        verdict = "within"
    print(f"highest peak {highest:.2f} GiB, {verdict} {MEMORY_GIB:g}")
    return results


def measure(title: str, command: Sequence) -> tuple[float, float]:
    """Run a step and print its row; returns wall seconds and peak GiB."""
    wall, core, memory = timed([sys.executable, "-m", *map(str, command)])
    print(f"{title:45}{wall:10.2f}{core:10.2f}{memory:10.2f}")
    return wall, memory


def make_tree(folder: Path, enrolments: int, tests: int, speakers: int) -> None:
    """Write files and lists of the development set."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(enrolments + tests):
        speaker = f"sp{number % speakers:04d}"
        turn = rng.integers(1000, size=4)
        words = [
            PREFIX,
            ROOMS["dev"][turn[0] % 2],
            DISTRACTORS[turn[1] % 4],
            speaker,
            f"ch{number:06d}",
            f"sg{number % 60:04d}",
        ]
        name = "-".join([*words, *MICROPHONES[turn[2] % 4]])
        paths.append(f"sid_dev/{speaker}/{name}-dg{DEGREES[turn[3] % 4]}.wav")
    for path in paths:
        whole = (folder / DEV_HOME).parent / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(whole, np.zeros(160), 16000)
    models, sides = [(Path(path).stem, path) for path in paths[:enrolments]], paths[enrolments:]
    lists = folder / DEV_LISTS
    lists.mkdir(parents=True)
    (lists / "dev-enroll.lst").write_text("".join(f"{model} {path}\n" for model, path in models))
    (lists / "dev-test.lst").write_text("".join(f"{path}\n" for path in sides))
    with open(lists / "dev-trial-keys.lst", "w") as file:
        for model, path in models:
            own = path.split("/")[1]
            file.writelines(
                f"{model} {side} {'tgt' if side.split('/')[1] == own else 'imp'}\n"
                for side in sides
            )


def make_embeddings(folder: Path, utt2spk: dict[str, str], dimensions: int) -> None:
    """Write random embeddings around random speaker means."""
    rng = np.random.default_rng(0)
    means = {speaker: rng.standard_normal(dimensions) for speaker in sorted(set(utt2spk.values()))}
    with ArchiveWriter(folder / "xvector.ark", folder / "xvector.scp") as writer:
        for utterance, speaker in utt2spk.items():
            writer.write(
                utterance, (means[speaker] + 3 * rng.standard_normal(dimensions)).astype(np.float32)
            )


if __name__ == "__main__":
    run(bench_voices)
