"""Test sets and systems made by other programs, from a list of trials and score files alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.errors import UserError
from utils.evaluation.comparison import compare_pairs
from utils.evaluation.rows import Drawing, Evaluated, Figures, make_curves, system_rows
from utils.evaluation.sets import System, TrialSet, speaker_indices
from utils.scoring.foreign_scores import read_foreign_scores
from utils.scoring.systems import read_scored
from utils.trials.foreign import TrialList, TrialSpeakers

LIST_OF_A_FOLDER = "trials"  # a list of this name is named after its folder


def list_name(trials: Path) -> str:
    """Name of a test set: ``veri_test.txt`` is ``veri_test``, ``data/eval/trials`` is ``eval``."""
    if trials.name == LIST_OF_A_FOLDER:
        return trials.parent.name or trials.stem
    return trials.stem


def foreign_test_set(trials: TrialList, speakers: TrialSpeakers | None) -> TrialSet:
    """The `TrialSet` of a foreign list; ``speakers`` None or unknown: it has no intervals."""
    unknown = np.zeros(len(trials.enrol), np.int32)
    sides, names = (unknown, unknown), [""]
    if speakers and speakers.are_known:
        sides, names = speaker_indices(speakers.enrol, speakers.test)
    return TrialSet(
        name=list_name(trials.path),
        enrol=trials.enrol,
        test=trials.test,
        speakers=sides,
        speaker_names=names,
        is_target=trials.is_target,
        subsets={"all": np.ones(len(trials.enrol), bool)},
        watermarks=[],
    )


def foreign_system(
    name: str, path: Path, trials: TrialList, llr: bool, columns: str | None
) -> tuple[System, list[str]]:
    """Scores of one system, and notes about their file for the user.

    A file that one of our steps wrote has a receipt, which declares whether its scores are
    log-likelihood ratios; for others ``llr`` does.  UserError as `read_foreign_scores`, or if the
    receipt contradicts ``llr``.
    """
    scores = read_foreign_scores(path, trials, columns)
    receipt = read_scored(path).receipt
    counts = {}
    if receipt:
        counts = receipt["counts"]
    if llr and receipt and not counts.get("llr"):
        raise UserError(
            f"{path}: --llr, but the step that wrote these scores declares no log-likelihood "
            "ratios; leave --llr out, or calibrate them: steps.calibrate, steps.apply_calibration"
        )
    marks = list(counts.get("watermarks", []))
    if llr and not receipt and np.abs(scores.values).max() <= 1:
        marks.append(
            "--llr, but all scores are between -1 and 1, as cosines are: if they are cosines, "
            "actual costs and Cllr mean nothing"
        )
    head = {
        "system": name,
        "test_set": list_name(trials.path),
        "protocol": counts.get("protocol", ""),
        "backend": "",
    }
    return System(head, [scores.values], bool(counts.get("llr", llr)), marks), scores.notes


def evaluated(
    systems: Sequence[System], tests: TrialSet, drawing: Drawing, *, has_speakers: bool
) -> Evaluated:
    """Evaluate systems on one test set; differences of all pairs only if speakers are known."""
    rows: list[dict] = []
    curves: list[dict] = []
    wholes: list[tuple[dict, Figures]] = []
    for system in systems:
        own_rows, figures = system_rows(system, [tests], drawing)
        if not has_speakers:
            own_rows = [row | {"speakers": None} for row in own_rows]
        rows += own_rows
        wholes.append((own_rows[0], figures))
        curves.append(system.head | make_curves(tests, system.scores[0], system.llr, drawing))
    differences: list[dict] = []
    if has_speakers and len(systems) > 1 and all(figures.draws for _, figures in wholes):
        differences = compare_pairs(wholes)
    return Evaluated(rows, curves, differences)
