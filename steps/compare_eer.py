"""Whether one system is better than another on the same trials, over one test set or the mean of several folds.

    python -m steps.compare_eer exp/compared.json --first "[exp/a, exp/a-fold2]" --second "[exp/b, exp/b-fold2]" \\
        --data "[data/fold1/test, data/fold2/test]"
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.bootstrap import eer_replicates, interval, p_value
from utils.cli import run
from utils.data_dir import read_trials
from utils.errors import UserError
from utils.files import atomic_write
from utils.metrics import equal_error_rate
from utils.receipts import MODE, Task
from utils.scores import receipt_of, scores_of_trials
from utils.subsets import trial_speakers

FORMAT = 1


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
        interval), ``p`` (of no difference), ``folds``.

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
        found = paired_difference(pairs, data, replicates, seed)
        with atomic_write(output) as file:
            file.write(json.dumps(found, indent=1) + "\n")
        task.finish([output], found)
    if not MODE.checking:
        print("EER {first_eer_percent:.2f} % and {second_eer_percent:.2f} %: difference {difference:+.2f} points, "
              "95 % interval {low:+.2f} to {high:+.2f}, p = {p:.3f}".format_map(task.counts))
    return task.counts


def paired_difference(pairs: Sequence[Sequence[Path]], data: Sequence[Path], replicates: int, seed: int) -> dict:
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
    rates, draws = np.empty((2, len(data))), np.empty((2, len(data), replicates))
    for fold, (pair, folder) in enumerate(zip(pairs, data, strict=True)):
        enrol, test, is_target = read_trials(folder / "trials")
        speakers = trial_speakers(folder, enrol), trial_speakers(folder, test)
        for system, path in enumerate(pair):
            values = scores_of_trials(path, enrol, test, folder / "trials")
            rates[system, fold] = equal_error_rate(values[is_target], values[~is_target])
            draws[system, fold] = eer_replicates(values, is_target, *speakers, replicates=replicates, seed=seed + fold)
    means, differences = 100 * rates.mean(axis=1), 100 * (draws[0] - draws[1]).mean(axis=0)
    low, high = interval(differences)
    found = {"first_eer_percent": means[0], "second_eer_percent": means[1], "difference": means[0] - means[1], "low": low, "high": high,
             "p": p_value(differences)}
    return {name: round(float(value), 4) for name, value in found.items()} | {"folds": len(data)}


if __name__ == "__main__":
    run(compare_eer)
