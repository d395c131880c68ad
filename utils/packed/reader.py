"""Packed audio out: crops of 16-bit waves in large archives, read where they lie (DESIGN.md section 3, "Packed audio")."""

import errno
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from utils.audio import FULL_SCALE
from utils.errors import UserError

NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
MOST_BYTES = 1 << 60  # no file is larger, and no sum of two such numbers leaves 64 bits


class PackedReader:
    """Reads crops of packed audio (16-bit mono waves in large archives) and nothing but the crops.

    Its index is four arrays, so that workers share it; it can be pickled, and used by forked workers at once.

    Parameters
    ----------
    wav_scp : mapping of str to str
        Utterance -> ``file.ark:offset``; utterance number i is the i-th of them.
    num_samples : mapping of str to int or str
        Utterance -> its number of samples (``utt2num_samples`` of a packed data directory).
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
        An archive is missing, too short for its index, or not packed as steps/pack_audio.py packs; or the rates differ.
    """

    HEADER_BYTES = 44

    def __init__(
        self,
        wav_scp: Mapping[str, str],
        num_samples: Mapping[str, int | str],
        root: str | Path | None = None,
    ):
        places = [entry.rpartition(":") for entry in wav_scp.values()]
        number_of: dict[str, int] = {}
        self.archive = np.array(
            [number_of.setdefault(path, len(number_of)) for path, _, _ in places], np.int32
        )
        try:
            self.offset = np.array([offset for _, _, offset in places], np.int64)
            self.num_samples = np.array([num_samples[utterance] for utterance in wav_scp], np.int64)
            if (
                not places
                or min(self.offset.min(), self.num_samples.min()) < 0
                or max(self.offset.max(), self.num_samples.max()) >= MOST_BYTES
            ):
                raise ValueError
        except (ValueError, OverflowError, KeyError):
            raise UserError(f"{_odd(wav_scp, num_samples)}; pack it anew") from None
        self.paths = [Path(root or "", path) for path in number_of]
        self._files: dict[int, io.FileIO] = {}
        rates = {self._checked_rate(number) for number in range(len(self.paths))}
        if len(rates) != 1:
            raise UserError(
                f"packed audio of the rates {sorted(rates)} in {list(map(str, self.paths))[:3]}, expected one rate; pack it anew"
            )
        self.sample_rate_hz = rates.pop()

    def _checked_rate(self, number: int) -> int:
        mine, path = self.archive == number, self.paths[number]
        end = int((self.offset[mine] + self.HEADER_BYTES + 2 * self.num_samples[mine]).max())
        if (os.path.exists(path) and not os.path.isfile(path)) or "\0" in str(path):
            raise UserError(f"{path}: no regular file; run stage 2 (pack)")
        try:
            with open(path, "rb") as file:
                size = file.seek(0, io.SEEK_END)
                file.seek(int(self.offset[mine][0]))
                head = file.read(self.HEADER_BYTES)
        except OSError as error:
            if error.errno not in NOT_THERE:
                raise
            raise UserError(
                f"{path}: no such file; where the workdir was moved, put a link to it at its old place; else run stage 2"
            ) from None
        if size < end:
            raise UserError(f"{path}: {size:,} bytes, its index needs {end:,}; pack it anew")
        if head[:4] != b"RIFF" or head[20:24] != b"\1\0\1\0" or head[34:40] != b"\x10\0data":
            raise UserError(
                f"{path}: no plain 16-bit mono wave at byte {int(self.offset[mine][0])}; run stage 2 (pack)"
            )
        return int.from_bytes(head[24:28], "little")

    def __len__(self) -> int:
        return len(self.offset)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_files": {}}

    def read(self, index: int, start_sample: int = 0, num_samples: int | None = None) -> np.ndarray:
        """Samples of one utterance or of a part of it.

        Parameters
        ----------
        index : int
            Which utterance.
        start_sample, num_samples : int, int or None
            The part, inside the utterance; None: to its end.

        Returns
        -------
        (num_samples,) float32 array
            In [-1, 1).
        """
        number = int(self.num_samples[index]) - start_sample if num_samples is None else num_samples
        return self.read_batch([index], [start_sample], number)[0]

    def read_batch(
        self, indices: Sequence[int], starts: Sequence[int], num_samples: int
    ) -> np.ndarray:
        """Crops of equal length.

        Parameters
        ----------
        indices, starts : (B,) int arrays
            Utterance and first sample of each crop.
        num_samples : int
            Length of every crop; each has to lie inside its utterance.

        Returns
        -------
        (B, num_samples) float32 array
            In [-1, 1).
        """
        crops = np.empty((len(indices), num_samples), "<i2")
        for row, index, start in zip(crops, indices, starts, strict=True):
            if start < 0 or start + num_samples > self.num_samples[index]:
                raise ValueError(
                    f"samples {start} to {start + num_samples} are not inside the {self.num_samples[index]} of utterance number {index}"
                )
            number = int(self.archive[index])
            if number not in self._files:
                self._files[number] = open(self.paths[number], "rb", buffering=0)  # noqa: SIM115 - kept open for the reader's life
            place = int(self.offset[index]) + self.HEADER_BYTES + 2 * int(start)
            if os.preadv(self._files[number].fileno(), [row.data], place) != row.nbytes:
                raise UserError(
                    f"{self.paths[number]}: ends before byte {place + row.nbytes:,}; it was cut while in use"
                )
        return np.multiply(crops, np.float32(1 / FULL_SCALE), dtype=np.float32)


def _odd(wav_scp: Mapping[str, str], num_samples: Mapping[str, int | str]) -> str:
    """The first entry of an index that is no place in an archive, or has no length."""
    for utterance, entry in wav_scp.items():
        place, length = entry.rpartition(":")[2], str(num_samples.get(utterance, "none"))
        if not re.fullmatch("[0-9]{1,18}", place) or ":" not in entry:
            return f"utterance '{utterance}': found '{entry[:200]}', expected <archive>:<offset>"
        if not re.fullmatch("[0-9]{1,18}", length):
            return f"utterance '{utterance}': {length[:50]} samples in utt2num_samples, expected their number"
    return "no packed audio, expected utterances"
