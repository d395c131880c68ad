"""From the score files of a test set to the rows of results.json and what the report draws."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.bootstrap import drawn_weights, sort_trials, speaker_rows, weighted_figures, weighted_rates
from utils.data_dir import read_trials
from utils.errors import UserError
from utils.files import read_lines
from utils.intervals import interval
from utils.metric_curves import det_positions, histogram, miss_band
from utils.metrics import P_TARGETS, counts_below, sorted_scores
from utils.metrics import evaluate as figures_of
from utils.metrics_llr import calibration_points
from utils.packed_facts import WATERMARKS
from utils.receipts import read_receipt
from utils.scores import receipt_of, scores_of_trials
from utils.subsets import subset_files, trial_speakers, trial_subsets

REPLICATES_OF_SUBSETS = 200  # a standard deviation needs no more
REPLICATES_OF_BANDS = 200
BAND_POINTS = 60
WORST_TRIALS = 20
DIGITS = {"eer_percent": 4}  # of an interval's ends, after the point; of costs 6


@dataclass(frozen=True)
class Drawing:
    """How intervals are made.

    Parameters
    ----------
    replicates : int
        Draws of the speakers; 0 for no intervals.
    seed : int
        Of the draws.
    p_targets : sequence of float
        Priors of minDCF, each in (0, 1).
    """

    replicates: int = 1000
    seed: int = 0
    p_targets: Sequence[float] = P_TARGETS


@dataclass
class TrialSet:
    """A list of trials and what is known of them.

    Attributes
    ----------
    name : str
        Name of the set.
    enrol, test : sequences of N str
        Both sides.
    speakers : pair of (N,) str arrays
        Speaker of each side.
    is_target : (N,) bool array
        Whether both sides are the same speaker.
    subsets : dict of str to (N,) bool array
        From `trial_subsets`.
    watermarks : list of str
        What has to be said beside every figure.
    """

    name: str
    enrol: Sequence[str]
    test: Sequence[str]
    speakers: tuple[np.ndarray, np.ndarray]
    is_target: np.ndarray
    subsets: Mapping[str, np.ndarray]
    watermarks: list[str]


def read_test_set(data: Path, watermarks: Sequence[str] = ()) -> TrialSet:
    """A test set from its data directory.

    Parameters
    ----------
    data : path
        With ``trials`` and ``utt2spk``.
    watermarks : sequence of str
        What has to be said of it for other reasons than lost trials.
    """
    enrol, test, is_target = read_trials(data / "trials")
    speakers = np.array(trial_speakers(data, enrol)), np.array(trial_speakers(data, test))
    return TrialSet(data.name, enrol, test, speakers, np.asarray(is_target), trial_subsets(data, enrol, test), [*watermarks_of(data), *watermarks])


def watermarks_of(data: Path) -> list[str]:
    """What has to be said beside every figure of a test set.

    Parameters
    ----------
    data : path
        Data directory; where its ledger counts lost trials, the list is not the published one; whoever made it may have left ``watermarks``.
    """
    path = data / "ledger.json"
    said = read_lines(data / WATERMARKS) if (data / WATERMARKS).exists() else []
    lost = json.loads(path.read_text(encoding="utf-8")).get("lost_trials", 0) if path.exists() else 0
    return [*said, *([f"{lost} trials are lost: their audio was dropped"] if lost else [])]


def score_files(folder: Path) -> list[Path]:
    """Score files of one system and set, by whole utterances and in a folder of its own by any other protocol.

    Where there are none: one that does not exist, for which the task then asks.

    Parameters
    ----------
    folder : path
        ``scores/<set>``.
    """
    return sorted([*folder.glob("*.scores"), *folder.glob("*/*.scores")]) or [folder / "*.scores"]


def label_of(scores: Path, test_set: str) -> str:
    """How a score file is called among those of its set: ``cosine``, or ``crops_10x4s_rows/cosine``.

    Parameters
    ----------
    scores : path
        ``scores/<set>/[<folder>/]<backend>.scores``.
    test_set : str
        Name of the set.
    """
    return scores.stem if scores.parent.name == test_set else f"{scores.parent.name}/{scores.stem}"


def rows_and_curves(tests: TrialSet, data: Path, files: Mapping[str, Sequence[Path]], drawing: Drawing) -> tuple[list[dict], list[dict]]:
    """Everything about one test set.

    Parameters
    ----------
    tests : TrialSet
        From `read_test_set`.
    data : path
        Its data directory.
    files : mapping of str to sequence of path
        System -> its score files.
    drawing : Drawing
        How intervals are made.

    Returns
    -------
    rows, curves : lists of dict
        Of results.json and curves.json.
    """
    rows, curves = [], []
    for system, paths in files.items():
        for path in paths:
            counts = read_receipt(receipt_of(path))["counts"]
            llr = bool(counts.get("llr", False))  # the step that made the scores declares them log-likelihood ratios
            head = {"system": system, "test_set": tests.name, "protocol": counts.get("protocol", "whole"), "backend": path.stem}
            scores = scores_of_trials(path, tests.enrol, tests.test, data / "trials")
            marks = [*tests.watermarks, *counts.get("watermarks", [])]
            rows += [{**head, "subset": subset, **found, "watermarks": marks}
                     for subset, found in figures_of_subsets(tests, scores, llr, drawing).items()]
            curves.append(head | curves_of(tests, scores, llr, drawing) | {"worst": worst_trials(tests, scores)})
    return rows, curves


def figures_of_subsets(tests: TrialSet, scores: np.ndarray, llr: bool, drawing: Drawing) -> dict[str, dict]:
    """Figures and intervals of each subset of the trials.

    Parameters
    ----------
    tests : TrialSet
        The trials.
    scores : (N,) float array
        One per trial.
    llr : bool
        They are log-likelihood ratios.
    drawing : Drawing
        How intervals are made.

    Returns
    -------
    dict of str to dict
        Subset -> `utils.metrics.evaluate`'s figures, ``speakers``, ``<figure>_interval``: [low, high] or None.  A subset with trials of
        one class only has its counts and no figures.
    """
    found: dict[str, dict] = {}
    names = ("eer_percent", *(f"min_dcf_{p}" for p in drawing.p_targets))
    for subset, member in tests.subsets.items():
        values, is_target = scores[member], tests.is_target[member]
        targets = int(is_target.sum())
        enrol, test = (side[member] for side in tests.speakers)
        num_speakers = len(np.unique(np.concatenate([enrol, test])))
        figures = dict.fromkeys(found["all"]) if found else {}
        figures |= {"targets": targets, "nontargets": len(values) - targets, "speakers": num_speakers}
        if 0 < targets < len(values):
            figures |= figures_of(values[is_target], values[~is_target], llr=llr, p_targets=drawing.p_targets)
            replicates = drawing.replicates if subset == "all" else min(drawing.replicates, REPLICATES_OF_SUBSETS)
            drawn = {}
            if replicates and num_speakers > 1:
                size, left, right = speaker_rows(enrol, test, is_target)
                weights = drawn_weights(size, replicates, drawing.seed)
                drawn = weighted_figures(sort_trials(values, is_target, left, right), weights, drawing.p_targets)
            for name in names:
                unit = 100 if name == "eer_percent" else 1
                ends = interval(min(figures[name] / unit, 1), drawn[name] / unit, num_speakers, floor=0.5 / targets) if name in drawn else None
                figures[f"{name}_interval"] = ends and [round(unit * end, DIGITS.get(name, 6)) for end in ends]
        found[subset] = figures
    return found


def curves_of(tests: TrialSet, scores: np.ndarray, llr: bool, drawing: Drawing) -> dict:
    """DET curve with its band, histograms and calibration of one score file.

    Parameters
    ----------
    tests : TrialSet
        The trials.
    scores : (N,) float array
        One per trial.
    llr : bool
        They are log-likelihood ratios.
    drawing : Drawing
        How the band is made.
    """
    target, nontarget = sorted_scores(scores[tests.is_target], scores[~tests.is_target])
    _, targets, nontargets = counts_below(target, nontarget)
    miss, false_alarm = targets / targets[-1], 1 - nontargets / nontargets[-1]
    fine, coarse = (det_positions(miss, false_alarm, points) for points in (300, BAND_POINTS))
    edges, target_share, nontarget_share = histogram(target, nontarget)
    columns = {"miss": miss[fine], "false_alarm": false_alarm[fine], "edges": edges, "target_share": target_share, "nontarget_share": nontarget_share}
    size, left, right = speaker_rows(*tests.speakers, tests.is_target)
    if drawing.replicates and size > 1 and len(coarse) > 1:
        from scipy.special import stdtrit

        drawn = weighted_rates(sort_trials(scores, tests.is_target, left, right),
                               drawn_weights(size, min(drawing.replicates, REPLICATES_OF_BANDS), drawing.seed), (targets + nontargets)[coarse])
        low, high = miss_band(miss[coarse], false_alarm[coarse], *drawn, stdtrit(size - 1, 0.975), 0.5 / min(len(target), len(nontarget)))
        columns |= {"band_false_alarm": false_alarm[coarse], "band_low": low, "band_high": high}
    if llr:
        columns["said"], columns["found"] = calibration_points(target, nontarget)
    return {name: [float(f"{value:.6g}") for value in values] for name, values in columns.items()}


def worst_trials(tests: TrialSet, scores: np.ndarray) -> dict[str, list]:
    """Target trials of the lowest and non-target trials of the highest scores, as [enrol, test, score], the worst first.

    Parameters
    ----------
    tests : TrialSet
        The trials.
    scores : (N,) float array
        One per trial.
    """
    worst = {}
    for kind, chosen, sign in (("targets", tests.is_target, 1), ("nontargets", ~tests.is_target, -1)):
        rows = np.flatnonzero(chosen)
        first = rows[np.argsort(sign * scores[rows], kind="stable")[:WORST_TRIALS]]
        worst[kind] = [[tests.enrol[row], tests.test[row], float(f"{scores[row]:.6g}")] for row in first]
    return worst


def priors(further: list[float] | None, replicates: int) -> tuple[float, ...]:
    """Priors of the costs: those that are always given, and further ones.

    Parameters
    ----------
    further : list of float or None
        Option ``p_targets``.
    replicates : int
        Option of that name, which is looked at too.

    Raises
    ------
    UserError
        One is outside (0, 1), or the number of draws is negative or 1.
    """
    for prior in further or ():
        if not 0 < prior < 1:
            raise UserError(f"--p-targets: {prior:g}, expected priors between 0 and 1")
    if replicates < 0 or replicates == 1:
        raise UserError(f"--replicates: {replicates}, expected 0 (no intervals) or at least 2 draws")
    return tuple(sorted({*P_TARGETS, *(further or ())}))


def inputs_of_sets(data: Path, sets: Iterable[str]) -> dict[str, Path]:
    """Files of the test sets that results depend on.

    Parameters
    ----------
    data : path
        Folder of data directories.
    sets : iterable of str
        Names of those with trials.
    """
    inputs = {f"{name}/trials": data / name / "trials" for name in sets}
    return inputs | {f"{name}/{part}": data / name / part for name in sets for part in (*subset_files(data / name), "ledger.json", WATERMARKS)
                     if (data / name / part).exists()}
