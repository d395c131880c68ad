"""Kaldi's filterbank and MFCC front ends, in torch.

Shapes as in utils/features_base.py, and ``M`` mel filters, ``C`` cepstra.
"""

from typing import Literal

import numpy as np
import torch

from utils.features_base import FrontEnd, Normalisation

FLOAT_EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor of energies before the logarithm
FULL_SCALE = 32768.0  # Kaldi computes on 16-bit samples


class KaldiFrontEnd(FrontEnd):
    """Frames, window, spectrum and mel filters as Kaldi's feature programs compute them with --dither=0; Kaldi's option names, with units.

    Parameters
    ----------
    num_mel_bins : int
        Triangular filters.
    sample_rate_hz : int
        Rate of the waveforms.
    low_freq_hz, high_freq_hz : float
        Range of the filters; a ``high_freq_hz`` of 0 or less counts from half the sample rate.
    frame_length_ms, frame_shift_ms : float
        Length and distance of frames.
    snip_edges : bool
        Whether only frames wholly within the utterance are kept; otherwise there is one frame per shift, mirrored at the ends.
    preemphasis : float
        Coefficient in [0, 1].
    remove_dc_offset : bool
        Whether each frame's mean is subtracted.
    window : str
        Window function.
    round_to_power_of_two : bool
        Whether frames are zero-padded to a power of two before the Fourier transform.
    use_energy : bool
        Whether the log energy of the frame comes first (filterbank) or replaces C0 (MFCC).
    raw_energy : bool
        Whether that energy is measured before pre-emphasis and window.
    energy_floor : float
        Lower limit of that energy (before the logarithm); 0: none.
    normalisation : str
        As :func:`utils.features_base.normalise`.

    References
    ----------
    Kaldi, src/feat/feature-window.cc and mel-computations.cc.
    """

    def __init__(self, *, num_mel_bins: int = 23, sample_rate_hz: int = 16000, low_freq_hz: float = 20.0, high_freq_hz: float = 0.0,
                 frame_length_ms: float = 25.0, frame_shift_ms: float = 10.0, snip_edges: bool = True, preemphasis: float = 0.97,
                 remove_dc_offset: bool = True, window: Literal["povey", "hamming", "hanning", "rectangular"] = "povey",
                 round_to_power_of_two: bool = True, use_energy: bool = False, raw_energy: bool = True, energy_floor: float = 0.0,
                 normalisation: Normalisation = "none") -> None:
        length, shift = int(sample_rate_hz * 0.001 * frame_length_ms), int(sample_rate_hz * 0.001 * frame_shift_ms)
        if length < 2 or shift < 1:
            raise ValueError(f"frame_length_ms {frame_length_ms} and frame_shift_ms {frame_shift_ms} give frames of {length} samples every {shift}")
        if not 0 <= preemphasis <= 1:
            raise ValueError(f"preemphasis is {preemphasis}, expected 0 to 1")
        super().__init__(sample_rate_hz=sample_rate_hz, window_samples=length, hop_samples=shift,
                         first_sample=0 if snip_edges else shift // 2 - length // 2, doubles_edge=True, num_bins=num_mel_bins,
                         normalisation=normalisation)
        self.snip_edges, self.preemphasis, self.remove_dc_offset = snip_edges, preemphasis, remove_dc_offset
        self.use_energy, self.raw_energy, self.energy_floor = use_energy, raw_energy, energy_floor
        self.fft_samples = 1 << (length - 1).bit_length() if round_to_power_of_two else length
        filters_FM = mel_filters(num_mel_bins, self.fft_samples, sample_rate_hz, low_freq_hz, high_freq_hz)
        self.register_buffer("window_L", torch.tensor(window_function(window, length), dtype=torch.float32), persistent=False)
        self.register_buffer("filters_FM", torch.tensor(filters_FM, dtype=torch.float32), persistent=False)

    def num_frames(self, num_samples: int | torch.Tensor) -> int | torch.Tensor:
        """Frames of an utterance of so many samples."""
        if not self.snip_edges:
            return (num_samples + self.hop_samples // 2) // self.hop_samples
        frames = (num_samples - self.window_samples) // self.hop_samples + 1
        return frames * (frames > 0)

    def _spectrum_and_energy(self, frames_BTL):
        """Magnitude spectrum without the highest bin, which Kaldi's filters leave out, and log energy."""
        frames_BTL = frames_BTL * FULL_SCALE
        if self.remove_dc_offset:
            frames_BTL = frames_BTL - frames_BTL.mean(dim=-1, keepdim=True)
        energy_BT = frames_BTL.square().sum(dim=-1)
        before_BTL = torch.cat([frames_BTL[..., :1], frames_BTL[..., :-1]], dim=-1)
        frames_BTL = (frames_BTL - self.preemphasis * before_BTL) * self.window_L
        if not self.raw_energy:
            energy_BT = frames_BTL.square().sum(dim=-1)
        spectrum_BTF = torch.fft.rfft(frames_BTL, n=self.fft_samples)[..., :-1].abs()
        return spectrum_BTF, energy_BT.clamp(min=max(FLOAT_EPSILON, self.energy_floor)).log()


class KaldiFbank(KaldiFrontEnd):
    """Log-mel filterbank energies: compute-fbank-feats.

    Parameters
    ----------
    num_mel_bins : int
        Triangular filters.
    use_power, use_log_fbank : bool
        Power or magnitude spectrum; logarithm of the filters' outputs or not.
    **options
        As :class:`KaldiFrontEnd`.
    """

    def __init__(self, *, num_mel_bins: int = 80, use_power: bool = True, use_log_fbank: bool = True, **options) -> None:
        super().__init__(num_mel_bins=num_mel_bins, **options)
        self.use_power, self.use_log_fbank = use_power, use_log_fbank
        self.num_bins = num_mel_bins + self.use_energy

    def _features(self, frames_BTL):
        spectrum_BTF, energy_BT = self._spectrum_and_energy(frames_BTL)
        mel_BTM = (spectrum_BTF.square() if self.use_power else spectrum_BTF) @ self.filters_FM
        if self.use_log_fbank:
            mel_BTM = mel_BTM.clamp(min=FLOAT_EPSILON).log()
        return torch.cat([energy_BT[..., None], mel_BTM], dim=-1) if self.use_energy else mel_BTM


class KaldiMfcc(KaldiFrontEnd):
    """Mel-frequency cepstra: compute-mfcc-feats.  The defaults are those of Kaldi's VoxCeleb recipe.

    Parameters
    ----------
    num_ceps : int
        Coefficients kept, C0 or the energy included; at most ``num_mel_bins``.
    cepstral_lifter : float
        Period of the liftering; 0: none.
    num_mel_bins, high_freq_hz, snip_edges, use_energy, **options
        As :class:`KaldiFrontEnd`.
    """

    def __init__(self, *, num_ceps: int = 30, cepstral_lifter: float = 22.0, num_mel_bins: int = 30, high_freq_hz: float = 7600.0,
                 snip_edges: bool = False, use_energy: bool = True, **options) -> None:
        super().__init__(num_mel_bins=num_mel_bins, high_freq_hz=high_freq_hz, snip_edges=snip_edges, use_energy=use_energy, **options)
        if not 1 <= num_ceps <= num_mel_bins:
            raise ValueError(f"num_ceps is {num_ceps}, expected 1 to num_mel_bins ({num_mel_bins})")
        self.num_bins = num_ceps
        order_C, centre_M1 = np.arange(num_ceps), np.arange(num_mel_bins)[:, None] + 0.5
        transform_MC = np.cos(np.pi / num_mel_bins * centre_M1 * order_C) * np.sqrt(np.where(order_C == 0, 1, 2) / num_mel_bins)
        if cepstral_lifter:
            transform_MC *= 1 + 0.5 * cepstral_lifter * np.sin(np.pi * order_C / cepstral_lifter)
        self.register_buffer("transform_MC", torch.tensor(transform_MC, dtype=torch.float32), persistent=False)

    def _features(self, frames_BTL):
        spectrum_BTF, energy_BT = self._spectrum_and_energy(frames_BTL)
        cepstra_BTC = (spectrum_BTF.square() @ self.filters_FM).clamp(min=FLOAT_EPSILON).log() @ self.transform_MC
        return torch.cat([energy_BT[..., None], cepstra_BTC[..., 1:]], dim=-1) if self.use_energy else cepstra_BTC


def window_function(name: str, length: int) -> np.ndarray:
    """Kaldi's window functions (symmetric).

    Parameters
    ----------
    name : str
        ``povey`` (a Hann window to the power 0.85), ``hamming``, ``hanning`` or ``rectangular``.
    length : int
        Samples.

    Returns
    -------
    (L,) float64 array
    """
    cosine_L = np.cos(2 * np.pi * np.arange(length) / (length - 1))
    return {"povey": (0.5 - 0.5 * cosine_L) ** 0.85, "hanning": 0.5 - 0.5 * cosine_L, "hamming": 0.54 - 0.46 * cosine_L,
            "rectangular": np.ones(length)}[name]


def mel_filters(num_mel_bins: int, fft_samples: int, sample_rate_hz: int, low_freq_hz: float, high_freq_hz: float) -> np.ndarray:
    """Triangles on Kaldi's mel scale, over the bins of a spectrum without its highest one.

    Parameters
    ----------
    num_mel_bins, fft_samples, sample_rate_hz : int
        Filters, length of the Fourier transform, rate.
    low_freq_hz, high_freq_hz : float
        Range; a ``high_freq_hz`` of 0 or less counts from half the sample rate.

    Returns
    -------
    (fft_samples // 2, M) float64 array

    Raises
    ------
    ValueError
        The range is empty or a filter holds no bin.
    """
    nyquist_hz = sample_rate_hz / 2
    top_hz = high_freq_hz + nyquist_hz if high_freq_hz <= 0 else high_freq_hz
    if not 0 <= low_freq_hz < top_hz <= nyquist_hz:
        raise ValueError(f"low_freq_hz {low_freq_hz} and high_freq_hz {high_freq_hz} are no range within 0 to {nyquist_hz:g} Hz")
    if num_mel_bins < 3 or fft_samples % 2:
        raise ValueError(f"num_mel_bins is {num_mel_bins}, expected 3 or more, over a transform of an even length, not {fft_samples}")

    def mel(frequency_hz):
        return 1127.0 * np.log(1 + frequency_hz / 700.0)

    bins_F1 = mel(np.arange(fft_samples // 2) * sample_rate_hz / fft_samples)[:, None]
    edges = np.linspace(mel(low_freq_hz), mel(top_hz), num_mel_bins + 2)
    left_M, centre_M, right_M = edges[:-2], edges[1:-1], edges[2:]
    filters_FM = np.minimum((bins_F1 - left_M) / (centre_M - left_M), (right_M - bins_F1) / (right_M - centre_M)).clip(min=0)
    if not filters_FM.any(axis=0).all():
        raise ValueError(f"num_mel_bins is {num_mel_bins}: too many for a transform of {fft_samples} samples, some filters hold no bin")
    return filters_FM
