"""Kaldi archives (ark) and their indexes (scp): read and write.

`read`: single objects; `iterate`: one after the other; `bulk`: many vectors at once; `write`;
`compare` and `relocate`: whole files; `plda`: Kaldi's ``<Plda>``.  The names below are for other
packages; the command is ``python -m utils.archive``.
"""

from utils.archive.bulk import read_vectors
from utils.archive.iterate import iterate_archive, iterate_scp
from utils.archive.read import (
    read_matrix,
    read_object,
    read_scp,
    read_vector,
    read_wave,
    split_entry,
)
from utils.archive.write import ArchiveWriter, write_matrix, write_text_vectors, write_vector

__all__ = [
    "ArchiveWriter",
    "iterate_archive",
    "iterate_scp",
    "read_matrix",
    "read_object",
    "read_scp",
    "read_vector",
    "read_vectors",
    "read_wave",
    "split_entry",
    "write_matrix",
    "write_text_vectors",
    "write_vector",
]
