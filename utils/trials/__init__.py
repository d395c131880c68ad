"""Trials: which enrolments are compared with which tests.

`design` and `pairs` make lists of trials; `enrolment` draws a speaker's enrolment utterances;
`checked` reads trials and checks them against the lists beside them; `foreign` reads lists of other
tools; `speakers` finds the speakers of both sides; `leakage` finds test speakers in training sets.
"""
