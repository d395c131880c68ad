"""Metrics of detection, on arrays: error rates, costs, Cllr, intervals.

`rates` has EER and minDCF, `llr` Cllr and its minimum, `summary` all of them at once (`evaluate`);
`curves` the points of a DET curve; `bootstrap` and `intervals` what the figures would have been
with other speakers; `operating_points` decisions at a threshold.
"""
