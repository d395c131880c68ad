"""The bank that steps.augment makes: noises and room responses as packed 16-bit waves; of a noise only the part that is needed is read."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.augmentation.signal import PEAK_SECONDS, room_spectrum
from utils.errors import UserError
from utils.packed.reader import PackedReader

# of room responses, in each process: a bank of some hundred rooms is transformed once
KEPT_SPECTRA_BYTES = 64 << 20


class Bank:
    """Noises and rooms by number; each kind is opened when it is first asked for.

    Parameters
    ----------
    folder : path or None
        Made by steps.augment; None: there is none.
    sample_rate_hz : int
        What its rate must be.
    """

    def __init__(self, folder: Path | None, sample_rate_hz: int):
        self.folder, self.sample_rate_hz = folder, sample_rate_hz
        self._spectra: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._spectra_bytes = 0

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_spectra": OrderedDict(), "_spectra_bytes": 0}

    @cached_property
    def noises(self) -> PackedReader:
        """All noises, babble's speech and music among them."""
        return self._opened("noise")

    @cached_property
    def rooms(self) -> PackedReader:
        """All room responses."""
        return self._opened("rirs")

    @property
    def peak(self) -> int:
        """Sample of a room response at which its peak is."""
        return round(PEAK_SECONDS * self.sample_rate_hz)

    @cached_property
    def noise_types(self) -> np.ndarray:
        """(number of noises,) array of str."""
        from utils.data_dir import read_map

        assert self.folder is not None  # without one `noises` is refused, which comes first
        return np.array(list(read_map(self.folder / "noise.utt2type").values()))

    def numbers_of(self, wanted: Sequence[str]) -> list[np.ndarray]:
        """Numbers of the noises of each type.

        Parameters
        ----------
        wanted : sequence of str
            Types.

        Raises
        ------
        UserError
            The bank has none of a type.
        """
        if self.noises and (unknown := sorted(set(wanted) - set(self.noise_types))):
            raise UserError(
                f"no noise of type {', '.join(unknown)} in {self.folder}; there is {', '.join(sorted(set(self.noise_types)))}; "
                "name those in the YAML, or make the bank of noises whose utt2type says so"
            )
        return [np.flatnonzero(self.noise_types == kind) for kind in wanted]

    def draw_start(self, noise: int, num_samples: int, rng: np.random.Generator) -> int:
        """Where to begin in a noise: anywhere, where it is too short and has to be repeated.

        Parameters
        ----------
        noise : int
            Its number.
        num_samples : int
            How much is wanted.
        rng : numpy Generator
            The source.
        """
        available = int(self.noises.num_samples[noise])
        return int(
            rng.integers(available - num_samples + 1 if available >= num_samples else available)
        )

    def noise(self, noise: int, start: int, num_samples: int) -> np.ndarray:
        """A part of a noise; one that is too short is repeated.

        Parameters
        ----------
        noise, start, num_samples : int
            Its number, the first sample and how many.

        Returns
        -------
        (num_samples,) float32 array
            In [-1, 1).
        """
        if start + num_samples <= self.noises.num_samples[noise]:
            return self.noises.read(noise, start, num_samples)
        return np.resize(np.roll(self.noises.read(noise), -start), num_samples)

    def room(self, room: int, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """A room response and its spectrum for sound of one length.

        Parameters
        ----------
        room, num_samples : int
            Its number; length of the sound.
        """
        response, spectrum = self.rooms.read(room), self._spectra.get((room, num_samples))
        if spectrum is None:
            spectrum = self._spectra[room, num_samples] = room_spectrum(
                response, num_samples, self.peak
            )
            self._spectra_bytes += spectrum.nbytes
            while self._spectra_bytes > KEPT_SPECTRA_BYTES:
                self._spectra_bytes -= self._spectra.popitem(last=False)[1].nbytes
        return response, spectrum

    def _opened(self, kind: str) -> PackedReader:
        from utils.archive import read_scp
        from utils.data_dir import read_map

        if self.folder is None or not (self.folder / f"{kind}.scp").exists():
            has = f"{self.folder} has none" if self.folder else "there is no bank"
            raise UserError(f"{kind}: asked for, but {has}: make it with steps.augment (stage 2)")
        entries = read_scp(self.folder / f"{kind}.scp")
        if not entries:
            raise UserError(
                f"{self.folder}/{kind}.scp: found nothing, expected one sound or more; make the bank anew with steps.augment (stage 2)"
            )
        reader = PackedReader(entries, read_map(self.folder / f"{kind}.num_samples"))
        if reader.sample_rate_hz != self.sample_rate_hz:
            raise UserError(
                f"{self.folder}: sound of {reader.sample_rate_hz} Hz, expected {self.sample_rate_hz} Hz; "
                f"make the bank anew with steps.augment --sample-rate-hz {self.sample_rate_hz} (stage 2)"
            )
        return reader
