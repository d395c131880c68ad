"""Crops of stored features: the matrices of a feats.scp, made by Kaldi or by steps.make_feats.

Shapes: ``B`` crops, ``T`` frames, ``F`` features of a frame.
"""

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from utils.archive.bulk import BODY, CM, CUT, ITEMS, UNKNOWN, read_matrix_headers
from utils.archive.compressed import decode_even, decode_quartiles
from utils.archive.ranges import LENGTH_TOLERANCE, Span
from utils.archive.read import entry_and_range, map_file, read_vector, split_entry
from utils.errors import UserError

MAX_OPEN_FILES = 256
# up to this size one read of all columns is faster than one read of every column's crop
ONE_READ_BYTES = 1 << 18


class FeatureReader:
    """Reads crops of features; a `utils.packed.reader.PackedReader` with frames for samples.

    The index is a few arrays, read once from the headers of the archives.  A reader can be pickled,
    and used by forked workers at the same time.  Of utterances with decisions in ``vad_scp`` only
    the frames of speech count, as after Kaldi's select-voiced-frames.

    ``feats_scp`` maps utterances to ``file.ark:offset``, with or without Kaldi's range of rows;
    relative paths start from ``root``.  ``num_frames`` and ``num_samples`` (N,) are the frames of
    each utterance in the archive, and those that can be read.

    UserError if an archive is missing, text, truncated, or has other objects than float matrices
    of ``num_bins`` columns, or if decisions do not fit.
    """

    def __init__(
        self,
        feats_scp: Mapping[str, str],
        num_bins: int,
        frames_per_second: int,
        *,
        vad_scp: Mapping[str, str] | None = None,
        root: str | Path | None = None,
    ):
        self.num_bins = num_bins
        self.sample_rate_hz = frames_per_second
        self.root = Path(root or "")
        if not feats_scp:
            raise UserError(
                "no features, expected utterances in feats.scp; make them (steps.make_feats)"
            )
        utterances = list(feats_scp)
        entries = [_parse_entry(entry, utterance) for utterance, entry in feats_scp.items()]
        archive_numbers: dict[str, int] = {}
        for path, _, _ in entries:
            archive_numbers.setdefault(path, len(archive_numbers))
        self.paths = [self.root / path for path in archive_numbers]
        self.archive = np.array([archive_numbers[path] for path, _, _ in entries], np.int32)
        self.offset = np.array([offset for _, offset, _ in entries], np.int64)
        self.kind = np.zeros(len(entries), np.uint8)
        self.num_rows = np.zeros(len(entries), np.int64)
        self._files: dict[int, io.FileIO] = {}  # the last ones stay open
        order, counts = np.argsort(self.archive, kind="stable"), np.bincount(self.archive)
        for number, indices in enumerate(np.split(order, np.cumsum(counts)[:-1])):
            self._read_headers(number, indices, utterances)
        self.first_row = np.array([first for _, _, (first, _) in entries], np.int64)
        last_row = np.array([last for _, _, (_, last) in entries], np.int64)
        self.num_frames = self._count_frames(last_row, utterances)
        self.num_samples = self.num_frames.copy()
        self.speech = None if vad_scp is None else self._read_decisions(vad_scp, utterances)

    def __len__(self) -> int:
        return len(self.offset)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_files": {}}

    def read(self, index: int, start_sample: int = 0, num_samples: int | None = None) -> np.ndarray:
        """Frames of one utterance or of a part of it, (num_samples, F) float32.

        The part must lie inside the utterance; without ``num_samples`` it goes to the end.
        UserError for NaN or Inf, or if the archive was truncated after it was opened.
        """
        end = int(self.num_samples[index]) if num_samples is None else start_sample + num_samples
        if not 0 <= start_sample <= end <= self.num_samples[index]:
            raise ValueError(
                f"frames {start_sample} to {end} of utterance number {index}, "
                f"which has {self.num_samples[index]}"
            )
        if self.speech is None:
            frames_TF = self._rows(index, start_sample, end)
        else:
            frames_TF = self._speech_rows(index, start_sample, end)
        if not np.isfinite(frames_TF).all():
            raise UserError(
                f"{self._where(index)}: NaN or Inf among frames {start_sample} to {end}; "
                "make these features again"
            )
        return frames_TF

    def read_batch(
        self, indices: Sequence[int], starts: Sequence[int], num_samples: int
    ) -> np.ndarray:
        """Crops of equal length, (B, num_samples, F) float32; each lies inside its utterance."""
        crops = []
        for index, start in zip(indices, starts, strict=True):
            crops.append(self.read(index, int(start), num_samples))
        return np.stack(crops)

    def _speech_rows(self, index: int, start: int, end: int) -> np.ndarray:
        """Rows of the frames of speech from number ``start`` up to ``end``."""
        rows_T = np.flatnonzero(self._decisions(index))[start:end]
        if not len(rows_T):
            return self._rows(index, 0, 0)
        first, last = int(rows_T[0]), int(rows_T[-1])
        return self._rows(index, first, last + 1)[rows_T - first]

    def _rows(self, index: int, start: int, end: int) -> np.ndarray:
        """Rows of the matrix as float32, counted from the first row of the utterance."""
        kind = int(self.kind[index])
        total = int(self.num_rows[index])
        start, end = start + int(self.first_row[index]), end + int(self.first_row[index])
        item, body = ITEMS[kind], int(self.offset[index]) + BODY[kind]
        first_item = body + item.itemsize * start * self.num_bins
        shape = (end - start, self.num_bins)
        if kind < CM:
            return self._take(index, first_item, item, shape).astype(np.float32, copy=False)
        minimum, extent = self._take(index, body - 16, np.dtype("<f4"), (2,))
        if kind > CM:  # CM2, CM3: codes row after row
            codes_TF = self._take(index, first_item, item, shape)
            return decode_even(minimum, float(extent), codes_TF)
        # CM: quartiles of every column, then codes column after column
        quartiles_F4 = self._take(index, body, np.dtype("<u2"), (self.num_bins, 4))
        body += quartiles_F4.nbytes
        if self.num_bins * total <= ONE_READ_BYTES or (start, end) == (0, total):
            codes_FT = self._take(index, body, item, (self.num_bins, total))[:, start:end]
        else:
            first, crop = body + start, (end - start,)
            offsets = range(first, first + self.num_bins * total, total)
            codes_FT = np.stack([self._take(index, offset, item, crop) for offset in offsets])
        return decode_quartiles(minimum, extent, quartiles_F4, codes_FT)

    def _take(self, index: int, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """An array at a byte offset of an utterance's archive."""
        number = int(self.archive[index])
        if number not in self._files:
            if len(self._files) == MAX_OPEN_FILES:  # a list may name a file for every utterance
                self._files.pop(next(iter(self._files))).close()
            file = open(self.paths[number], "rb", buffering=0)  # noqa: SIM115 - stays open
            self._files[number] = file
        values = np.empty(shape, dtype)
        if not values.size:
            return values
        if os.preadv(self._files[number].fileno(), [values.data], offset) != values.nbytes:
            raise UserError(
                f"{self.paths[number]}: ends before byte {offset + values.nbytes:,}; "
                "it was truncated while in use; make it again"
            )
        return values

    def _count_frames(self, last_row: np.ndarray, utterances: list[str]) -> np.ndarray:
        """Number of frames of each utterance; a last row of -1 is the last of the matrix."""
        is_wrong = (
            (last_row >= self.num_rows + LENGTH_TOLERANCE)
            | (self.first_row >= self.num_rows)
            | (last_row >= 0) & (last_row < self.first_row)
        )
        wrong = np.flatnonzero(is_wrong)
        if len(wrong):
            first, last = self.first_row[wrong[0]], last_row[wrong[0]]
            rows = self.num_rows[wrong[0]]
            self._refuse(wrong, utterances, f"rows {first} to {last} of a matrix of {rows}")
        ends = np.where(last_row < 0, self.num_rows, np.minimum(last_row + 1, self.num_rows))
        return ends - self.first_row

    def _read_headers(self, number: int, indices: np.ndarray, utterances: list[str]) -> None:
        """Kinds and sizes of the matrices of one archive, of the utterances ``indices``."""
        buffer = map_file(self.paths[number], utterances[indices[0]])
        heads = read_matrix_headers(buffer, self.offset[indices])
        self.kind[indices], self.num_rows[indices] = heads.kind, heads.rows

        def refuse(wrong, describe):
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                self._refuse(indices[wrong], utterances, describe(first))

        def describe_cut(_k):
            return f"no matrix can begin here: the file has {len(buffer):,} bytes"

        def describe_unknown(k):
            offset = self.offset[indices[k]]
            return _describe_kind(buffer[offset : offset + 12])

        def describe_size(k):
            return (
                f"found {heads.rows[k]} frames of {heads.columns[k]} features, "
                f"expected frames of {self.num_bins} (num_bins of the front end)"
            )

        def describe_truncated(k):
            ends_at = f"the matrix ends at byte {heads.ends[k]:,}, the file at {len(buffer):,}"
            return f"truncated: {ends_at}"

        refuse(heads.kind == CUT, describe_cut)
        refuse(heads.kind == UNKNOWN, describe_unknown)
        refuse((heads.columns != self.num_bins) | (heads.rows < 1), describe_size)
        refuse(heads.ends > len(buffer), describe_truncated)

    def _read_decisions(
        self, vad_scp: Mapping[str, str], utterances: list[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decisions of all utterances as packed bits, and the first byte of each utterance.

        Sets ``num_samples`` to the frames of speech.
        """
        bits, starts = [], [0]
        for k, utterance in enumerate(utterances):
            if utterance not in vad_scp:
                raise UserError(
                    f"{self._where(k)}: utterance '{utterance}' has no voice activity decisions "
                    "in vad.scp; compute them (stage 1)"
                )
            # the path comes first in an entry, so the whole entry can be joined to the folder
            decisions = read_vector(self.root / vad_scp[utterance], key=utterance) > 0
            if len(decisions) != self.num_frames[k]:
                raise UserError(
                    f"{self._where(k)}: utterance '{utterance}' has {self.num_frames[k]} frames "
                    f"but {len(decisions)} voice activity decisions; "
                    "compute both with the same frames (snip_edges: false)"
                )
            bits.append(np.packbits(decisions))
            starts.append(starts[-1] + len(bits[-1]))
            self.num_samples[k] = decisions.sum()
        silent = np.flatnonzero(self.num_samples == 0)
        if len(silent):
            fault = "no frame of speech; remove the utterance from the data directory"
            self._refuse(silent, utterances, fault)
        return np.concatenate(bits), np.array(starts, np.int64)

    def _decisions(self, index: int) -> np.ndarray:
        """Decisions of an utterance, 1 for speech, with up to 7 zeros appended."""
        assert self.speech is not None
        bits, starts = self.speech
        return np.unpackbits(bits[starts[index] : starts[index + 1]])

    def _where(self, index: int) -> str:
        """Archive and offset of an utterance, for messages."""
        return f"{self.paths[self.archive[index]]}:{self.offset[index]}"

    def _refuse(self, wrong: np.ndarray, utterances: list[str], fault: str) -> NoReturn:
        """Raise UserError for the first of the wrong utterances, with the number of others."""
        first = int(wrong[0])
        more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
        raise UserError(f"{self._where(first)}: utterance '{utterances[first]}'{more}: {fault}")


def _parse_entry(entry: str, utterance: str) -> tuple[str, int, Span]:
    """File, offset, and first and last row of an entry of a feats.scp; -1 is the last row."""
    entry_path, wanted = entry_and_range(entry, utterance)
    if wanted and wanted.columns:
        raise UserError(
            f"utterance '{utterance}': '{entry}' has a range of columns, which cannot be read "
            "in crops; write these features to an archive of their own: "
            "python -m utils.archive merge feats.scp NEW.ark"
        )
    path, offset = split_entry(entry_path, utterance)
    rows = wanted.rows if wanted else None
    return path, offset or 0, rows or (0, -1)


def _describe_kind(beginning: bytes) -> str:
    """Why an object that begins with these bytes is refused: it is not a matrix."""
    if beginning.lstrip()[:1] == b"[":
        return (
            "a text archive: crops cannot be read from it; "
            "write it in binary (copy-feats ark:FILE ark,scp:NEW.ark,NEW.scp)"
        )
    kind = "a wave" if beginning[:4] == b"RIFF" else repr(beginning)
    return f"found {kind}, expected a matrix of features (FM, DM, CM, CM2 or CM3)"
