r"""Train a calibration, or a fusion of several systems, on trials of speakers who are in no test.

python -m steps.calibrate exp/x/scores/dev/cosine.scores data/full/dev exp/x/calibration/cosine
python -m steps.calibrate exp/x/scores/dev/cosine.scores exp/x/scores/dev/plda.scores data/full/dev exp/x/calibration/fused
python -m steps.calibrate exp/x/scores/dev/cosine.scores data/full/dev exp/x/calibration/cosine_qmf --measures "[data/full/dev/utt2dur]"
"""

import json
from pathlib import Path
from typing import Literal

import numpy as np

from utils.cli import run
from utils.data_dir import read_map
from utils.data_dir.lists import are_targets, read_trial_list
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task
from utils.scoring.calibration_files import facts_of, feature_files, trial_features
from utils.scoring.systems import read_scored
from utils.trials.checked import refuse_contradictions
from utils.trials.speakers import models_of, speakers_of_sides

FORMAT = 1
FEW_SPEAKERS = 30  # of the trials: with fewer, the map depends on who they happen to be


def calibrate(
    scores: list[Path],
    data: Path,
    output: Path,
    *,
    trials: Path | None = None,
    enroll_spk2utt: Path | None = None,
    p_target: float = 0.5,
    measures: list[Path] | None = None,
    combine: list[Literal["min", "max", "difference"]] | None = None,
) -> dict:
    """Learn the affine map from scores, and quality measures, to log-likelihood ratios.

    Parameters
    ----------
    scores : list of path
        Score file of each system, on the same trials; their order changes nothing.
    data : path
        Data directory of the trials: ``utt2spk`` says whose they are.
    output : path
        Folder for ``calibration.json``.
    trials : path or None
        ``<enrol> <test> target|nontarget`` on each line; None: those of the data directory.
    enroll_spk2utt : path or None
        As for ``steps.score``; None: the data directory's, where it has one.
    p_target : float
        Prior of a target trial at which the cost is minimised, in (0, 1); at 0.5 the cost is Cllr.
    measures : list of path or None
        Files ``<utterance> <value>`` of quality measures, called by their names (``utt2dur`` counts as its logarithm).
    combine : list of str or None
        What of both sides' measures a trial is told: some of ``min``, ``max``, ``difference``; None: min and max.

    Returns
    -------
    dict
        Numbers of ``trials``, ``targets`` and ``speakers``, ``cross_entropy`` and ``min_cllr`` of the trained scores, and whether they are
        ``separable``.

    Raises
    ------
    UserError
        Trials without scores or classes, of one class, of another than that of their speakers, or of nobody; a system whose targets score lower than its non-targets.
    """
    trials = trials or data / "trials"
    listed = enroll_spk2utt or data / "enroll.spk2utt"
    files = feature_files(scores, measures, output / "receipts" / "calibrate.json")
    parts = list(combine or ["min", "max"])
    inputs = files.score_inputs() | {"trials": trials, "utt2spk": data / "utt2spk"}
    inputs |= files.measure_inputs()
    if enroll_spk2utt or listed.exists():
        inputs["enroll_spk2utt"] = listed
    options: dict[str, float | list] = {"p_target": p_target}
    if files.measures:
        options["combine"] = parts
    task = Task(output, "calibrate", format=FORMAT, inputs=inputs, options=options)
    if task.is_done():
        return task.counts
    of_dev = read_trial_list(trials)
    is_target, sides = are_targets(of_dev, trials), (of_dev.enrol, of_dev.test)
    models = models_of(data, enroll_spk2utt)
    names, features = trial_features(files, parts, sides, models, trials)
    for note in refuse_contradictions(trials, of_dev, read_map(data / "utt2spk"), models, listed):
        print(f"{trials}: {note}")
    weights, offset, facts = trained(names, features, is_target, p_target, trials)
    speakers = speakers_of_sides({*of_dev.enrol, *of_dev.test}, data, enroll_spk2utt)
    systems = {name: read_scored(path) for name, path in files.systems.items()}
    found = {
        "systems": list(files.systems),
        "measures": list(files.measures),
        "combine": parts,
        "weights": dict(zip(names, weights, strict=True)),
        "offset": offset,
        "p_target": p_target,
        **facts,
        "watermarks": facts_of(systems.values())[1],
        "made_with": {name: scored.made_with for name, scored in systems.items()},
        "speakers": sorted(speakers),
    }
    with atomic_write(output / "calibration.json") as file:
        file.write(json.dumps(found, indent=1) + "\n")
    told = " + ".join(f"{weight:.4g} x {name}" for name, weight in zip(names, weights, strict=True))
    print(
        f"{output}: llr = {offset:.4g} + {told}; cross-entropy {facts['cross_entropy']:.4f} at "
        f"{p_target:g}, minCllr {facts['min_cllr']:.4f}"
    )
    if len(speakers) < FEW_SPEAKERS:
        print(
            f"{output}: {trials} has {len(speakers)} speakers only: on others the ratios may be "
            "well off, and actual costs above the lowest; a larger list is better"
        )
    if facts["separable"]:
        print(
            f"{output}: no trial of {trials} is wrong at the best threshold: the ridge says how "
            "large the weights are, not the data; take a harder list"
        )
    return task.finish([output / "calibration.json"], facts | {"speakers": len(speakers)})


def trained(
    names: list[str], features: np.ndarray, is_target: np.ndarray, p_target: float, trials: Path
) -> tuple[list[float], float, dict]:
    """Weights, offset, and what they make of the trials that they were trained on.

    Parameters
    ----------
    names : list of F str
        Of the features.
    features : (N, F) float array
        Of the trials.
    is_target : (N,) bool array
        Their classes.
    p_target : float
        Prior.
    trials : path
        Where they are from, for messages.

    Raises
    ------
    UserError
        Nothing can be learned from them.
    """
    from utils.metrics.llr import min_cllr
    from utils.scoring.calibration import cross_entropy, is_separable, train_calibration

    flat = np.flatnonzero(np.ptp(features, axis=0) == 0)
    if len(flat):
        raise UserError(
            f"{trials}: '{names[flat[0]]}' is {features[0, flat[0]]:g} in all trials: nothing to learn from; leave it out"
        )
    try:
        weights, offset = train_calibration(features, is_target, p_target)
    except ValueError as error:
        raise UserError(f"{trials}: {error}") from None
    if len(names) == 1 and not weights[0] > 0:
        raise UserError(
            f"{trials}: targets of '{names[0]}' score lower than nontargets on the whole; are they distances, or the labels swapped?"
        )
    llr = features @ weights + offset
    facts = {
        "trials": len(llr),
        "targets": int(is_target.sum()),
        "cross_entropy": round(cross_entropy(llr, is_target, p_target), 6),
        "min_cllr": round(min_cllr(llr[is_target], llr[~is_target]), 6),
        "separable": is_separable(llr, is_target),
    }
    return weights.tolist(), offset, facts


if __name__ == "__main__":
    run(calibrate)
