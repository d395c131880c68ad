"""The cohort of score normalisation: its members, their speakers, and their embeddings as rows.

The rows of a large cohort are in a file (`StoredRows`).
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from utils.archive import read_scp
from utils.archive.bulk import vector_blocks
from utils.data_dir import read_map
from utils.embeddings.folders import refuse_not_finite
from utils.embeddings.rows import has_matrices, mean_rows, read_embeddings
from utils.errors import UserError
from utils.files import read_foreign_lines, split_words
from utils.receipts.contents import fingerprint, read_receipt
from utils.scoring.score_files import score_receipt

MembersOf = Literal["speakers", "utterances"]

LISTS = {"speakers": "spk_xvector.scp", "utterances": "xvector.scp"}
VECTORS_AT_A_TIME = 1 << 16
LARGE_BYTES = 1 << 29  # of transformed embeddings: larger ones are in a file
MAKER = {
    "backend": "back end",
    "embeddings": "embeddings",
    "enrol_embeddings": "embeddings of enrolment sides",
}


@dataclass(frozen=True)
class Cohort:
    """Speakers, or utterances, that sides are scored against: name -> entry of the scp file.

    ``rows`` (C, D) are the vectors of the members where these are no embeddings of a folder.
    """

    folder: Path
    kind: MembersOf
    members: Mapping[str, str]
    rows: np.ndarray | None = None

    @property
    def scp(self) -> Path:
        """The list that has its members, and perhaps others."""
        return self.folder / LISTS[self.kind]


def read_cohort(folder: Path, kind: MembersOf, cohort_list: Path | None = None) -> Cohort:
    """Members of a cohort: all of a folder of embeddings, or those that ``cohort_list`` names.

    A name is the first word of a line.  UserError if there is no member, or one has no embedding.
    """
    whole_cohort = Cohort(folder, kind, read_scp(folder / LISTS[kind]))
    entries = whole_cohort.members
    if not entries:
        raise UserError(
            f"{whole_cohort.scp}: no entries, expected vectors; "
            "is the step that writes it finished?"
        )
    if cohort_list is None:
        return whole_cohort
    wanted: dict[str, None] = {}  # in the order of the list, each once
    for line in read_foreign_lines(cohort_list):
        words = split_words(line)
        if words:
            wanted[words[0]] = None
    if not wanted:
        raise UserError(f"{cohort_list}: names no member; expected one at the start of each line")
    missing = [name for name in wanted if name not in entries]
    if missing:
        raise UserError(
            f"{cohort_list}: no embedding of '{missing[0]}' in {folder}; {len(missing)} of "
            f"{len(wanted)} lack one: extract them, or remove them from the list"
        )
    return Cohort(folder, kind, {name: entries[name] for name in wanted})


def cohort_speakers(cohort: Cohort, utt2spk: Path | None) -> set[str]:
    """Speakers of a cohort; UserError for a cohort of utterances without ``utt2spk``."""
    members = set(cohort.members)
    if cohort.kind == "speakers":
        return members
    if utt2spk is None:
        raise UserError(
            "--cohort-utt2spk is missing: a file of the speakers of the cohort's utterances, to "
            "check that no speaker of the trials is among them"
        )
    speakers = read_map(utt2spk)
    unknown = sorted(members - speakers.keys())
    if unknown:
        raise UserError(
            f"{utt2spk}: no speaker for '{unknown[0]}' of the cohort; {len(unknown)} of "
            f"{len(members)} members lack one: add them"
        )
    return {speakers[member] for member in members}


def refuse_other_scores(scores: Path, inputs: Mapping[str, Path]) -> dict:
    """Refuse scores that were not made with the back end and embeddings among ``inputs``.

    Returns the counts of their receipt.  A file without a receipt is from outside: nothing is
    checked, and there are no counts.  UserError for scores made with others.
    """
    receipt = read_receipt(score_receipt(scores))
    if receipt is None:
        return {}
    for label, what in MAKER.items():
        made = receipt["inputs"].get(label)
        if made and (label not in inputs or made["content"] != fingerprint(inputs[label])):
            folder = Path(made["path"]).parent.parent
            raise UserError(
                f"{scores}: made with the {what} of {folder}, this is "
                f"{inputs.get(label, 'none')}; normalise with the same, or score again"
            )
    return receipt["counts"]


class StoredRows:
    """An array (N, D) in a temporary file: append rows, read slices, in several threads."""

    def __init__(self, folder: Path):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open while the object is
        self._dtype, self._columns, self._rows = np.dtype(np.float32), 0, 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows (B, D), of one size and type in all calls."""
        if self._rows and (rows.shape[1], rows.dtype) != (self._columns, self._dtype):
            raise ValueError(
                f"rows of {rows.shape[1]} {rows.dtype}, "
                f"those before are of {self._columns} {self._dtype}"
            )
        self._dtype, self._columns = rows.dtype, rows.shape[1]
        self._file.write(np.ascontiguousarray(rows).data)
        self._file.flush()
        self._rows += len(rows)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, wanted: slice) -> np.ndarray:
        start, stop, step = wanted.indices(self._rows)
        if step != 1:
            raise ValueError(f"every {step}th row, expected consecutive rows")
        count, row_bytes = max(0, stop - start), self._columns * self._dtype.itemsize
        buffer, done = bytearray(count * row_bytes), 0
        while done < len(buffer):  # one call reads 2 GiB at most
            done += os.preadv(
                self._file.fileno(), [memoryview(buffer)[done:]], start * row_bytes + done
            )
        return np.frombuffer(buffer, self._dtype).reshape(count, self._columns)


def cohort_rows(
    cohort: Cohort, transform: Callable[[Sequence[str], np.ndarray], np.ndarray], scratch: Path
) -> np.ndarray | StoredRows:
    """Transformed embeddings (C, D') of a cohort; of a large one in a file of ``scratch``.

    ``transform`` maps names and vectors (B, D) to (B, D').  UserError if an embedding is not finite
    or has another size.
    """
    num_members = len(cohort.members)
    stored: StoredRows | None = None
    rows: list[np.ndarray] = []
    for names, vectors in _vector_blocks(cohort):
        refuse_not_finite(names, vectors, cohort.folder)
        rows.append(transform(names, vectors))
        if stored is None and _is_large(rows[0], num_members):
            scratch.mkdir(parents=True, exist_ok=True)
            stored = StoredRows(scratch)
        if stored is not None:
            stored.append(rows.pop())
    return np.concatenate(rows) if stored is None else stored


def _vector_blocks(cohort: Cohort) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    """Names and vectors of the members in blocks; of matrices all at once."""
    names = list(cohort.members)
    if cohort.rows is not None:
        yield names, cohort.rows
        return
    if not has_matrices(cohort.scp):
        yield from vector_blocks(cohort.members, names, VECTORS_AT_A_TIME)
        return
    row_by_name = {name: row for row, name in enumerate(read_scp(cohort.scp))}
    rows = [row_by_name[name] for name in names]
    yield names, mean_rows(read_embeddings(cohort.folder)[1][rows])


def _is_large(first_rows: np.ndarray, num_members: int) -> bool:
    """True if a cohort, of which these are the first rows, is too large for memory."""
    if len(first_rows) == num_members:
        return False
    row_bytes = first_rows.nbytes / len(first_rows)
    return row_bytes * num_members > LARGE_BYTES
