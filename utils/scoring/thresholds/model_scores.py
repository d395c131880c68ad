"""How a model's scores enter a fit: its calibration, and its back end and norm."""

from dataclasses import replace
from typing import TYPE_CHECKING

from utils.pretrained import read_model_calibration
from utils.scoring.thresholds.files import Calibration
from utils.scoring.thresholds.own_threshold import Settings

if TYPE_CHECKING:
    from utils.scoring.verification import ModelScoring


def with_scores_of(scoring: "ModelScoring", settings: Settings) -> Settings:
    """Settings with the calibration of a model, and its scores where they are not plain cosine."""
    if scoring.model is not None:
        own = read_model_calibration(scoring.model)
        if own is not None:
            settings = replace(settings, calibration=Calibration(own.offset, own.slope))
    if scoring.is_plain:
        return settings
    return replace(
        settings,
        model_scores=lambda vectors, trials: scoring.trial_scores(
            vectors, trials.enrol, trials.test
        ),
    )
