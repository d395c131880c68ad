"""How a model's scores enter a fit: its calibration and its back end."""

from dataclasses import replace
from typing import TYPE_CHECKING

from utils.pretrained import read_model_calibration
from utils.scoring.thresholds.files import Calibration
from utils.scoring.thresholds.own_threshold import Settings

if TYPE_CHECKING:
    from utils.scoring.verification import ModelScoring


def with_scores_of(scoring: "ModelScoring", settings: Settings) -> Settings:
    """Settings with the calibration and the back end of a model.

    A calibration of normalised scores does not apply to scores without norm.
    """
    if scoring.model is not None and scoring.norm is None:
        own = read_model_calibration(scoring.model)
        if own is not None:
            settings = replace(settings, calibration=Calibration(own.offset, own.slope))
    if scoring.backend is None:
        return settings
    return replace(
        settings,
        backend=lambda vectors, trials: scoring.trial_scores(vectors, trials.enrol, trials.test),
    )
