"""The noise bank of steps.augment: noises and room responses as packed 16-bit waves."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.augmentation.signal import PEAK_SECONDS, room_spectrum
from utils.errors import UserError
from utils.packed.reader import PackedReader

# Spectra of room responses, per process: a bank of some hundred rooms is transformed once.
MAX_SPECTRA_BYTES = 64 << 20


class Bank:
    """Noises and rooms by index; each kind is opened when it is first used.

    `folder` is made by steps.augment, or None without a bank; its audio must have `sample_rate_hz`.
    """

    def __init__(self, folder: Path | None, sample_rate_hz: int):
        self.folder, self.sample_rate_hz = folder, sample_rate_hz
        self._spectra: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._spectra_bytes = 0

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_spectra": OrderedDict(), "_spectra_bytes": 0}

    @cached_property
    def noises(self) -> PackedReader:
        """All noises, with the speech and music for babble."""
        return self._open("noise")

    @cached_property
    def rooms(self) -> PackedReader:
        """All room responses."""
        return self._open("rirs")

    @cached_property
    def noise_names(self) -> list[str]:
        """Names of the noises, by index."""
        return self._names("noise")

    @cached_property
    def room_names(self) -> list[str]:
        """Names of the room responses, by index."""
        return self._names("rirs")

    @property
    def peak(self) -> int:
        """Sample at which every room response has its peak."""
        return round(PEAK_SECONDS * self.sample_rate_hz)

    @cached_property
    def noise_types(self) -> np.ndarray:
        """(number of noises,) array of str."""
        from utils.data_dir import read_map

        assert self.folder is not None  # `noises` comes first and refuses a missing bank
        return np.array(list(read_map(self.folder / "noise.utt2type").values()))

    def indices_by_type(self, types: Sequence[str]) -> list[np.ndarray]:
        """Indices of the noises of each type; UserError if there are none of one."""
        unknown = []
        if self.noises:
            unknown = sorted(set(types) - set(self.noise_types))
        if unknown:
            available = ", ".join(sorted(set(self.noise_types)))
            raise UserError(
                f"no noise of type {', '.join(unknown)} in {self.folder}; there is {available}; "
                "name those in the YAML, or make the bank from noises with those types in utt2type"
            )
        return [np.flatnonzero(self.noise_types == kind) for kind in types]

    def draw_start(self, noise: int, num_samples: int, rng: np.random.Generator) -> int:
        """First sample of a part of a noise; any sample if the noise is shorter than the part."""
        num_starts = int(self.noises.num_samples[noise])
        if num_starts >= num_samples:
            num_starts -= num_samples - 1
        return int(rng.integers(num_starts))

    def noise(self, noise: int, start: int, num_samples: int) -> np.ndarray:
        """(num_samples,) float32 of a noise; one that is too short is repeated."""
        if start + num_samples <= self.noises.num_samples[noise]:
            return self.noises.read(noise, start, num_samples)
        return np.resize(np.roll(self.noises.read(noise), -start), num_samples)

    def room(self, room: int, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """A room response, and its spectrum for audio of this length."""
        response = self.rooms.read(room)
        spectrum = self._spectra.get((room, num_samples))
        if spectrum is None:
            spectrum = room_spectrum(response, num_samples, self.peak)
            self._spectra[room, num_samples] = spectrum
            self._spectra_bytes += spectrum.nbytes
            while self._spectra_bytes > MAX_SPECTRA_BYTES:
                _, oldest = self._spectra.popitem(last=False)
                self._spectra_bytes -= oldest.nbytes
        return response, spectrum

    def _names(self, kind: str) -> list[str]:
        from utils.archive import read_scp

        assert self.folder is not None  # an index into the bank was drawn
        return list(read_scp(self.folder / f"{kind}.scp"))

    def _open(self, kind: str) -> PackedReader:
        from utils.archive import read_scp
        from utils.data_dir import read_map

        if self.folder is None or not (self.folder / f"{kind}.scp").exists():
            reason = f"{self.folder} has none" if self.folder else "there is no bank"
            raise UserError(
                f"{kind}: asked for, but {reason}: make it with steps.augment (stage 2)"
            )
        entries = read_scp(self.folder / f"{kind}.scp")
        if not entries:
            raise UserError(
                f"{self.folder}/{kind}.scp: found nothing, expected one sound or more; "
                "make the bank again with steps.augment (stage 2)"
            )
        reader = PackedReader(entries, read_map(self.folder / f"{kind}.num_samples"))
        if reader.sample_rate_hz != self.sample_rate_hz:
            raise UserError(
                f"{self.folder}: audio of {reader.sample_rate_hz} Hz, "
                f"expected {self.sample_rate_hz} Hz; make the bank again with "
                f"steps.augment --sample-rate-hz {self.sample_rate_hz} (stage 2)"
            )
        return reader
