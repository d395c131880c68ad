r"""Scores of all models against all tests as a matrix and a picture, and error rates by threshold.

    python -m steps.similarity_matrix exp/ge2e_td/scores/test/cosine.scores \
      data/td-prompted/packed_8000/tested/test exp/ge2e_td/similarity/test
"""

import json
from pathlib import Path

import numpy as np

from utils.cli import run
from utils.packed.facts import WATERMARKS
from utils.receipts import Task
from utils.scoring.score_files import score_receipt

FORMAT = 1


def similarity_matrix(scores: Path, data: Path, output: Path) -> dict:
    """Write the similarity matrix of a test set, as an array and a picture, for the report.

    The files are ``similarity.npy`` with its ``rows`` and ``columns``, ``similarity.svg``,
    ``thresholds.tsv`` and ``summary.json``.

    Parameters
    ----------
    scores : path
        Written by steps.score.
    data : path
        Data directory of the trials, with ``utt2spk`` and, if models are of several utterances,
        ``enroll.spk2utt``.
    output : path
        Folder; the report reads it at ``exp/<name>/similarity/<set>``.

    Returns
    -------
    dict
        Numbers of ``models`` and ``tests``, ``eer_percent``, and ``published_eer_percent``: at one
        of 50 thresholds, as in the original GE2E implementation.

    Raises
    ------
    UserError
        A trial has no score, or a side no speaker.
    """
    lists = ("utt2spk", "enroll.spk2utt", WATERMARKS)
    inputs = {"scores": score_receipt(scores), "trials": data / "trials"}
    inputs |= {name: data / name for name in lists if (data / name).exists()}
    task = Task(
        output,
        "similarity_matrix",
        format=FORMAT,
        options={"backend": scores.stem},
        inputs=inputs,
    )
    if task.is_done():
        return task.counts
    from utils.evaluation.sets import read_watermarks
    from utils.evaluation.subsets import trial_speakers
    from utils.files import atomic_write
    from utils.metrics.rates import equal_error_rate
    from utils.report.similarity_matrix import (
        arrange_scores,
        published_eer,
        similarity_picture,
        thresholds_table,
    )
    from utils.scoring.score_files import scores_of_trials
    from utils.trials.checked import read_labelled_trials

    enrol, test, is_target = read_labelled_trials(data)
    values = scores_of_trials(scores, enrol, test, data / "trials")
    watermarks = read_watermarks(data)
    note = "; ".join(watermarks)
    names = sorted({*enrol, *test})
    speakers = dict(zip(names, trial_speakers(data, names), strict=True))
    rows, columns, matrix = arrange_scores(enrol, test, values, speakers)
    target, nontarget = values[is_target], values[~is_target]
    table = thresholds_table(values, target, nontarget)
    published, published_threshold = published_eer(target, nontarget)
    counts = {
        "models": len(rows),
        "tests": len(columns),
        "eer_percent": round(100 * equal_error_rate(target, nontarget), 4),
        "published_eer_percent": round(100 * published, 4),
        "published_threshold": published_threshold,
    }
    summary = {"backend": scores.stem, **counts, "watermarks": watermarks}
    row_speakers = [speakers[name] for name in rows]
    column_speakers = [speakers[name] for name in columns]
    if note:
        table = f"# {note}\n{table}"
    texts = {
        "rows": "".join(f"{name}\n" for name in rows),
        "columns": "".join(f"{name}\n" for name in columns),
        "similarity.svg": similarity_picture(matrix, row_speakers, column_speakers, note),
        "thresholds.tsv": table,
        "summary.json": json.dumps(summary, indent=1) + "\n",
    }
    for name, text in texts.items():
        with atomic_write(output / name) as file:
            file.write(text)
    with atomic_write(output / "similarity.npy", "wb") as file:
        np.save(file, matrix)
    return task.finish([output / name for name in (*texts, "similarity.npy")], counts)


if __name__ == "__main__":
    run(similarity_matrix)
