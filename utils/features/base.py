"""Base classes of front ends: float32 under autocast, frames of a padded batch, normalisation.

Shapes: ``B`` batch, ``S`` samples, ``T`` frames, ``L`` samples of a window, ``F`` features of a
frame.  The features of an utterance depend on its own samples alone: frames that reach over an end
contain the utterance mirrored at that end, or zeros, never the padding; frames after the last one
are zero.
"""

from bisect import bisect_left
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from utils.config import signature_parameters
from utils.features.normalisation import NormalisationOption, make_normalisation, normalise

# options that the description of a front end has in another form
DESCRIBED = {
    "sample_rate_hz",
    "num_bins",
    "hop_samples",
    "window_samples",
    "frame_length_ms",
    "frame_shift_ms",
    "normalisation",
    "frames_per_second",
    "description",
    "select_voiced",
}
Count = TypeVar("Count", int, torch.Tensor)  # of one utterance, or of each in a batch
# Frames of one utterance computed at a time on the CPU: whole batches exceed the core's cache and
# take four times as long.
CACHED_FRAMES = 256


class FrontEnd(nn.Module):
    """Base class: sample rate, number of features, normalisation; float32 under autocast.

    Subclasses define ``_features(waveforms_BS, lengths_B)``.

    Parameters
    ----------
    sample_rate_hz : int
        Sample rate of the waveforms.
    num_bins : int
        Features per frame.
    hop_samples : int
        Samples between frames.
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`.
    """

    options: dict[str, Any]  # as given: YAML holds values of many types

    def __init__(
        self,
        *,
        sample_rate_hz: int,
        num_bins: int,
        hop_samples: int = 1,
        normalisation: NormalisationOption = "none",
    ) -> None:
        super().__init__()
        for name, value in {
            "sample_rate_hz": sample_rate_hz,
            "num_bins": num_bins,
            "hop_samples": hop_samples,
        }.items():
            if value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")
        self.sample_rate_hz, self.num_bins, self.hop_samples = sample_rate_hz, num_bins, hop_samples
        self.normalisation = make_normalisation(normalisation)

    def add_constant(self, name: str, values: np.ndarray) -> None:
        """Register a float32 buffer that is not saved with the weights."""
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def __new__(cls, **options):
        """Keep the options for the description."""
        front_end = super().__new__(cls)
        front_end.options = options
        return front_end

    def extra_repr(self) -> str:
        """The description of the front end in the provenance of embeddings.

        Sizes, other options that differ from their defaults, and normalisation.
        """
        parameters = signature_parameters(type(self))
        parts = [f"{self.num_bins} features", self._input()]
        for name, value in sorted(self.options.items()):
            if name not in DESCRIBED and value != parameters[name].default:
                parts.append(f"{name} {value}")
        return ", ".join([*parts, f"normalisation {self.normalisation}"])

    def _input(self):
        """The input, for the description."""
        return f"{self.sample_rate_hz} Hz"

    def forward(
        self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of a padded batch.

        Parameters
        ----------
        waveforms_BS : (B, S) float tensor
            Samples in [-1, 1]; the padding after an utterance is never read.
        lengths_B : (B,) int tensor
            Samples of each utterance; on the CPU it saves a synchronisation.

        Returns
        -------
        features_BTF : (B, T, F) float32 tensor
            Zero after the end of each utterance.
        num_frames_B : (B,) int tensor
            On the device of ``lengths_B``.
        """
        num_frames_B = self.num_frames(lengths_B)
        # bfloat16 is too coarse for spectra and logarithms
        with torch.autocast(waveforms_BS.device.type, enabled=False):
            features_BTF = self._features(waveforms_BS.float(), lengths_B)
            return normalise(features_BTF, num_frames_B, self.normalisation), num_frames_B

    def _features(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        """Features (B, T, F) before normalisation; the padding may hold anything."""
        raise NotImplementedError

    def num_frames(self, num_samples: Count) -> Count:
        """Number of frames of an utterance with this many samples."""
        return num_samples

    def min_samples(self, num_frames: int) -> int:
        """The fewest samples that give this many frames."""
        return num_frames


class FramedFrontEnd(FrontEnd):
    """Base class for overlapping frames, the first of which begins at ``first_sample``.

    ``edge``: how an utterance is extended beyond its ends: mirrored with the outermost sample
    repeated (``doubled``, Kaldi) or not (``mirrored``, librosa's reflect), or by ``zeros``.
    Subclasses define ``_features_of_frames(frames_BTL)`` and ``num_frames``.
    """

    def __init__(
        self,
        *,
        window_samples: int,
        first_sample: int,
        edge: Literal["doubled", "mirrored", "zeros"],
        **options,
    ) -> None:
        super().__init__(**options)
        self.window_samples, self.first_sample, self.edge = window_samples, first_sample, edge

    def _input(self):
        return f"{self.sample_rate_hz} Hz, window {self.window_samples}, hop {self.hop_samples}"

    def min_samples(self, num_frames: int) -> int:
        """The fewest samples that give this many frames."""
        enough = self.window_samples + num_frames * self.hop_samples
        candidates = range(1, enough + 1)
        return candidates[bisect_left(candidates, num_frames, key=self.num_frames)]

    def _features(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        if waveforms_BS.device.type != "cpu":
            return self._features_of_frames(self._frames(waveforms_BS, lengths_B))
        rows = []
        for waveform_1S, length_1 in zip(waveforms_BS.split(1), lengths_B.split(1), strict=True):
            rows.append(self._in_pieces(waveform_1S, length_1))
        if len(rows) == 1:
            return rows[0][None]
        return pad_sequence(rows, batch_first=True)

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        """Features (B, T, F) of frames, each of which depends on its own samples alone."""
        raise NotImplementedError

    def _in_pieces(self, waveform_1S, length_1):
        """Features (T, F) of one utterance, computed a few frames at a time."""
        frames_1TL = self._frames(waveform_1S, length_1)
        pieces = frames_1TL.split(CACHED_FRAMES, dim=1)
        return torch.cat([self._features_of_frames(piece_1TL)[0] for piece_1TL in pieces])

    def _frames(self, waveforms_BS, lengths_B):
        """Overlapping frames (B, T, L)."""
        num_frames = max(1, int(self.num_frames(lengths_B.max())))
        end_sample = self.first_sample + self.window_samples + (num_frames - 1) * self.hop_samples
        extended_BS = self._extended(waveforms_BS, lengths_B, end_sample)
        return extended_BS.unfold(1, self.window_samples, self.hop_samples)

    def _extended(self, waveforms_BS, lengths_B, end_sample):
        """Samples from ``first_sample`` to ``end_sample``, extended at both ends as needed."""
        longest, device = int(lengths_B.max()), waveforms_BS.device
        ragged = bool((lengths_B != longest).any())
        waveforms_BS = waveforms_BS[:, :longest]
        lengths_B1 = lengths_B.to(device)[:, None]
        if self.edge == "zeros":
            if ragged:
                is_padding_BS = torch.arange(longest, device=device) >= lengths_B1
                waveforms_BS = waveforms_BS.masked_fill(is_padding_BS, 0.0)
            return pad(waveforms_BS, (-self.first_sample, end_sample - longest))
        skipped = int(self.edge == "mirrored")
        before = -self.first_sample
        after = max(0, end_sample - longest)
        # the common case, which needs no index for every sample
        if not ragged and before >= 0 and max(before, after) + skipped <= longest:
            first_BS = waveforms_BS[:, skipped : skipped + before]
            last_BS = waveforms_BS[:, longest - skipped - after : longest - skipped]
            return torch.cat(
                [first_BS.flip(1), waveforms_BS[:, :end_sample], last_BS.flip(1)], dim=1
            )
        period_B1 = (2 * (lengths_B1 - skipped)).clamp(min=1)
        phase_BS = torch.arange(self.first_sample, end_sample, device=device) % period_B1
        return waveforms_BS.gather(1, torch.minimum(phase_BS, period_B1 - 1 + skipped - phase_BS))
