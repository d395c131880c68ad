"""Evaluation: from score files and trial lists to rows of results.

`sets` names the test sets of an experiment, `rows` makes the entries of results.json, `results`
reads them, `subsets` breaks trials down, `comparison` compares two systems on the same trials.
"""
