"""Corpora: ``prepare_<corpus>`` turns a corpus' files into data directories; packages hold what one
corpus needs."""
