"""Evaluation: from score files and trial lists to rows of results.

`sets` reads test sets and systems, `rows` makes the entries of results.json, `results` reads and
shows them, `subsets` breaks trials down, `comparison` compares two systems on the same trials.
"""
