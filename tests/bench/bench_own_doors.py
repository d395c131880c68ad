"""A company's case: 20 speakers to train from scratch, or to centre a published network with.

    python -m tests.bench.bench_own_doors CORPUS WORKDIR

CORPUS is a folder of speakers.  Each draw takes 20 of them to learn from, and all others are
tested, on the same trials by every system.  recipes/own trains its default network and measures
the MFCC statistics; published networks are tested as they are, and centred by the mean of the 20.
"""

import csv
import json
import random
import subprocess
from pathlib import Path

import numpy as np

from tests.conftest import ROOT
from utils.cli import run
from utils.data_dir import read_trials
from utils.embeddings.rows import read_embeddings
from utils.metrics.rates import equal_error_rate

SETS = ("train", "dev", "test")
SOUND = (".wav", ".flac")


def bench_own_doors(
    corpus: Path,
    workdir: Path,
    *,
    draws: int = 5,
    speakers: int = 20,
    dev_speakers: int = 2,
    models: list[str] | None = None,
    nj: int = 2,
) -> dict:
    """Train, embed and test, and print a table of error rates.

    Parameters
    ----------
    corpus : path
        ``<speaker>/<file>``.
    workdir : path
        Gets the tables of the draws, data and experiments; what is done there is not repeated.
    draws : int
        Numbers of random choices of speakers; the seeds are 1, 2, ...
    speakers : int
        Speakers to learn from.
    dev_speakers : int
        How many of them are dev.
    models : list of str or None
        Published networks; None: all.
    nj : int
        Jobs of an array.

    Returns
    -------
    dict
        System -> EER in per cent of each draw.
    """
    work = workdir.resolve() / "work"
    rows: dict[str, list[float]] = {}
    folders = []
    for seed in range(1, draws + 1):
        table = workdir.resolve() / f"draw{seed}.csv"
        write_table(table, corpus.resolve(), seed, speakers, dev_speakers)
        words = ["--corpus", table, "--workdir", work, "--nj", nj, "--num-threads", 1]
        call("recipes/own/run.sh", *words)
        for name, eer_percent in read_error_rates(work, table.name).items():
            rows.setdefault(name, []).append(eer_percent)
        folders.append(work / "data" / table.name / "packed_16000")
    for model in models or ["campplus", "ecapa", "resemblyzer"]:
        vectors = embed(model, folders[0], work / "exp" / f"{model}-all", nj)
        for folder in folders:
            for name, eer_percent in rate_published(vectors, folder).items():
                rows.setdefault(f"{model}, {name}", []).append(eer_percent)
    print_table(rows)
    return rows


def call(program: str, *arguments: object) -> None:
    """Run a program of the checkout."""
    subprocess.run([program, *map(str, arguments)], cwd=ROOT, check=True)


def write_table(path: Path, corpus: Path, seed: int, speakers: int, dev_speakers: int) -> None:
    """Files, speakers and sets of one draw."""
    names = sorted(folder.name for folder in corpus.iterdir() if folder.is_dir())
    order = list(names)
    random.Random(seed).shuffle(order)
    set_by_name = dict.fromkeys(names, "test")
    set_by_name |= dict.fromkeys(order[:speakers], "train")
    set_by_name |= dict.fromkeys(order[speakers - dev_speakers : speakers], "dev")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "speaker", "set"])
        for name in names:
            for sound in sorted((corpus / name).iterdir()):
                if sound.suffix.lower() in SOUND:
                    writer.writerow([sound, name, set_by_name[name]])


def read_error_rates(workdir: Path, variant: str) -> dict[str, float]:
    """EER in per cent of the trained network and of the MFCC statistics on all test trials."""
    (experiment,) = (workdir / "exp").glob(f"ghostvlad_fbank_clean-{variant}")
    found = {}
    for result in json.loads((experiment / "results.json").read_text()):
        if result["test_set"] == "test" and result["subset"] == "all":
            found[result["system"]] = result["eer_percent"]
    return {
        "trained from scratch": found[experiment.name],
        "MFCC statistics": found[f"mfcc_stats-{variant}"],
    }


def embed(model: str, packed: Path, experiment: Path, nj: int) -> dict[str, np.ndarray]:
    """Vectors of all utterances of a draw's sets, which are those of every draw."""
    call("python3", "-m", "steps.fetch_pretrained", model)
    output = experiment / "embeddings"
    sets = f"[{', '.join(SETS)}]"
    jobs = []
    for job in range(1, nj + 1):
        words = ["python3", "-m", "steps.extract", f"models/{model}", packed, output]
        words += ["--sets", sets, "--job", f"{job}/{nj}"]
        jobs.append(subprocess.Popen([str(word) for word in words], cwd=ROOT))
    assert not any(process.wait() for process in jobs)
    vectors: dict[str, np.ndarray] = {}
    for name in SETS:
        call(
            *("python3", "-m", "steps.collect_embeddings", packed / name, output / name),
            *("--jobs", nj),
        )
        utterances, rows = read_embeddings(output / name)
        vectors |= dict(zip(utterances, rows, strict=True))
    return vectors


def rate_published(vectors: dict[str, np.ndarray], packed: Path) -> dict[str, float]:
    """EER in per cent of a draw, plain and centred by the mean of train and dev."""
    utterances = []
    for name in ("train", "dev"):
        lines = (packed / name / "utt2spk").read_text().splitlines()
        utterances += [line.split()[0] for line in lines]
    mean = np.mean([vectors[name] for name in utterances], axis=0)
    enrol, test, is_target = read_trials(packed / "test" / "trials")
    results = {}
    for label, offset in {"plain cosine": 0 * mean, "centred by the 20": mean}.items():
        scores = cosine(vectors, enrol, offset, test)
        eer = equal_error_rate(scores[is_target], scores[~is_target])
        results[label] = 100 * eer
    return results


def cosine(
    vectors: dict[str, np.ndarray], enrol: list[str], offset: np.ndarray, test: list[str]
) -> np.ndarray:
    """Cosine of each pair of vectors less an offset."""
    unit = {}
    for name in {*enrol, *test}:
        centred = vectors[name] - offset
        unit[name] = centred / np.linalg.norm(centred)
    left = np.stack([unit[name] for name in enrol])
    right = np.stack([unit[name] for name in test])
    return np.sum(left * right, axis=1)


def print_table(rows: dict[str, list[float]]) -> None:
    """Mean and range over the draws, and the ratio to training from scratch."""
    scratch = np.mean(rows["trained from scratch"])
    print("| system | EER of each draw | mean | of training from scratch |\n|---|---|---|---|")
    for name, rates in rows.items():
        shown = ", ".join(f"{rate:.2f}" for rate in rates)
        mean = np.mean(rates)
        print(f"| {name} | {shown} | {mean:.2f} | {mean / scratch:.2f} |")


if __name__ == "__main__":
    run(bench_own_doors)
