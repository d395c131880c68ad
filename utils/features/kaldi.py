"""Kaldi's filterbank and MFCC front ends, in torch.

Shapes as in utils/features/base.py, and ``M`` mel filters, ``C`` cepstra.
"""

import math
from typing import Literal

import numpy as np
import torch

from utils.features.base import Count, FramedFrontEnd
from utils.features.mel import kaldi_filters, squared_magnitude
from utils.features.normalisation import NormalisationOption

FLOAT_EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor of energies before the logarithm
FULL_SCALE = 32768.0  # Kaldi computes on 16-bit samples
WindowName = Literal["povey", "hamming", "hanning", "sine", "blackman", "rectangular"]


class KaldiFrontEnd(FramedFrontEnd):
    """Frames, window, spectrum and mel filters of Kaldi's feature programs with --dither=0.

    The options have Kaldi's names, with units.

    Parameters
    ----------
    num_mel_bins : int
        Number of triangular filters.
    sample_rate_hz : int
        Rate of the waveforms.
    low_freq_hz, high_freq_hz : float
        Range of the filters; a ``high_freq_hz`` of 0 or less is added to half the sample rate.
    frame_length_ms, frame_shift_ms : float
        Length and distance of frames.
    snip_edges : bool
        Whether frames must lie within the utterance; otherwise there is one frame per shift, and
        the utterance is mirrored at its ends.
    dither : float
        Standard deviation of added noise, in 16-bit steps; 0: none (Kaldi's default is 1).
    dither_seed : int
        Seed of that noise, which is the same for every utterance.
    preemphasis : float
        Coefficient in [0, 1].
    remove_dc_offset : bool
        Whether each frame's mean is subtracted.
    window : str
        As :func:`window_function`.
    blackman_coefficient : float
        As :func:`window_function`.
    round_to_power_of_two : bool
        Whether frames are zero-padded to a power of two before the Fourier transform.
    use_energy : bool
        Whether the log energy of the frame comes first (filterbank) or replaces C0 (MFCC).
    raw_energy : bool
        Whether that energy is measured before pre-emphasis and window.
    energy_floor : float
        Lower limit of that energy (before the logarithm); 0: none.
    htk_compat : bool
        Whether the energy, or C0 times the root of 2, comes last, as in HTK.
    full_scale : float
        Factor of the samples: 32768 as Kaldi, which computes on 16-bit samples; 1 for systems that
        use it on samples in [-1, 1].
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`.

    References
    ----------
    Kaldi, src/feat/feature-window.cc and mel-computations.cc.
    """

    window_L: torch.Tensor
    filters_FM: torch.Tensor

    def __init__(
        self,
        *,
        num_mel_bins: int = 23,
        sample_rate_hz: int = 16000,
        low_freq_hz: float = 20.0,
        high_freq_hz: float = 0.0,
        frame_length_ms: float = 25.0,
        frame_shift_ms: float = 10.0,
        snip_edges: bool = True,
        dither: float = 0.0,
        dither_seed: int = 0,
        preemphasis: float = 0.97,
        remove_dc_offset: bool = True,
        window: WindowName = "povey",
        blackman_coefficient: float = 0.42,
        round_to_power_of_two: bool = True,
        use_energy: bool = False,
        raw_energy: bool = True,
        energy_floor: float = 0.0,
        htk_compat: bool = False,
        full_scale: float = FULL_SCALE,
        normalisation: NormalisationOption = "none",
    ) -> None:
        length = int(sample_rate_hz * 0.001 * frame_length_ms)
        shift = int(sample_rate_hz * 0.001 * frame_shift_ms)
        if length < 2 or shift < 1:
            raise ValueError(
                f"frame_length_ms {frame_length_ms} and frame_shift_ms {frame_shift_ms} "
                f"give frames of {length} samples every {shift}, "
                "expected 2 or more every 1 or more"
            )
        if not 0 <= preemphasis <= 1:
            raise ValueError(f"preemphasis is {preemphasis}, expected 0 to 1")
        if dither < 0 or energy_floor < 0 or full_scale <= 0:
            raise ValueError(
                f"dither {dither} and energy_floor {energy_floor} must be 0 or more, "
                f"full_scale {full_scale} more than 0"
            )
        super().__init__(
            sample_rate_hz=sample_rate_hz,
            window_samples=length,
            hop_samples=shift,
            edge="doubled",
            num_bins=num_mel_bins,
            first_sample=0 if snip_edges else shift // 2 - length // 2,
            normalisation=normalisation,
        )
        self.snip_edges, self.dither, self.dither_seed = snip_edges, dither, dither_seed
        self.preemphasis = preemphasis
        self.remove_dc_offset = remove_dc_offset
        self.full_scale = full_scale
        self.use_energy = use_energy
        self.raw_energy = raw_energy
        self.energy_floor = energy_floor
        self.htk_compat = htk_compat
        self.fft_samples = length
        if round_to_power_of_two:
            self.fft_samples = 1 << (length - 1).bit_length()
        filters_FM = kaldi_filters(
            num_mel_bins, self.fft_samples, sample_rate_hz, low_freq_hz, high_freq_hz
        )
        window_L = window_function(window, length, blackman_coefficient)
        self.add_constant("window_L", window_L * full_scale)
        self.add_constant("filters_FM", filters_FM)

    def num_frames(self, num_samples: Count) -> Count:
        """Number of frames of an utterance with this many samples."""
        if not self.snip_edges:
            return (num_samples + self.hop_samples // 2) // self.hop_samples
        frames = (num_samples - self.window_samples) // self.hop_samples + 1
        return frames * (frames > 0)

    def _features(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        if self.dither:  # the same noise for all: features depend on the utterance's own samples
            rng = np.random.default_rng(self.dither_seed)
            normal_S = rng.standard_normal(waveforms_BS.shape[1], np.float32)
            noise_S = torch.from_numpy(normal_S * (self.dither / self.full_scale)).float()
            waveforms_BS = waveforms_BS + noise_S.to(waveforms_BS.device)
        return super()._features(waveforms_BS, lengths_B)

    def _power_and_energy(self, frames_BTL):
        """Power spectrum, and log energy if it is used."""
        if self.remove_dc_offset:
            frames_BTL = frames_BTL - frames_BTL.mean(dim=-1, keepdim=True)
        before_BTL = torch.cat([frames_BTL[..., :1], frames_BTL[..., :-1]], dim=-1)
        windowed_BTL = torch.sub(frames_BTL, before_BTL, alpha=self.preemphasis) * self.window_L
        energy_BT1 = None
        if self.use_energy:
            measured_BTL = windowed_BTL
            if self.raw_energy:
                measured_BTL = frames_BTL * self.full_scale
            energy_BT1 = measured_BTL.square().sum(dim=-1, keepdim=True)
            energy_BT1 = energy_BT1.clamp(min=max(FLOAT_EPSILON, self.energy_floor)).log()
        spectrum_BTF = torch.fft.rfft(windowed_BTL, n=self.fft_samples)
        return squared_magnitude(spectrum_BTF), energy_BT1


class KaldiFbank(KaldiFrontEnd):
    """Log-mel filterbank energies: compute-fbank-feats.

    Parameters
    ----------
    num_mel_bins : int
        Number of triangular filters.
    use_power, use_log_fbank : bool
        Power instead of magnitude spectrum; logarithm of the filters' outputs.
    **options
        As :class:`KaldiFrontEnd`.
    """

    def __init__(
        self,
        *,
        num_mel_bins: int = 80,
        use_power: bool = True,
        use_log_fbank: bool = True,
        **options,
    ) -> None:
        super().__init__(num_mel_bins=num_mel_bins, **options)
        self.use_power, self.use_log_fbank = use_power, use_log_fbank
        self.num_bins = num_mel_bins + self.use_energy

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        spectrum_BTF, energy_BT1 = self._power_and_energy(frames_BTL)
        if not self.use_power:
            spectrum_BTF = spectrum_BTF.sqrt()
        mel_BTM = spectrum_BTF @ self.filters_FM
        if self.use_log_fbank:
            mel_BTM = mel_BTM.clamp(min=FLOAT_EPSILON).log()
        if not self.use_energy:
            return mel_BTM
        if self.htk_compat:
            return torch.cat([mel_BTM, energy_BT1], dim=-1)
        return torch.cat([energy_BT1, mel_BTM], dim=-1)


class KaldiMfcc(KaldiFrontEnd):
    """Mel-frequency cepstra: compute-mfcc-feats, with the defaults of Kaldi's VoxCeleb recipe.

    Parameters
    ----------
    num_ceps : int
        Coefficients kept, C0 or the energy included; at most ``num_mel_bins``.
    cepstral_lifter : float
        Period of the liftering; 0: none.
    num_mel_bins, high_freq_hz, snip_edges, use_energy, **options
        As :class:`KaldiFrontEnd`.
    """

    transform_MC: torch.Tensor

    def __init__(
        self,
        *,
        num_ceps: int = 30,
        cepstral_lifter: float = 22.0,
        num_mel_bins: int = 30,
        high_freq_hz: float = 7600.0,
        snip_edges: bool = False,
        use_energy: bool = True,
        **options,
    ) -> None:
        super().__init__(
            num_mel_bins=num_mel_bins,
            high_freq_hz=high_freq_hz,
            snip_edges=snip_edges,
            use_energy=use_energy,
            **options,
        )
        if not 1 <= num_ceps <= num_mel_bins:
            raise ValueError(f"num_ceps is {num_ceps}, expected 1 to num_mel_bins ({num_mel_bins})")
        self.num_bins = num_ceps
        order_C, centre_M1 = np.arange(num_ceps), np.arange(num_mel_bins)[:, None] + 0.5
        scale_C = np.sqrt(np.where(order_C == 0, 1, 2) / num_mel_bins)
        transform_MC = np.cos(np.pi / num_mel_bins * centre_M1 * order_C) * scale_C
        if cepstral_lifter:
            transform_MC *= 1 + 0.5 * cepstral_lifter * np.sin(np.pi * order_C / cepstral_lifter)
        self.add_constant("transform_MC", transform_MC)

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        power_BTF, energy_BT1 = self._power_and_energy(frames_BTL)
        mel_BTM = (power_BTF @ self.filters_FM).clamp(min=FLOAT_EPSILON).log()
        cepstra_BTC = mel_BTM @ self.transform_MC
        first_BT1, rest_BTC = cepstra_BTC[..., :1], cepstra_BTC[..., 1:]
        if self.use_energy:
            first_BT1 = energy_BT1
        elif self.htk_compat:
            first_BT1 = first_BT1 * math.sqrt(2)
        if self.htk_compat:
            return torch.cat([rest_BTC, first_BT1], dim=-1)
        return torch.cat([first_BT1, rest_BTC], dim=-1)


def window_function(
    name: WindowName, length: int, blackman_coefficient: float = 0.42
) -> np.ndarray:
    """Kaldi's symmetric window functions, (L,) float64; povey is a Hann window to the power 0.85.

    ``blackman_coefficient`` is the constant term of ``blackman``.
    """
    angle_L = 2 * np.pi * np.arange(length) / (length - 1)
    hanning_L = 0.5 - 0.5 * np.cos(angle_L)
    blackman_L = (
        blackman_coefficient
        - 0.5 * np.cos(angle_L)
        + (0.5 - blackman_coefficient) * np.cos(2 * angle_L)
    )
    return {
        "povey": hanning_L**0.85,
        "hanning": hanning_L,
        "hamming": 0.54 - 0.46 * np.cos(angle_L),
        "sine": np.sin(angle_L / 2),
        "blackman": blackman_L,
        "rectangular": np.ones(length),
    }[name]
