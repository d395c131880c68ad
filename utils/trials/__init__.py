"""Trials: who is compared with whom.

`design` and `pairs` make lists of trials; `enrolment` averages a speaker's enrolment utterances;
`speakers` names the speakers of both sides; `leakage` finds test speakers among those trained on.
"""
