"""Train a calibration, or a fusion of several systems, on trials of speakers who are in no test.

S=exp/x/scores/dev D=data/full/dev C=exp/x/calibration
python -m steps.calibrate $S/cosine.scores $D $C/cosine
python -m steps.calibrate $S/cosine.scores $S/plda.scores $D $C/fused
python -m steps.calibrate $S/cosine.scores $D $C/cosine_qmf --measures "[$D/utt2dur]"
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
from utils.pretrained import refuse_model
from utils.receipts import Task
from utils.scoring.calibration_files import feature_files, joined_facts, trial_features
from utils.scoring.systems import read_scored
from utils.trials.checked import refuse_contradictions
from utils.trials.speakers import read_models, speakers_of_sides

FORMAT = 1
FEW_SPEAKERS = 30  # of the trials: with fewer, the map depends on the particular speakers


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
        Data directory of the trials, with ``utt2spk``.
    output : path
        Folder for ``calibration.json``.
    trials : path or None
        ``<enrol> <test> target|nontarget`` on each line; None: those of the data directory.
    enroll_spk2utt : path or None
        As for ``steps.score``; None: the data directory's, if it has one.
    p_target : float
        Prior of a target trial at which the cost is minimised, in (0, 1); at 0.5 the cost is Cllr.
    measures : list of path or None
        Files ``<utterance> <value>`` of quality measures, named after the files (of ``utt2dur`` the
        logarithm is used).
    combine : list of str or None
        Features of a trial from both sides' measures: ``min``, ``max``, ``difference``; None: min
        and max.

    Returns
    -------
    dict
        Numbers of ``trials``, ``targets`` and ``speakers``, ``cross_entropy`` and ``min_cllr`` of
        the training scores, and whether these are ``separable``.

    Raises
    ------
    UserError
        Trials without scores or classes, of one class, or whose class contradicts their speakers;
        or the targets of a system score lower than its nontargets.
    """
    refuse_model(output)
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
    dev = read_trial_list(trials)
    is_target, sides = are_targets(dev, trials), (dev.enrol, dev.test)
    models = read_models(data, enroll_spk2utt)
    names, features = trial_features(files, parts, sides, models, trials)
    for note in refuse_contradictions(trials, dev, read_map(data / "utt2spk"), models, listed):
        print(f"{trials}: {note}")
    weights, offset, facts = trained(names, features, is_target, p_target, trials)
    speakers = speakers_of_sides({*dev.enrol, *dev.test}, data, enroll_spk2utt)
    systems = {name: read_scored(path) for name, path in files.systems.items()}
    made_with = {name: system.made_with for name, system in systems.items()}
    calibration = {
        "systems": list(files.systems),
        "measures": list(files.measures),
        "combine": parts,
        "weights": dict(zip(names, weights, strict=True)),
        "offset": offset,
        "p_target": p_target,
        **facts,
        "watermarks": joined_facts(systems.values())[1],
        "made_with": made_with,
        "speakers": sorted(speakers),
    }
    with atomic_write(output / "calibration.json") as file:
        file.write(json.dumps(calibration, indent=1) + "\n")
    terms = [f"{weight:.4g} x {name}" for name, weight in zip(names, weights, strict=True)]
    print(
        f"{output}: llr = {offset:.4g} + {' + '.join(terms)}; cross-entropy "
        f"{facts['cross_entropy']:.4f} at {p_target:g}, minCllr {facts['min_cllr']:.4f}"
    )
    if len(speakers) < FEW_SPEAKERS:
        print(
            f"{output}: {trials} has only {len(speakers)} speakers: for others the ratios may be "
            "inaccurate, and actual costs above the lowest; use a larger list"
        )
    if facts["separable"]:
        print(
            f"{output}: no trial of {trials} is wrong at the best threshold: the ridge determines "
            "how large the weights are, not the data; use a harder list"
        )
    return task.finish([output / "calibration.json"], facts | {"speakers": len(speakers)})


def trained(
    names: list[str], features: np.ndarray, is_target: np.ndarray, p_target: float, trials: Path
) -> tuple[list[float], float, dict]:
    """Weights, offset, and figures of the training trials; UserError if nothing can be learned."""
    from utils.metrics.llr import min_cllr
    from utils.scoring.calibration import cross_entropy, is_separable, train_calibration

    constant = np.flatnonzero(np.ptp(features, axis=0) == 0)
    if len(constant):
        name, value = names[constant[0]], features[0, constant[0]]
        raise UserError(
            f"{trials}: '{name}' is {value:g} in all trials: nothing to learn from; leave it out"
        )
    try:
        weights, offset = train_calibration(features, is_target, p_target)
    except ValueError as error:
        raise UserError(f"{trials}: {error}") from None
    if len(names) == 1 and not weights[0] > 0:
        raise UserError(
            f"{trials}: targets of '{names[0]}' score lower than nontargets on the whole; "
            "are they distances, or the labels swapped?"
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
