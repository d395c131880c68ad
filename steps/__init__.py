"""The verbs: one module = one function = one command, ``python -m steps.<name>``."""
