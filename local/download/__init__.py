"""Downloads: what there is (`table`), fetching and unpacking.  ``python -m local.download``."""
