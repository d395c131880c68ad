r"""Accept or reject trials: the decision of the lowest expected cost, for a stated prior and costs.

    python -m steps.decide exp/x/scores/test/cosine_calibrated.scores \
      exp/x/decisions/test/cosine_calibrated --p-target 0.01
"""

from pathlib import Path
from typing import NoReturn

import numpy as np

from utils.cli import run
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task, existing_receipt
from utils.scoring.score_files import read_scores, score_receipt

FORMAT = 1


def decide(
    scores: Path, output: Path, *, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> dict:
    """Write ``<enrol> <test> accept|reject`` of each trial, at the Bayes threshold.

    Parameters
    ----------
    scores : path
        Calibrated scores, from ``steps.apply_calibration``; others have no threshold that follows
        from a prior and costs.
    output : path
        Text file.
    p_target : float
        Prior probability of a target trial, in (0, 1).
    c_miss : float
        Cost of rejecting a target, positive.
    c_fa : float
        Cost of accepting a nontarget, positive.

    Returns
    -------
    dict
        Numbers of ``trials`` and of those ``accepted``, the ``threshold``, and ``watermarks``.

    Raises
    ------
    UserError
        The scores are not declared log-likelihood ratios, or the prior or a cost is out of range.
    """
    if scores.exists() and not score_receipt(scores).exists():  # of Kaldi, or of another program
        refuse_uncalibrated(scores)
    task = Task(
        output.parent,
        f"decide_{output.stem}",
        format=FORMAT,
        inputs={"scores": score_receipt(scores)},
        options={"p_target": p_target, "c_miss": c_miss, "c_fa": c_fa},
    )
    if task.is_done():
        return task.counts
    from utils.metrics.llr import bayes_threshold

    declared = existing_receipt(score_receipt(scores))["counts"]
    if declared.get("llr") is not True:
        refuse_uncalibrated(scores)
    try:
        threshold = bayes_threshold(p_target, c_miss, c_fa)
    except ValueError as error:
        raise UserError(f"--p-target, --c-miss, --c-fa: {error}") from None
    enrol, test, llr = read_scores(scores)
    accepted = llr >= threshold
    decisions = np.where(accepted, "accept", "reject").tolist()
    with atomic_write(output) as file:
        for one, other, decision in zip(enrol, test, decisions, strict=True):
            file.write(f"{one} {other} {decision}\n")
    print(
        f"{output}: {accepted.sum():,} of {len(llr):,} trials accepted: scores of at least "
        f"{threshold:.4f}, the threshold for p_target {p_target:g}, c_miss {c_miss:g}, "
        f"c_fa {c_fa:g}"
    )
    return task.finish(
        [output],
        {
            "trials": len(llr),
            "accepted": int(accepted.sum()),
            "threshold": threshold,
            "watermarks": declared.get("watermarks", []),
        },
    )


def refuse_uncalibrated(scores: Path) -> NoReturn:
    """UserError that states what scores need before they can be decided on."""
    raise UserError(
        f"{scores}: these scores are not calibrated, and without calibration no threshold follows "
        "from a prior and costs; run steps.calibrate on a dev list, then steps.apply_calibration"
    )


if __name__ == "__main__":
    run(decide)
