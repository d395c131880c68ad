"""Steps: each module has a function of its name, the command ``python -m steps.<name>``."""
