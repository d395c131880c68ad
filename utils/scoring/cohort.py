"""The cohort of score normalisation: who is in it, and who may not be."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.archive import read_scp
from utils.archive.bulk import vector_blocks
from utils.data_dir import read_map
from utils.embeddings.folders import refuse_not_finite
from utils.embeddings.rows import has_matrices, read_embeddings, vectors_of
from utils.errors import UserError
from utils.files import read_lines
from utils.receipts.contents import fingerprint, read_receipt
from utils.scoring.score_files import receipt_of
from utils.trials.leakage import refuse_leakage
from utils.trials.speakers import speakers_of_sides

LISTS = {"speakers": "spk_xvector.scp", "utterances": "xvector.scp"}
VECTORS_AT_A_TIME = 1 << 16
LARGE_BYTES = 1 << 29  # of transformed embeddings: more go to a file
MAKER = {
    "backend": "back end",
    "embeddings": "embeddings",
    "enrol_embeddings": "embeddings of enrolment sides",
}


class StoredRows:
    """An array (N, D) to which rows are added at its end, and of which consecutive ones are read; several threads may read.

    Parameters
    ----------
    folder : path
        Where there is room for it; the file is gone when the object is.
    """

    def __init__(self, folder: Path):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open for as long as the object
        self._dtype, self._columns, self._rows = np.dtype(np.float32), 0, 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows.

        Parameters
        ----------
        rows : (B, D) float array
            Of one size and type in all calls.
        """
        if self._rows and (rows.shape[1], rows.dtype) != (self._columns, self._dtype):
            raise ValueError(
                f"rows of {rows.shape[1]} {rows.dtype}, those before are of {self._columns} {self._dtype}"
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
            raise ValueError(f"every {step}th row is asked for, expected consecutive ones")
        count, row_bytes = max(0, stop - start), self._columns * self._dtype.itemsize
        buffer, done = bytearray(count * row_bytes), 0
        while done < len(buffer):  # one call gives 2 GiB at most
            done += os.preadv(
                self._file.fileno(), [memoryview(buffer)[done:]], start * row_bytes + done
            )
        return np.frombuffer(buffer, self._dtype).reshape(count, self._columns)


def cohort_members(folder: Path, cohort_of: str, cohort_list: Path | None = None) -> dict[str, str]:
    """Who is in a cohort.

    Parameters
    ----------
    folder : path
        Folder of embeddings.
    cohort_of : str
        ``speakers`` or ``utterances``.
    cohort_list : path or None
        Who of them, one at the head of each line; None: all.

    Returns
    -------
    dict of str to str
        Name -> entry of the scp file.

    Raises
    ------
    UserError
        There is nobody, or somebody of the list has no embedding.
    """
    entries = read_scp(folder / LISTS[cohort_of])
    if not entries:
        raise UserError(
            f"{folder / LISTS[cohort_of]}: no entries, expected vectors; is the step that writes it finished?"
        )
    if cohort_list is None:
        return entries
    wanted = list(
        dict.fromkeys(line.split()[0] for line in read_lines(cohort_list) if line.split())
    )
    if not wanted:
        raise UserError(f"{cohort_list}: names no member; expected one at the head of each line")
    missing = [name for name in wanted if name not in entries]
    if missing:
        raise UserError(
            f"{cohort_list}: no embedding of '{missing[0]}' in {folder}; {len(missing)} of {len(wanted)} lack one: "
            "extract them, or take them off the list"
        )
    return {name: entries[name] for name in wanted}


def cohort_rows(
    folder: Path,
    cohort_of: str,
    members: Mapping[str, str],
    transform: Callable[[Sequence[str], np.ndarray], np.ndarray],
    scratch: Path,
) -> np.ndarray | StoredRows:
    """Transformed embeddings of a cohort; where they are many, in a file and not in memory.

    Parameters
    ----------
    folder, cohort_of : path, str
        As of `cohort_members`.
    members : mapping of str to str
        From there.
    transform : callable
        Names of B members, (B, D) array -> (B, D') array.
    scratch : path
        Folder with room for a large one.

    Returns
    -------
    (C, D') float array, or what is sliced like one

    Raises
    ------
    UserError
        An embedding is not finite, or has another size.
    """
    names = list(members)
    if has_matrices(folder / LISTS[cohort_of]):
        row_of = {name: row for row, name in enumerate(read_scp(folder / LISTS[cohort_of]))}
        blocks = iter(
            [(names, vectors_of(read_embeddings(folder)[1][[row_of[name] for name in names]]))]
        )
    else:
        blocks = vector_blocks(members, names, VECTORS_AT_A_TIME)
    stored, rows = None, []
    for some, vectors in blocks:
        refuse_not_finite(some, vectors, folder)
        rows.append(transform(some, vectors))
        if (
            stored is None
            and len(rows[0]) < len(names)
            and rows[0].nbytes / len(rows[0]) * len(names) > LARGE_BYTES
        ):
            scratch.mkdir(parents=True, exist_ok=True)
            stored = StoredRows(scratch)
        if stored is not None:
            stored.append(rows.pop())
    return np.concatenate(rows) if stored is None else stored


def refuse_shared_speakers(
    members: Iterable[str],
    cohort_of: str,
    cohort_utt2spk: Path | None,
    sides: Iterable[str],
    data: Path,
    enroll_spk2utt: Path | None,
    allow_leakage: bool,
) -> list[str]:
    """Refuse a cohort that a speaker of the trials is in: normalised scores would be too good.

    Parameters
    ----------
    members : iterable of str
        Names of the cohort: speakers, or utterances.
    cohort_of : str
        Which of the two.
    cohort_utt2spk : path or None
        Speakers of the utterances.
    sides : iterable of str
        Names in the trials.
    data : path
        Their data directory.
    enroll_spk2utt : path or None
        Models and their utterances.
    allow_leakage : bool
        Go on nevertheless.

    Returns
    -------
    list of str
        What has to be said beside every figure.

    Raises
    ------
    UserError
        There is one and ``allow_leakage`` is False, or nobody says whose voices the cohort's are.
    """
    speakers = set(members)
    if cohort_of == "utterances":
        if cohort_utt2spk is None:
            raise UserError(
                "--cohort-utt2spk is missing: it says whose the cohort's utterances are, so that no speaker of the trials is among them"
            )
        speaker_of = read_map(cohort_utt2spk)
        unknown = sorted(speakers - speaker_of.keys())
        if unknown:
            raise UserError(
                f"{cohort_utt2spk}: no speaker for '{unknown[0]}' of the cohort; {len(unknown)} of {len(speakers)} members lack one"
            )
        speakers = {speaker_of[member] for member in speakers}
    return refuse_leakage(
        {data.name: speakers_of_sides(sides, data, enroll_spk2utt)},
        {"cohort": speakers},
        allow=allow_leakage,
    )


def refuse_other_scores(scores: Path, inputs: Mapping[str, Path]) -> dict:
    """Refuse a score file that was made with something else than what its normalisation uses.

    Parameters
    ----------
    scores : path
        Score file; one without a receipt is from outside, and is believed.
    inputs : mapping of str to path
        Receipts of the back end and of the embeddings.

    Returns
    -------
    dict
        Counts of its receipt: ``protocol``, perhaps ``watermarks``.

    Raises
    ------
    UserError
        They differ.
    """
    receipt = read_receipt(receipt_of(scores))
    if receipt is None:
        return {}
    for label, what in MAKER.items():
        made = receipt["inputs"].get(label)
        if made and (label not in inputs or made["content"] != fingerprint(inputs[label])):
            raise UserError(
                f"{scores}: made with the {what} of {Path(made['path']).parent.parent}, this is {inputs.get(label, 'none')}; "
                "normalise with the same, or score again"
            )
    return receipt["counts"]
