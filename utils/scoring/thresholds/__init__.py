"""A threshold that is fitted on recordings of the user's own: trials, fit, bounds, and its file.

`files` has the fitted `Threshold`, what it says of a score, and ``threshold.json``.
"""

from utils.scoring.thresholds.files import Calibration, Decision, Threshold, read_threshold

__all__ = ["Calibration", "Decision", "Threshold", "read_threshold"]
