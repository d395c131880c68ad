"""Error rates of one or several systems.

python -m steps.evaluate exp/ghostvlad_cpu data/full --others "[exp/mfcc_stats, exp/channel_stats]"
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.cli import run
from utils.data_dir import read_trials
from utils.errors import UserError
from utils.files import atomic_write
from utils.metrics import det_points, error_rates, histogram
from utils.metrics import evaluate as figures
from utils.receipts import Task
from utils.scores import receipt_of, scores_of_trials
from utils.subsets import LISTS, trial_subsets

FORMAT = 1
PROTOCOL = "whole"  # utterances are embedded whole


def evaluate(experiment: Path, data: Path, *, others: list[Path] | None = None) -> dict:
    """Write ``results.json``, one row for each system, test set, back end and subset of trials, and what the report draws, ``curves.json``.

    Parameters
    ----------
    experiment : path
        Its ``scores/<set>/<backend>.scores`` are evaluated; the two files are written here.
    data : path
        Folder of data directories: every ``<data>/<set>/trials`` is evaluated, and the maps there name its subsets (``spk2gender``,
        ``utt2condition``, ...).
    others : list of path, optional
        Experiments to compare with, which scored the same trials.

    Returns
    -------
    dict
        Number of ``systems``, ``test_sets`` and ``rows``.

    Raises
    ------
    UserError
        A system has no scores of a set; a trial has no score; a list has trials of one class only.
    """
    systems = [experiment, *(others or [])]
    if len({system.name for system in systems}) < len(systems):
        raise UserError(f"{experiment}: two systems have the name of the same folder: {', '.join(map(str, systems))}")
    sets = sorted(trials.parent.name for trials in data.glob("*/trials"))
    files = {name: {system.name: score_files(system / "scores" / name) for system in systems} for name in sets}
    inputs = {f"{name}/{system}/{file.stem}": receipt_of(file) for name in sets for system, found in files[name].items() for file in found}
    inputs |= {f"{name}/trials": data / name / "trials" for name in sets}
    inputs |= {f"{name}/{part}": data / name / part for name in sets for part in (*LISTS, "ledger.json") if (data / name / part).exists()}
    task = Task(home=experiment, name="evaluate", format=FORMAT, inputs=inputs, options={"systems": [system.name for system in systems]})
    if task.is_done():
        return task.counts
    if not sets:
        raise UserError(f"{data}: no <set>/trials in it, so that nothing is tested; run the stage that packs the data")
    rows, curves = [], []
    for name in sets:
        found = rows_and_curves(data / name, files[name])
        rows, curves = rows + found[0], curves + found[1]
    write_json(experiment / "results.json", rows)
    write_json(experiment / "curves.json", curves)
    counts = {"systems": len(systems), "test_sets": len(sets), "rows": len(rows)}
    return task.finish([experiment / "results.json", experiment / "curves.json"], counts)


def score_files(folder: Path) -> list[Path]:
    """Score files of one system and set; where there are none, one that does not exist, for which the task then asks.

    Parameters
    ----------
    folder : path
        ``scores/<set>``.
    """
    return sorted(folder.glob("*.scores")) or [folder / "*.scores"]


def rows_and_curves(data: Path, files: Mapping[str, Sequence[Path]]) -> tuple[list[dict], list[dict]]:
    """Everything about one test set.

    Parameters
    ----------
    data : path
        Its data directory.
    files : mapping of str to sequence of path
        System -> its score files.

    Returns
    -------
    rows, curves : lists of dict
        Of results.json and curves.json.
    """
    enrol, test, is_target = read_trials(data / "trials")
    subsets, watermarks = trial_subsets(data, enrol, test), watermarks_of(data)
    rows, curves = [], []
    for system, paths in files.items():
        for path in paths:
            head = {"system": system, "test_set": data.name, "protocol": PROTOCOL, "backend": path.stem}
            scores = scores_of_trials(path, enrol, test, data / "trials")
            rows += rows_of(head, scores, is_target, subsets, watermarks)
            curves.append(head | curves_of(scores[is_target], scores[~is_target]))
    return rows, curves


def rows_of(head: dict, scores: np.ndarray, is_target: np.ndarray, subsets: dict[str, np.ndarray], watermarks: list[str]) -> list[dict]:
    """Rows of results.json for one score file.

    Parameters
    ----------
    head : dict
        System, test set, protocol, back end.
    scores, is_target : (N,) float and bool arrays
        One per trial.
    subsets : dict of str to (N,) bool array
        From `trial_subsets`; one with trials of one class only gives its counts and no rates.
    watermarks : list of str
        What has to be said beside every figure.
    """
    rows = []
    for subset, member in subsets.items():
        target, nontarget = scores[member & is_target], scores[member & ~is_target]
        if len(target) and len(nontarget):
            rates = figures(target, nontarget)
        else:
            rates = dict.fromkeys(["eer_percent", "min_dcf", "min_dcf_0.01", "min_dcf_0.05"]) | {"targets": len(target), "nontargets": len(nontarget)}
        rows.append({**head, "subset": subset, **rates, "watermarks": watermarks})
    return rows


def watermarks_of(data: Path) -> list[str]:
    """What has to be said beside every figure of a test set.

    Parameters
    ----------
    data : path
        Data directory; where its ledger counts lost trials, the list is not the published one.
    """
    path = data / "ledger.json"
    lost = json.loads(path.read_text(encoding="utf-8")).get("lost_trials", 0) if path.exists() else 0
    return [f"{lost} trials are lost: their audio was dropped"] if lost else []


def curves_of(target: np.ndarray, nontarget: np.ndarray) -> dict:
    """DET curve and histograms of one score file.

    Parameters
    ----------
    target, nontarget : (T,) and (N,) float arrays
        Scores of both classes.
    """
    miss, false_alarm = det_points(*error_rates(target, nontarget)[1:])
    edges, target_share, nontarget_share = histogram(target, nontarget)
    columns = {"miss": miss, "false_alarm": false_alarm, "edges": edges, "target_share": target_share, "nontarget_share": nontarget_share}
    return {name: [float(f"{value:.6g}") for value in values] for name, values in columns.items()}


def write_json(path: Path, rows: Iterable[dict]) -> None:
    """Write a list of objects, one on each line.

    Parameters
    ----------
    path : path
        Output.
    rows : iterable of dict
        JSON values.
    """
    with atomic_write(path) as file:
        file.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    run(evaluate)
