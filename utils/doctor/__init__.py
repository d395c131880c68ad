"""Is this machine fit?  ``./run.sh --doctor``.

`software`, `machine`, `disk` and `cluster` look; `findings` is what they say.
"""
