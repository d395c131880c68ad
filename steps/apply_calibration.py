r"""Turn scores into log-likelihood ratios with a calibration that ``steps.calibrate`` trained.

    python -m steps.apply_calibration exp/x/calibration/cosine exp/x/scores/test/cosine.scores \
      data/full/test exp/x/scores/test/cosine_calibrated.scores
"""

from collections.abc import Mapping
from pathlib import Path

from utils.cli import run
from utils.errors import UserError
from utils.pretrained import refuse_model
from utils.receipts import Task
from utils.scoring.calibration_files import (
    FeatureFiles,
    feature_files,
    joined_facts,
    read_calibration,
    same_pairs,
    score_folders,
    trial_features,
)
from utils.scoring.score_files import score_receipt, write_scores
from utils.scoring.systems import read_scored, systems_as_trained
from utils.trials.leakage import refuse_leakage
from utils.trials.speakers import read_models, speakers_of_sides

FORMAT = 1


def apply_calibration(
    calibration: Path,
    scores: list[Path],
    data: Path,
    output: Path,
    *,
    enroll_spk2utt: Path | None = None,
    measures: list[Path] | None = None,
    allow_leakage: bool = False,
) -> dict:
    """Write calibrated, or fused, scores: log-likelihood ratios (natural logarithms).

    Parameters
    ----------
    calibration : path
        Folder that ``steps.calibrate`` wrote.
    scores : list of path
        Score files of the systems that it was trained on, on the same trials; recognised by back
        end, options and protocol, in any folder.
    data : path
        Data directory of the trials, with ``utt2spk``.
    output : path
        Score file.
    enroll_spk2utt : path or None
        As for ``steps.score``; None: the data directory's, if it has one.
    measures : list of path or None
        The quality measures that it was trained with.
    allow_leakage : bool
        Go on if speakers of these trials are among those that the calibration was trained on, and
        mark the result.

    Returns
    -------
    dict
        Number of ``trials``, ``llr`` (true), the ``protocol``, what the embeddings are ``centred``
        by, and ``watermarks``.

    Raises
    ------
    UserError
        Other systems or measures than it was trained with, or speakers that it was trained on.
    """
    refuse_model(calibration)
    listed = enroll_spk2utt or data / "enroll.spk2utt"
    files = feature_files(scores, measures, score_receipt(output))
    inputs = {
        "calibration": calibration / "receipts" / "calibrate.json",
        "utt2spk": data / "utt2spk",
        **files.score_inputs(),
        **files.measure_inputs(),
    }
    if enroll_spk2utt or listed.exists():
        inputs["enroll_spk2utt"] = listed
    task = Task(
        output.parent,
        score_receipt(output).stem,
        format=FORMAT,
        inputs=inputs,
        options={"allow_leakage": allow_leakage},
    )
    if task.is_done():
        return task.counts
    from steps.backends import FAMILIES
    from utils.scoring.centring import centring_from_inputs

    learned = read_calibration(calibration)
    refuse_other_measures(calibration, learned, files)
    enrol, test = same_pairs(files.systems)
    folders = score_folders(calibration)
    given = {name: read_scored(path, folders) for name, path in files.systems.items()}
    systems = systems_as_trained(calibration, learned, given)
    tests = {data.name: speakers_of_sides({*enrol, *test}, data, enroll_spk2utt)}
    leaks = refuse_leakage(tests, {"calibration": set(learned["speakers"])}, allow=allow_leakage)
    first = next(iter(files.systems.values()))
    models = read_models(data, enroll_spk2utt)
    named = FeatureFiles({name: scored.path for name, scored in systems.items()}, files.measures)
    names, features = trial_features(named, learned["combine"], (enrol, test), models, first)
    weights = [learned["weights"][name] for name in names]
    write_scores(output, enrol, test, features @ weights + learned["offset"])
    protocol, marks = joined_facts(systems.values())
    watermarks = sorted({*marks, *learned["watermarks"], *leaks})
    counts = {
        "trials": len(enrol),
        "llr": True,
        "protocol": protocol,
        "centred": centring_from_inputs(task.inputs.values(), FAMILIES),
        "watermarks": watermarks,
    }
    return task.finish([output], counts)


def refuse_other_measures(calibration: Path, learned: Mapping, files: FeatureFiles) -> None:
    """UserError for quality measures other than those that the calibration was trained with."""
    if list(files.measures) != learned["measures"]:
        expected = ", ".join(learned["measures"]) or "none"
        given = ", ".join(files.measures) or "none"
        raise UserError(
            f"{calibration}: trained with measures {expected}, given {given}; give the same"
        )


if __name__ == "__main__":
    run(apply_calibration)
