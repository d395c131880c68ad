"""Reading crops of packed audio ("Packed audio", docs/architecture.md)."""

import errno
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.audio import FULL_SCALE
from utils.errors import UserError

MISSING_ERRNOS = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
MAX_BYTES = 1 << 60  # no file is larger, and a sum of two such numbers fits 64 bits


class PackedReader:
    """Reads crops of packed audio (16-bit mono waves in large archives), and only the crops.

    The index is four arrays, which workers share.  The reader can be pickled, and used by forked
    workers at the same time.

    Parameters
    ----------
    wav_scp : mapping of str to str
        Utterance -> ``file.ark:offset``; index i is its i-th utterance.
    num_samples : mapping of str to int or str
        Utterance -> number of samples (``utt2num_samples`` of a packed data directory).
    root : path or None
        Folder that relative paths start from.

    Attributes
    ----------
    num_samples : (N,) int64 array
        Length of each utterance.
    sample_rate_hz : int
        Rate of all of them.

    Raises
    ------
    UserError
        An archive is missing, too short for its index, or not as steps.pack_audio writes it; or the
        rates differ.
    """

    HEADER_BYTES = 44

    def __init__(
        self,
        wav_scp: Mapping[str, str],
        num_samples: Mapping[str, int | str],
        root: str | Path | None = None,
    ):
        path_indices: dict[str, int] = {}
        archives, offsets = [], []
        for entry in wav_scp.values():
            path, _, offset = entry.rpartition(":")
            archives.append(path_indices.setdefault(path, len(path_indices)))
            offsets.append(offset)
        try:
            self.archive = np.array(archives, np.int32)
            self.offset = np.array(offsets, np.int64)
            self.num_samples = np.array([num_samples[utterance] for utterance in wav_scp], np.int64)
            if not _is_valid(self.offset) or not _is_valid(self.num_samples):
                raise ValueError
        except (ValueError, OverflowError, KeyError):
            raise UserError(f"{_index_fault(wav_scp, num_samples)}; pack it again") from None
        self.paths = [Path(root or "", path) for path in path_indices]
        self._files: dict[int, io.FileIO] = {}
        rates = {self._check_archive(archive) for archive in range(len(self.paths))}
        if len(rates) != 1:
            paths = [str(path) for path in self.paths[:3]]
            raise UserError(
                f"packed audio of the rates {sorted(rates)} in {paths}, expected one rate; "
                "pack it again"
            )
        self.sample_rate_hz = rates.pop()

    def _check_archive(self, archive: int) -> int:
        """The rate of an archive; UserError if it is missing, too short, or of another format."""
        is_inside, path = self.archive == archive, self.paths[archive]
        first_offset = int(self.offset[is_inside][0])
        ends = self.offset[is_inside] + self.HEADER_BYTES + 2 * self.num_samples[is_inside]
        needed_bytes = int(ends.max())
        if (os.path.exists(path) and not os.path.isfile(path)) or "\0" in str(path):
            raise UserError(f"{path}: not a regular file; run stage 2 (pack)")
        try:
            with open(path, "rb") as file:
                size = file.seek(0, io.SEEK_END)
                file.seek(first_offset)
                head = file.read(self.HEADER_BYTES)
        except OSError as error:
            if error.errno not in MISSING_ERRNOS:
                raise
            raise UserError(
                f"{path}: no such file; if the workdir was moved, "
                "put a link to it at its old path; otherwise run stage 2"
            ) from None
        if size < needed_bytes:
            raise UserError(
                f"{path}: {size:,} bytes, its index needs {needed_bytes:,}; pack it again"
            )
        if head[:4] != b"RIFF" or head[20:24] != b"\1\0\1\0" or head[34:40] != b"\x10\0data":
            raise UserError(
                f"{path}: not a plain 16-bit mono wave at byte {first_offset}; run stage 2 (pack)"
            )
        return int.from_bytes(head[24:28], "little")

    def __len__(self) -> int:
        return len(self.offset)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_files": {}}

    def read(self, index: int, start_sample: int = 0, num_samples: int | None = None) -> np.ndarray:
        """(num_samples,) float32 in [-1, 1) of one utterance; None: to its end."""
        if num_samples is None:
            num_samples = int(self.num_samples[index]) - start_sample
        return self.read_batch([index], [start_sample], num_samples)[0]

    def read_batch(
        self, indices: Sequence[int], starts: Sequence[int], num_samples: int
    ) -> np.ndarray:
        """(B, num_samples) float32 crops in [-1, 1), each within its utterance."""
        crops = np.empty((len(indices), num_samples), "<i2")
        for row, index, start in zip(crops, indices, starts, strict=True):
            available = self.num_samples[index]
            if start < 0 or start + num_samples > available:
                raise ValueError(
                    f"samples {start} to {start + num_samples} are not inside the {available} "
                    f"of utterance number {index}"
                )
            archive = int(self.archive[index])
            position = int(self.offset[index]) + self.HEADER_BYTES + 2 * int(start)
            if os.preadv(self._descriptor(archive), [row.data], position) != row.nbytes:
                raise UserError(
                    f"{self.paths[archive]}: ends before byte {position + row.nbytes:,}: "
                    "the file became shorter while in use; pack it again"
                )
        return np.multiply(crops, np.float32(1 / FULL_SCALE), dtype=np.float32)

    def _descriptor(self, archive: int) -> int:
        if archive not in self._files:
            # stays open as long as the reader
            self._files[archive] = open(self.paths[archive], "rb", buffering=0)  # noqa: SIM115
        return self._files[archive].fileno()


def _is_valid(numbers: np.ndarray) -> bool:
    """Whether there are numbers, all in [0, MAX_BYTES)."""
    return bool(len(numbers)) and numbers.min() >= 0 and numbers.max() < MAX_BYTES


def _index_fault(wav_scp: Mapping[str, str], num_samples: Mapping[str, int | str]) -> str:
    """Description of the first entry of an index without a valid offset or length."""
    for utterance, entry in wav_scp.items():
        offset, length = entry.rpartition(":")[2], str(num_samples.get(utterance, "none"))
        if not re.fullmatch("[0-9]{1,18}", offset) or ":" not in entry:
            return f"utterance '{utterance}': found '{entry[:200]}', expected <archive>:<offset>"
        if not re.fullmatch("[0-9]{1,18}", length):
            return (
                f"utterance '{utterance}': {length[:50]} samples in utt2num_samples, "
                "expected their number"
            )
    return "no packed audio, expected utterances"
