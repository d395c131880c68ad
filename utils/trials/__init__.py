"""Trials: who is compared with whom.

`design` and `pairs` make lists of trials; `enrolment` averages a speaker's enrolment utterances;
`checked` reads trials and holds them against the lists beside them; `speakers` names the speakers
of both sides; `leakage` finds test speakers among those trained on.
"""
