"""Whether one system is better than another on the same trials, over one test set or the mean of several folds.

    python -m steps.compare_eer exp/compared.json --first "[exp/a, exp/a-fold2]" --second "[exp/b, exp/b-fold2]" \\
        --data "[data/fold1/test, data/fold2/test]"
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.bootstrap import drawn_weights, sort_trials, speaker_rows, weighted_figures
from utils.cli import run
from utils.data_dir import read_trials
from utils.errors import UserError
from utils.files import atomic_write
from utils.intervals import paired_difference
from utils.metrics import equal_error_rate
from utils.receipts import MODE, Task
from utils.scores import receipt_of, scores_of_trials
from utils.subsets import trial_speakers

FORMAT = 2


def compare_eer(output: Path, *, first: list[Path], second: list[Path], data: list[Path], backend: str = "cosine", replicates: int = 1000,
                seed: int = 0) -> dict:
    """Write the mean EER of two systems over folds, and their difference with a paired interval.

    Parameters
    ----------
    output : path
        JSON file.
    first, second : list of path
        Experiments of the two systems, one for each fold.
    data : list of path
        Test set of each fold, a data directory with ``trials`` and ``utt2spk``; no speaker is in two of them.
    backend : str
        Name of the score files, ``scores/<set>/<backend>.scores``.
    replicates : int
        Draws of the bootstrap over the speakers of each fold.
    seed : int
        Of the draws.

    Returns
    -------
    dict
        ``first_eer_percent``, ``second_eer_percent``, ``difference`` (first - second, in points), ``low`` and ``high`` (its 95 %
        interval), ``p`` (of no difference), ``speakers_needed`` (for so large a difference to be clear), ``folds``, ``speakers``.

    Raises
    ------
    UserError
        The lists are not of one length; a trial has no score.
    """
    if not len(first) == len(second) == len(data) > 0:
        raise UserError(f"--first, --second and --data need one path for each fold: {len(first)}, {len(second)} and {len(data)} given")
    pairs, inputs = [], {}
    for fold, (one, other, folder) in enumerate(zip(first, second, data, strict=True), 1):
        pairs.append([system / "scores" / folder.name / f"{backend}.scores" for system in (one, other)])
        inputs |= {f"first {fold}": receipt_of(pairs[-1][0]), f"second {fold}": receipt_of(pairs[-1][1]),
                   f"trials {fold}": folder / "trials", f"utt2spk {fold}": folder / "utt2spk"}
    task = Task(home=output.parent, name=f"compare_{output.stem}", format=FORMAT, inputs=inputs, options={"replicates": replicates, "seed": seed})
    if not task.is_done():
        found = difference_over_folds(pairs, data, replicates, seed)
        with atomic_write(output) as file:
            file.write(json.dumps(found, indent=1) + "\n")
        task.finish([output], found)
    if not MODE.checking:
        print("EER {first_eer_percent:.2f} % and {second_eer_percent:.2f} %: difference {difference:+.2f} points, "
              "95 % interval {low:+.2f} to {high:+.2f}, p = {p:.3f}".format_map(task.counts))
    return task.counts


def difference_over_folds(pairs: Sequence[Sequence[Path]], data: Sequence[Path], replicates: int, seed: int) -> dict:
    """The figures of `compare_eer`.

    Parameters
    ----------
    pairs : sequence of two paths each
        Score files of the two systems, for each fold.
    data : sequence of path
        Test set of each fold.
    replicates, seed : int
        Of the bootstrap: both systems get the same draws.
    """
    rates, draws, num_speakers = np.empty((2, len(data))), np.empty((2, len(data), replicates)), 0
    for fold, (pair, folder) in enumerate(zip(pairs, data, strict=True)):
        enrol, test, is_target = read_trials(folder / "trials")
        speakers, left, right = speaker_rows(trial_speakers(folder, enrol), trial_speakers(folder, test), is_target)
        weights = drawn_weights(speakers, replicates, seed + fold)
        num_speakers += speakers
        for system, path in enumerate(pair):
            values = scores_of_trials(path, enrol, test, folder / "trials")
            rates[system, fold] = 100 * equal_error_rate(values[is_target], values[~is_target])
            draws[system, fold] = weighted_figures(sort_trials(values, is_target, left, right), weights, ())["eer_percent"]
    means, differences = rates.mean(axis=1), (draws[0] - draws[1]).mean(axis=0)
    found = paired_difference(float(means[0] - means[1]), differences, num_speakers).rounded()
    return {"first_eer_percent": round(means[0], 4), "second_eer_percent": round(means[1], 4), **found, "folds": len(data), "speakers": num_speakers}


if __name__ == "__main__":
    run(compare_eer)
