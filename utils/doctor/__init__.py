"""Checks whether this machine can run a recipe: ``./run.sh --doctor``.

`software`, `machine`, `disk` and `cluster` check; `findings` holds their results.
"""
