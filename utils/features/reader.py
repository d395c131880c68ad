"""Features out: crops of the matrices that a feats.scp lists, made by Kaldi or by steps.make_feats, read where they lie.

Shapes: ``B`` crops, ``T`` frames, ``F`` features of a frame.
"""

import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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
    """Reads crops of features and nothing but the crops; stands where `utils.packed.reader.PackedReader` stands, with frames for samples.

    Its index is a few arrays, read from the headers once, so that workers share it; it can be pickled, and used by forked workers at once.

    Parameters
    ----------
    feats_scp : mapping of str to str
        Utterance -> ``file.ark:offset``, with or without Kaldi's range of rows; utterance number i is the i-th of them.
    num_bins : int
        Features of a frame that the front end takes.
    frames_per_second : int
        Rate of the frames.
    vad_scp : mapping of str to str, or None
        Utterance -> voice activity decisions: only frames of speech are there then, as behind Kaldi's select-voiced-frames.
    root : path or None
        Folder that relative paths start from.

    Attributes
    ----------
    num_frames, num_samples : (N,) int64 arrays
        Frames of each utterance in the archive, and those that can be read: the same, or those of speech.
    sample_rate_hz : int
        Frames per second.

    Raises
    ------
    UserError
        An archive is missing, is text, is cut, or holds other things than float matrices of so many columns; decisions do not fit.
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
        number_of: dict[str, int] = {}
        if not feats_scp:
            raise UserError(
                "no features, expected utterances in feats.scp; make them (steps.make_feats)"
            )
        places, ranges = zip(
            *(_place(entry, utterance) for utterance, entry in feats_scp.items()), strict=True
        )
        self.archive = np.array(
            [number_of.setdefault(path, len(number_of)) for path, _ in places], np.int32
        )
        self.offset = np.array([offset for _, offset in places], np.int64)
        self.paths = [self.root / path for path in number_of]
        self.kind = np.zeros(len(places), np.uint8)
        self.num_rows = np.zeros(len(places), np.int64)
        self._files: dict[int, io.FileIO] = {}  # those read last stay open
        utterances = list(feats_scp)
        by_archive = np.split(
            np.argsort(self.archive, kind="stable"), np.cumsum(np.bincount(self.archive))[:-1]
        )
        for number, mine in enumerate(by_archive):
            self._read_headers(number, mine, utterances)
        self.first_row = np.array([first for first, _ in ranges], np.int64)
        last = np.array([last for _, last in ranges], np.int64)
        wrong = (
            (last >= self.num_rows + LENGTH_TOLERANCE)
            | (self.first_row >= self.num_rows)
            | (last >= 0) & (last < self.first_row)
        )
        self._refuse(
            np.flatnonzero(wrong),
            utterances,
            lambda k: f"rows {self.first_row[k]} to {last[k]} of a matrix of {self.num_rows[k]}",
        )
        self.num_frames = (
            np.where(last < 0, self.num_rows, np.minimum(last + 1, self.num_rows)) - self.first_row
        )
        self.num_samples = self.num_frames.copy()
        self.speech = None if vad_scp is None else self._read_decisions(vad_scp, utterances)

    def __len__(self) -> int:
        return len(self.offset)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_files": {}}

    def read(self, index: int, start_sample: int = 0, num_samples: int | None = None) -> np.ndarray:
        """Frames of one utterance or of a part of it.

        Parameters
        ----------
        index : int
            Which utterance.
        start_sample, num_samples : int, int or None
            First frame and number of frames of the part, inside the utterance; None: to its end.

        Returns
        -------
        (num_samples, F) float32 array

        Raises
        ------
        UserError
            A value is NaN or Inf, or the archive was cut while in use.
        """
        end = int(self.num_samples[index]) if num_samples is None else start_sample + num_samples
        if not 0 <= start_sample <= end <= self.num_samples[index]:
            raise ValueError(
                f"frames {start_sample} to {end} are not inside the {self.num_samples[index]} of utterance number {index}"
            )
        if self.speech is None:
            frames_TF = self._rows(index, start_sample, end)
        else:
            rows_T = np.flatnonzero(self._decisions_of(index))[start_sample:end]
            first = int(rows_T[0]) if len(rows_T) else 0
            frames_TF = self._rows(index, first, int(rows_T[-1]) + 1 if len(rows_T) else 0)[
                rows_T - first
            ]
        if not np.isfinite(frames_TF).all():
            raise UserError(
                f"{self._where(index)}: NaN or Inf among frames {start_sample} to {end}; make these features again"
            )
        return frames_TF

    def read_batch(
        self, indices: Sequence[int], starts: Sequence[int], num_samples: int
    ) -> np.ndarray:
        """Crops of equal length.

        Parameters
        ----------
        indices, starts : (B,) int arrays
            Utterance and first frame of each crop.
        num_samples : int
            Frames of every crop; each has to lie inside its utterance.

        Returns
        -------
        (B, num_samples, F) float32 array
        """
        return np.stack(
            [
                self.read(index, int(start), num_samples)
                for index, start in zip(indices, starts, strict=True)
            ]
        )

    def _rows(self, index: int, start: int, end: int) -> np.ndarray:
        """Rows of the matrix as float32, counted from the first one of the utterance."""
        kind = int(self.kind[index])
        place = int(self.offset[index])
        total = int(self.num_rows[index])
        start, end = start + int(self.first_row[index]), end + int(self.first_row[index])
        item, body = ITEMS[kind], place + BODY[kind]
        if kind < CM:
            return self._take(
                index,
                body + item.itemsize * start * self.num_bins,
                item,
                (end - start, self.num_bins),
            ).astype(np.float32, copy=False)
        minimum, extent = self._take(index, body - 16, np.dtype("<f4"), (2,))
        if kind > CM:
            codes_TF = self._take(
                index,
                body + item.itemsize * start * self.num_bins,
                item,
                (end - start, self.num_bins),
            )
            return decode_even(minimum, float(extent), codes_TF)
        quartiles_F4 = self._take(index, body, np.dtype("<u2"), (self.num_bins, 4))
        body += quartiles_F4.nbytes
        if self.num_bins * total <= ONE_READ_BYTES or (start, end) == (0, total):
            codes_FT = self._take(index, body, item, (self.num_bins, total))[:, start:end]
        else:
            codes_FT = np.stack(
                [
                    self._take(index, body + column * total + start, item, (end - start,))
                    for column in range(self.num_bins)
                ]
            )
        return decode_quartiles(minimum, extent, quartiles_F4, codes_FT)

    def _take(self, index: int, place: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        number = int(self.archive[index])
        if number not in self._files:
            if len(self._files) == MAX_OPEN_FILES:  # a list may name a file for every utterance
                self._files.pop(next(iter(self._files))).close()
            self._files[number] = open(self.paths[number], "rb", buffering=0)  # noqa: SIM115 - kept open for the next crops
        values = np.empty(shape, dtype)
        if (
            values.size
            and os.preadv(self._files[number].fileno(), [values.data], place) != values.nbytes
        ):
            raise UserError(
                f"{self.paths[number]}: ends before byte {place + values.nbytes:,}; it was cut while in use"
            )
        return values

    def _read_headers(self, number: int, mine: np.ndarray, utterances: list[str]) -> None:
        """Kinds and sizes of the matrices of one archive, whose utterances have the numbers ``mine``."""
        buffer = map_file(self.paths[number], utterances[mine[0]])
        heads = read_matrix_headers(buffer, self.offset[mine])
        self.kind[mine], self.num_rows[mine] = heads.kind, heads.rows

        def refuse(wrong, found):
            self._refuse(mine[wrong], utterances, lambda _: found(int(np.flatnonzero(wrong)[0])))

        refuse(
            heads.kind == CUT,
            lambda k: f"no matrix can begin here: the file has {len(buffer):,} bytes",
        )
        refuse(
            heads.kind == UNKNOWN,
            lambda k: _other_kind(buffer[self.offset[mine[k]] : self.offset[mine[k]] + 12]),
        )
        refuse(
            (heads.columns != self.num_bins) | (heads.rows < 1),
            lambda k: (
                f"found {heads.rows[k]} frames of {heads.columns[k]} features, "
                f"expected frames of {self.num_bins} (num_bins of the front end)"
            ),
        )
        refuse(
            heads.ends > len(buffer),
            lambda k: (
                f"truncated: the matrix ends at byte {heads.ends[k]:,}, the file at {len(buffer):,}"
            ),
        )

    def _read_decisions(
        self, vad_scp: Mapping[str, str], utterances: list[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bits of all decisions, one utterance behind the other, and where each utterance's begin; counts the frames of speech."""
        bits, starts = [], [0]
        for k, utterance in enumerate(utterances):
            if utterance not in vad_scp:
                raise UserError(
                    f"{self._where(k)}: utterance '{utterance}' has no voice activity decisions in vad.scp; compute them (stage 1)"
                )
            # an entry is a path first, whatever stands behind it
            decisions = read_vector(self.root / vad_scp[utterance], key=utterance) > 0
            if len(decisions) != self.num_frames[k]:
                raise UserError(
                    f"{self._where(k)}: utterance '{utterance}' has {self.num_frames[k]} frames but {len(decisions)} voice activity "
                    "decisions; both have to come from frames of one kind (snip_edges: false)"
                )
            bits.append(np.packbits(decisions))
            starts.append(starts[-1] + len(bits[-1]))
            self.num_samples[k] = decisions.sum()
        self._refuse(
            np.flatnonzero(self.num_samples == 0),
            utterances,
            lambda k: "no frame of speech; take the utterance out of the data directory",
        )
        return np.concatenate(bits), np.array(starts, np.int64)

    def _decisions_of(self, index: int) -> np.ndarray:
        assert self.speech is not None  # asked for where there are decisions
        bits, starts = self.speech
        return np.unpackbits(bits[starts[index] : starts[index + 1]])

    def _where(self, index: int) -> str:
        return f"{self.paths[self.archive[index]]}:{self.offset[index]}"

    def _refuse(
        self, wrong: np.ndarray, utterances: list[str], found: Callable[[int], str]
    ) -> None:
        """One line about the first of the wrong ones, with how many there are."""
        if len(wrong):
            more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
            raise UserError(
                f"{self._where(wrong[0])}: utterance '{utterances[wrong[0]]}'{more}: {found(int(wrong[0]))}"
            )


def _place(entry: str, utterance: str) -> tuple[tuple[str, int], Span]:
    """((file, offset), (first row, last row)) of an entry of a feats.scp; where all rows are wanted the last row is -1."""
    place, wanted = entry_and_range(entry, utterance)
    if wanted and wanted.columns:
        raise UserError(
            f"utterance '{utterance}': '{entry}' has a range of columns, which crops cannot be read of; write them as an archive of their own: "
            "python -m utils.archive merge feats.scp NEW.ark"
        )
    path, offset = split_entry(place, utterance)
    rows = wanted.rows if wanted else None
    return (path, offset or 0), rows or (0, -1)


def _other_kind(beginning: bytes) -> str:
    if beginning.lstrip()[:1] == b"[":
        return "a text archive: crops cannot be found in it; write it in binary (copy-feats ark:FILE ark,scp:NEW.ark,NEW.scp)"
    kind = "a wave" if beginning[:4] == b"RIFF" else repr(beginning)
    return f"found {kind}, expected a matrix of features (FM, DM, CM, CM2 or CM3)"
