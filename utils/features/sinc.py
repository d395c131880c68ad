"""Learnable band-pass filters over the raw waveform: first layers of RawNet2 (SincBank), RawNet3 and MR-RawNet (AnalyticSincBank).

Networks own them; what follows the filters (modulus, logarithm, pooling) is the network's.  Shapes: ``B`` batch, ``S`` samples, ``K`` pairs of
cut-off frequencies, ``C`` filters, ``L`` samples of a filter, ``H`` those of its first half, ``T`` frames.
"""

import numpy as np
import torch
from torch import nn
from torch.nn.functional import conv1d

from utils.features.base import Count

LOWEST_HZ = 30.0  # where the mel-spaced initial values begin (SincNet)


class SincBank(nn.Module):
    """Band-pass filters, each a difference of two windowed sincs; only the cut-off frequencies are learnt.

    A filter passes from ``min_low_hz + |low_hz|`` to ``min_band_hz + |band_hz|`` above that, or to half the sample rate.

    Parameters
    ----------
    num_filters : int
        C; one pair of parameters each.
    kernel_samples : int
        L, odd: the filters are symmetric.
    stride_samples : int
        Distance of frames.
    padding_samples : int
        Zeros before and after the waveform.
    sample_rate_hz : int
        Rate of the waveforms.
    min_low_hz, min_band_hz : float
        Least lower cut-off frequency and least width.

    References
    ----------
    Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet", SLT 2018; half Hamming window, as RawNet2 uses it.
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
                f"num_filters is {num_filters}, expected a positive multiple of {self.filters_per_band}"
            )
        if kernel_samples < 3 or kernel_samples % 2 == 0:
            raise ValueError(
                f"kernel_samples is {kernel_samples}, expected an odd number, 3 or more"
            )
        if stride_samples < 1 or padding_samples < 0:
            raise ValueError(
                f"stride_samples is {stride_samples} and padding_samples {padding_samples}, expected 1 or more and 0 or more"
            )
        if min(min_low_hz, min_band_hz) < 0 or highest_hz <= LOWEST_HZ:
            raise ValueError(
                f"sample_rate_hz {sample_rate_hz} leaves no band above {LOWEST_HZ:g} + {min_low_hz:g} + {min_band_hz:g} Hz"
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
        self.register_buffer("time_H", torch.tensor(time_H, dtype=torch.float32), persistent=False)
        self.register_buffer(
            "window_H", torch.tensor(self._half_window(), dtype=torch.float32), persistent=False
        )

    def extra_repr(self) -> str:
        """What stands between the brackets of ``str(bank)``."""
        return f"{self.num_filters} filters of {self.kernel_samples}, stride {self.stride_samples}, {self.sample_rate_hz} Hz"

    def _half_window(self):
        """Hamming window of even symmetry around L / 2, at points that are spread a little too widely: so published."""
        half = self.kernel_samples // 2
        return 0.54 - 0.46 * np.cos(
            2 * np.pi * np.linspace(0, self.kernel_samples / 2 - 1, half) / self.kernel_samples
        )

    def cut_offs_hz(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Lower and upper cut-off frequencies, (K, 1) each."""
        low_K1 = self.min_low_hz + self.low_hz.abs()
        return low_K1, (low_K1 + self.min_band_hz + self.band_hz.abs()).clamp(
            self.min_low_hz, self.sample_rate_hz / 2
        )

    def filters(self) -> torch.Tensor:
        """The filters as they stand, (C, L)."""
        return self._even(*self.cut_offs_hz())

    def _even(self, low_K1, high_K1):
        half_KH = (
            ((high_K1 * self.time_H).sin() - (low_K1 * self.time_H).sin())
            / (self.time_H / 2)
            * self.window_H
        )
        band_K1 = 2 * (high_K1 - low_K1)
        return torch.cat([half_KH, band_K1, half_KH.flip(1)], dim=1) / band_K1

    def num_frames(self, num_samples: Count) -> Count:
        """Frames of a waveform of so many samples."""
        return (
            num_samples + 2 * self.padding_samples - self.kernel_samples
        ) // self.stride_samples + 1

    def forward(self, waveforms_BS: torch.Tensor) -> torch.Tensor:
        """Filter waveforms; in float32 under autocast.

        Parameters
        ----------
        waveforms_BS : (B, S) float tensor
            Waveforms of one length.

        Returns
        -------
        (B, C, T) float32 tensor
        """
        with torch.autocast(waveforms_BS.device.type, enabled=False):
            return conv1d(
                waveforms_BS.float()[:, None],
                self.filters()[:, None],
                stride=self.stride_samples,
                padding=self.padding_samples,
            )


class AnalyticSincBank(SincBank):
    """Band-pass filters in pairs, an even one (cosine) and an odd one (sine) for each band; all even ones come first.

    Parameters
    ----------
    num_filters : int
        C, even; one pair of parameters for two filters.
    **options
        As :class:`SincBank`.

    References
    ----------
    Pariente et al., "Filterbank design for end-to-end speech separation", ICASSP 2020; the window as in asteroid's published code.
    """

    filters_per_band = 2

    def __init__(self, *, num_filters: int = 256, **options) -> None:
        super().__init__(num_filters=num_filters, **options)

    def _half_window(self):
        return np.hamming(self.kernel_samples)[: self.kernel_samples // 2]

    def filters(self) -> torch.Tensor:
        """The filters as they stand, (C, L)."""
        low_K1, high_K1 = self.cut_offs_hz()
        half_KH = (
            ((low_K1 * self.time_H).cos() - (high_K1 * self.time_H).cos())
            / (self.time_H / 2)
            * self.window_H
        )
        band_K1 = 2 * (high_K1 - low_K1)
        odd_KL = torch.cat([half_KH, torch.zeros_like(band_K1), -half_KH.flip(1)], dim=1) / band_K1
        return torch.cat([self._even(low_K1, high_K1), odd_KL], dim=0)
