"""Downloads: what there is (`table`), and unpacking.  ``python -m local.download``."""
