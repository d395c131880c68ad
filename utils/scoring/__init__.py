"""Scores: back ends on disk, score files, normalisation, calibration.

`score_files` reads and writes scores; `backend_files` stores and loads back ends; `cohort`,
`cohort_scores`, `cohort_device` and `normalise` are score normalisation; `calibration` and
`calibration_files` turn scores into log-likelihood ratios; `systems` identifies the system of a
score file.
"""
