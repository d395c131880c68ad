"""Detection metrics on arrays: error rates, costs, Cllr, intervals.

`rates` has EER and minDCF, `llr` Cllr and its minimum, `summary` all of them at once (`evaluate`);
`curves` the points of a DET curve; `bootstrap` and `intervals` the speaker bootstrap;
`operating_points` priors and costs.
"""
