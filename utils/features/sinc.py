"""Learned band-pass filters on the raw waveform: first layers of RawNet2, RawNet3 and MR-RawNet.

Modulus, logarithm and pooling after the filters belong to the network.  Shapes: ``B`` batch, ``S``
samples, ``K`` pairs of cut-off frequencies, ``C`` filters, ``L`` samples of a filter, ``H`` those
of its first half, ``T`` frames.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv1d

from utils.features.base import Count

LOWEST_HZ = 30.0  # where the mel-spaced initial values begin (SincNet)


class SincBank(nn.Module):
    """Band-pass filters: differences of two windowed sincs, with learned cut-off frequencies.

    The lower one is ``min_low_hz + |low_hz|``, the upper one ``min_band_hz + |band_hz|`` above it,
    at most half the sample rate.

    Parameters
    ----------
    num_filters : int
        C; each has one pair of parameters.
    kernel_samples : int
        L, odd: the filters are symmetric.
    stride_samples : int
        Samples between frames.
    padding_samples : int
        Zeros before and after the waveform.
    sample_rate_hz : int
        Sample rate of the waveforms.
    min_low_hz, min_band_hz : float
        Smallest lower cut-off frequency and smallest width.

    References
    ----------
    Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet", SLT 2018; half
    Hamming window, as in RawNet2.
    """

    filters_per_band = 1
    time_H: torch.Tensor
    window_H: torch.Tensor

    def __init__(
        self,
        *,
        num_filters: int = 128,
        kernel_samples: int = 251,
        stride_samples: int = 1,
        padding_samples: int = 0,
        sample_rate_hz: int = 16000,
        min_low_hz: float = 50.0,
        min_band_hz: float = 50.0,
    ) -> None:
        super().__init__()
        highest_hz = sample_rate_hz / 2 - min_low_hz - min_band_hz
        if num_filters < 1 or num_filters % self.filters_per_band:
            raise ValueError(
                f"num_filters is {num_filters}, "
                f"expected a positive multiple of {self.filters_per_band}"
            )
        if kernel_samples < 3 or kernel_samples % 2 == 0:
            raise ValueError(
                f"kernel_samples is {kernel_samples}, expected an odd number, 3 or more"
            )
        if stride_samples < 1 or padding_samples < 0:
            raise ValueError(
                f"stride_samples is {stride_samples} and padding_samples {padding_samples}, "
                "expected 1 or more and 0 or more"
            )
        if min(min_low_hz, min_band_hz) < 0 or highest_hz <= LOWEST_HZ:
            raise ValueError(
                f"sample_rate_hz {sample_rate_hz} leaves no band above "
                f"{LOWEST_HZ:g} + {min_low_hz:g} + {min_band_hz:g} Hz"
            )
        self.num_filters = num_filters
        self.kernel_samples = kernel_samples
        self.sample_rate_hz = sample_rate_hz
        self.stride_samples = stride_samples
        self.padding_samples = padding_samples
        self.min_low_hz = min_low_hz
        self.min_band_hz = min_band_hz
        low_mel, high_mel = 2595 * np.log10(1 + np.array([LOWEST_HZ, highest_hz]) / 700)
        mels = np.linspace(low_mel, high_mel, num_filters // self.filters_per_band + 1)
        edges_hz = 700 * (10 ** (mels / 2595) - 1)
        self.low_hz = nn.Parameter(torch.tensor(edges_hz[:-1, None], dtype=torch.float32))
        self.band_hz = nn.Parameter(torch.tensor(np.diff(edges_hz)[:, None], dtype=torch.float32))
        time_H = 2 * np.pi * np.arange(-(kernel_samples // 2), 0) / sample_rate_hz
        window_H = torch.tensor(self._half_window(), dtype=torch.float32)
        self.register_buffer("time_H", torch.tensor(time_H, dtype=torch.float32), persistent=False)
        self.register_buffer("window_H", window_H, persistent=False)

    def extra_repr(self) -> str:
        """Description of the bank in ``str(bank)``."""
        size = f"{self.num_filters} filters of {self.kernel_samples}"
        return f"{size}, stride {self.stride_samples}, {self.sample_rate_hz} Hz"

    def _half_window(self):
        """First half of a Hamming window; its points are slightly too far apart, as published."""
        half = self.kernel_samples // 2
        time_H = np.linspace(0, self.kernel_samples / 2 - 1, half)
        return 0.54 - 0.46 * np.cos(2 * np.pi * time_H / self.kernel_samples)

    def cut_offs_hz(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Lower and upper cut-off frequencies, (K, 1) each."""
        low_K1 = self.min_low_hz + self.low_hz.abs()
        high_K1 = low_K1 + self.min_band_hz + self.band_hz.abs()
        return low_K1, high_K1.clamp(self.min_low_hz, self.sample_rate_hz / 2)

    def filters(self) -> torch.Tensor:
        """The current filters, (C, L)."""
        return self._even(*self.cut_offs_hz())

    def _even(self, low_K1, high_K1):
        """Even filters (K, L) from the cut-off frequencies."""
        difference_KH = (high_K1 * self.time_H).sin() - (low_K1 * self.time_H).sin()
        half_KH = difference_KH / (self.time_H / 2) * self.window_H
        band_K1 = 2 * (high_K1 - low_K1)
        return torch.cat([half_KH, band_K1, half_KH.flip(1)], dim=1) / band_K1

    def num_frames(self, num_samples: Count) -> Count:
        """Number of frames of a waveform with this many samples."""
        num_starts = num_samples + 2 * self.padding_samples - self.kernel_samples
        return num_starts // self.stride_samples + 1

    def forward(self, waveforms_BS: torch.Tensor) -> torch.Tensor:
        """Filter waveforms (B, S) of one length, in float32 under autocast: (B, C, T)."""
        with torch.autocast(waveforms_BS.device.type, enabled=False):
            return conv1d(
                waveforms_BS.float()[:, None],
                self.filters()[:, None],
                stride=self.stride_samples,
                padding=self.padding_samples,
            )


class AnalyticSincBank(SincBank):
    """Band-pass filters in pairs, even (cosine) and odd (sine) for each band; all even ones first.

    Parameters
    ----------
    num_filters : int
        C, an even number; two filters have one pair of parameters.
    **options
        As :class:`SincBank`.

    References
    ----------
    Pariente et al., "Filterbank design for end-to-end speech separation", ICASSP 2020; the window
    as in asteroid's published code.
    """

    filters_per_band = 2

    def __init__(self, *, num_filters: int = 256, **options) -> None:
        super().__init__(num_filters=num_filters, **options)

    def _half_window(self):
        return np.hamming(self.kernel_samples)[: self.kernel_samples // 2]

    def filters(self) -> torch.Tensor:
        """The current filters, (C, L)."""
        low_K1, high_K1 = self.cut_offs_hz()
        difference_KH = (low_K1 * self.time_H).cos() - (high_K1 * self.time_H).cos()
        half_KH = difference_KH / (self.time_H / 2) * self.window_H
        band_K1 = 2 * (high_K1 - low_K1)
        odd_KL = torch.cat([half_KH, torch.zeros_like(band_K1), -half_KH.flip(1)], dim=1) / band_K1
        return torch.cat([self._even(low_K1, high_K1), odd_KL], dim=0)
