"""Locks of a run: no two runs of a recipe write to one folder.

`run_lock` takes and releases them, `holder` describes the process that holds one and detects its
death.  Shell: utils/locks.sh.
"""
