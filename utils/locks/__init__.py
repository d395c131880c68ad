"""Locks of a run: no two runs of a recipe write to one place.

`run_lock` takes and frees them (`acquire`, `clear`), `holder` knows whether the process that holds
one still lives.  Shell: utils/locks.sh.
"""
