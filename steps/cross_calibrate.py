r"""Calibrate a system, or fuse several, by cross-validation over the speakers of the list itself.

    python -m steps.cross_calibrate a.scores b.txt c.npy veri_test.txt fused.scores \
      --utt2spk utt2spk
    python -m steps.evaluate_scores a.scores b.txt c.npy fused.scores veri_test.txt results/o \
      --utt2spk utt2spk

For scores of other programs that have no dev list.  If there is one, use ``steps.calibrate``: what
this step writes is marked as made with test trials.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task
from utils.scoring.cross_calibration import assign_folds, cross_calibrated
from utils.scoring.foreign_scores import read_foreign_scores, require_files, system_names
from utils.scoring.score_files import score_input, score_receipt, write_scores
from utils.trials.foreign import TrialList, read_foreign_trials, speakers_of_trials

FORMAT = 1


def cross_calibrate(
    scores: list[Path],
    trials: Path,
    output: Path,
    *,
    utt2spk: Path,
    enroll_spk2utt: Path | None = None,
    columns: str | None = None,
    folds: int = 10,
    seed: int = 0,
    p_target: float = 0.5,
) -> dict:
    """Write log-likelihood ratios, by affine maps trained without the speakers of each trial.

    Parameters
    ----------
    scores : list of path
        Score file of each system, on the same trials, as for ``steps.evaluate_scores``; their order
        changes nothing.
    trials : path
        The list, with classes, as for ``steps.evaluate_scores``.
    output : path
        Score file, ``<enrol> <test> <score>``; its receipt declares log-likelihood ratios, and how
        they were made.
    utt2spk : path
        ``<utterance> <speaker>`` on each line.
    enroll_spk2utt : path, optional
        ``<model> <utterance> ...``: speaker models, for enrolment sides of several utterances.
    columns : str, optional
        As for ``steps.evaluate_scores``.
    folds : int
        Number of groups of speakers.  A map is trained without the groups of both sides: with 10
        folds, on eight or nine.
    seed : int
        Seed of the random folds.
    p_target : float
        As for ``steps.calibrate``.

    Returns
    -------
    dict
        Number of ``trials``, ``llr`` (true), ``systems``, ``folds``, and ``watermarks``.

    Raises
    ------
    UserError
        As ``steps.evaluate_scores``; or there are too few speakers, or scores that nothing can be
        learned from.
    """
    named = sorted(zip(system_names(scores), scores, strict=True))
    lists = {"utt2spk": utt2spk, "enroll_spk2utt": enroll_spk2utt}
    given = {name: path for name, path in lists.items() if path}
    require_files([*scores, trials, *given.values()])
    refuse_output(output, scores, trials)
    if not 0 < p_target < 1:
        raise UserError(f"--p-target: {p_target:g}, expected a prior between 0 and 1")
    inputs = {f"scores {name}": score_input(path) for name, path in named}
    options = {"columns": columns, "folds": folds, "seed": seed, "p_target": p_target}
    task = Task(
        output.parent,
        score_receipt(output).stem,
        format=FORMAT,
        inputs={**inputs, "trials": trials, **given},
        options=options,
    )
    if task.is_done():
        return task.counts
    listed = read_foreign_trials(trials)
    sides = side_folds(listed, utt2spk, enroll_spk2utt, folds, seed)
    features = []
    for _, path in named:
        system = read_foreign_scores(path, listed, columns)
        features.append(system.values)
        for note in system.notes:
            print(note)
    try:
        llr, weights = cross_calibrated(
            np.stack(features, axis=1), listed.is_target, sides, p_target
        )
    except ValueError as error:
        raise UserError(
            f"{trials}: {error}; use more --folds, since a map is trained without two of them, or "
            "calibrate on another list: steps.calibrate"
        ) from None
    refuse_reversed(weights, named[0][1])
    write_scores(output, listed.enrol, listed.test, llr)
    names = [name for name, _ in named]
    for name, column in zip(names, weights.T, strict=True):
        print(
            f"{output}: weight of {name} {column.mean():.4g}, {column.min():.4g} to "
            f"{column.max():.4g} in {len(weights)} maps"
        )
    counts = {
        "trials": len(llr),
        "llr": True,
        "systems": names,
        "folds": folds,
        "watermarks": [watermark(output.stem, names, folds)],
    }
    return task.finish([output], counts)


def refuse_output(output: Path, scores: Sequence[Path], trials: Path) -> None:
    """UserError if the output is an input, a folder, or a file that would not be read as scores."""
    read = {path.resolve() for path in [*scores, trials]}
    if output.is_dir() or output.resolve() in read or output.suffix == ".npy":
        raise UserError(
            f"{output}: expected the name of a new text file for the scores, named last: "
            "SCORES... TRIALS FILE"
        )


def side_folds(
    trials: TrialList, utt2spk: Path, enroll_spk2utt: Path | None, folds: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fold of the speaker of each side, (N,) int; UserError for unknown or too few speakers."""
    speakers = speakers_of_trials(trials, utt2spk, enroll_spk2utt)
    if not speakers.are_known:
        raise UserError(
            f"{utt2spk}: utterances are their own speakers, so that speakers cannot be separated; "
            "name a list of real speakers"
        )
    try:
        fold_of = assign_folds([*speakers.enrol, *speakers.test], folds, seed)
    except ValueError as error:
        raise UserError(f"{trials.path}: {error} (--folds)") from None
    enrol = np.array([fold_of[speaker] for speaker in speakers.enrol])
    test = np.array([fold_of[speaker] for speaker in speakers.test])
    return enrol, test


def refuse_reversed(weights: np.ndarray, path: Path) -> None:
    """UserError if the targets of a single system score lower than its nontargets.

    ``weights`` (M, F) are those of each map; of several systems one may be negative.
    """
    if weights.shape[1] == 1 and weights.min() <= 0:
        raise UserError(
            f"{path}: targets score lower than nontargets on the whole; are they distances, or "
            "the classes swapped?"
        )


def watermark(name: str, names: Sequence[str], folds: int) -> str:
    """The warning that is shown beside every figure of such scores."""
    made = "calibrated"
    if len(names) > 1:
        made = f"fused from {len(names)} systems ({', '.join(names)})"
    return (
        f"{name}: {made} on the trials of this list, cross-validated over its speakers in {folds} "
        "folds: no map was trained on a speaker of the trials that it was applied to, but test "
        "trials were used"
    )


if __name__ == "__main__":
    run(cross_calibrate)
