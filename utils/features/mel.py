"""Mel filterbanks of four toolkits, which differ in scale and shape.

Shapes: ``F`` bins of a spectrum, ``M`` mel filters.
"""

import numpy as np
import torch


def squared_magnitude(spectrum: torch.Tensor) -> torch.Tensor:
    """Squared magnitude of complex numbers.

    Several times faster than the square of ``abs``, which avoids overflow.
    """
    parts = torch.view_as_real(spectrum)
    parts = parts * parts
    return parts[..., 0] + parts[..., 1]


def frequency_range(
    low_freq_hz: float, high_freq_hz: float, sample_rate_hz: int
) -> tuple[float, float]:
    """Lowest and highest frequency of a filterbank.

    A ``high_freq_hz`` of 0 or less is added to half the sample rate.  ValueError if the range is
    empty or exceeds half the sample rate.
    """
    nyquist_hz = sample_rate_hz / 2
    top_hz = high_freq_hz
    if high_freq_hz <= 0:
        top_hz = high_freq_hz + nyquist_hz
    if not 0 <= low_freq_hz < top_hz <= nyquist_hz:
        raise ValueError(
            f"low_freq_hz {low_freq_hz} and high_freq_hz {high_freq_hz} "
            f"are not a range within 0 to {nyquist_hz:g} Hz"
        )
    return low_freq_hz, top_hz


def kaldi_filters(
    num_mel_bins: int,
    fft_samples: int,
    sample_rate_hz: int,
    low_freq_hz: float,
    high_freq_hz: float,
) -> np.ndarray:
    """Triangles on Kaldi's mel scale, (fft_samples // 2 + 1, M) float64.

    The highest bin of the spectrum is in no triangle.  ValueError if the range is empty or a
    filter covers no bin.
    """
    low_hz, top_hz = frequency_range(low_freq_hz, high_freq_hz, sample_rate_hz)
    if num_mel_bins < 3 or fft_samples % 2:
        raise ValueError(
            f"num_mel_bins is {num_mel_bins}, expected 3 or more, "
            f"and the Fourier transform has {fft_samples} samples, expected an even number"
        )

    def mel(frequency_hz):
        return 1127.0 * np.log(1 + frequency_hz / 700.0)

    bins_F1 = mel(np.arange(fft_samples // 2) * sample_rate_hz / fft_samples)[:, None]
    edges = np.linspace(mel(low_hz), mel(top_hz), num_mel_bins + 2)
    filters_FM = _triangles(bins_F1, edges, fft_samples)
    return np.concatenate([filters_FM, np.zeros((1, num_mel_bins))])


def slaney_filters(
    num_mel_bins: int,
    fft_samples: int,
    sample_rate_hz: int,
    low_freq_hz: float,
    high_freq_hz: float,
) -> np.ndarray:
    """Triangles of unit area on Slaney's mel scale, (fft_samples // 2 + 1, M) float64.

    The scale is linear below 1 kHz; the filters are those of librosa.filters.mel.  ValueError if
    the range is empty or a filter covers no bin.
    """
    corner_hz, step_hz = 1000.0, 200 / 3  # mel 15 is 1 kHz
    log_step = np.log(6.4) / 27  # mel 42 is 6.4 kHz

    def mel(frequency_hz):
        if frequency_hz < corner_hz:
            return frequency_hz / step_hz
        return corner_hz / step_hz + np.log(frequency_hz / corner_hz) / log_step

    low_hz, top_hz = frequency_range(low_freq_hz, high_freq_hz, sample_rate_hz)
    mels = np.linspace(mel(low_hz), mel(top_hz), num_mel_bins + 2)
    edges_hz = np.where(
        mels < corner_hz / step_hz,
        mels * step_hz,
        corner_hz * np.exp(log_step * (mels - corner_hz / step_hz)),
    )
    bins_F1 = (np.arange(fft_samples // 2 + 1) * sample_rate_hz / fft_samples)[:, None]
    return _triangles(bins_F1, edges_hz, fft_samples) * 2 / (edges_hz[2:] - edges_hz[:-2])


def bin_filters(
    num_mel_bins: int,
    fft_samples: int,
    sample_rate_hz: int,
    low_freq_hz: float,
    high_freq_hz: float,
) -> np.ndarray:
    """Triangles with corners at bins of the spectrum, (fft_samples // 2 + 1, M) float64.

    The filters are those of python_speech_features.get_filterbanks; one with all corners on one
    bin is zero.  ValueError if the range is empty.
    """
    low_hz, top_hz = frequency_range(low_freq_hz, high_freq_hz, sample_rate_hz)
    low_mel, top_mel = 2595 * np.log10(1 + np.array([low_hz, top_hz]) / 700)
    mels = np.linspace(low_mel, top_mel, num_mel_bins + 2)
    corners = np.floor((fft_samples + 1) * 700 * (10 ** (mels / 2595) - 1) / sample_rate_hz)
    bins_F1 = np.arange(fft_samples // 2 + 1)[:, None]
    left_M, centre_M, right_M = corners[:-2], corners[1:-1], corners[2:]
    rising_FM = (bins_F1 - left_M) / np.maximum(centre_M - left_M, 1)
    falling_FM = (right_M - bins_F1) / np.maximum(right_M - centre_M, 1)
    is_rising_FM = (left_M <= bins_F1) & (bins_F1 < centre_M)
    is_falling_FM = (centre_M <= bins_F1) & (bins_F1 < right_M)
    return np.where(is_rising_FM, rising_FM, np.where(is_falling_FM, falling_FM, 0))


def symmetric_filters(
    num_mel_bins: int,
    fft_samples: int,
    sample_rate_hz: int,
    low_freq_hz: float,
    high_freq_hz: float,
) -> np.ndarray:
    """SpeechBrain's triangles, linear in Hz, (fft_samples // 2 + 1, M) float64.

    Centres are equally spaced on the mel scale; each side of a triangle is as wide as the distance
    to the centre below, of the first one to the lowest frequency.  ValueError if the range is
    empty.
    """
    low_hz, top_hz = frequency_range(low_freq_hz, high_freq_hz, sample_rate_hz)
    low_mel, top_mel = 2595 * np.log10(1 + np.array([low_hz, top_hz]) / 700)
    mels = np.linspace(low_mel, top_mel, num_mel_bins + 2)
    centres_hz = 700 * (10 ** (mels / 2595) - 1)
    bins_F1 = (np.arange(fft_samples // 2 + 1) * sample_rate_hz / fft_samples)[:, None]
    distance_FM = np.abs(bins_F1 - centres_hz[1:-1])
    return (1 - distance_FM / np.diff(centres_hz)[:-1]).clip(min=0)


def _triangles(bins_F1, edges, fft_samples):
    """A triangle over every three neighbouring edges; ValueError if one covers no bin."""
    left_M, centre_M, right_M = edges[:-2], edges[1:-1], edges[2:]
    filters_FM = np.minimum(
        (bins_F1 - left_M) / (centre_M - left_M), (right_M - bins_F1) / (right_M - centre_M)
    ).clip(min=0)
    if not filters_FM.any(axis=0).all():
        raise ValueError(
            f"num_mel_bins is {filters_FM.shape[1]}: too many for a transform of "
            f"{fft_samples} samples, some filters cover no bin; use fewer"
        )
    return filters_FM
