"""Spectra as in librosa (spectrogram, log-mel), SpeechBrain and python_speech_features.

Shapes as in utils/features/base.py, and ``M`` mel filters.
"""

from typing import Literal

import torch
from torch.nn.functional import pad

from utils.features.base import Count, FramedFrontEnd
from utils.features.mel import bin_filters, slaney_filters, squared_magnitude, symmetric_filters
from utils.features.normalisation import NormalisationOption, frame_mask

Edge = Literal["mirrored", "zeros"]


class Spectrogram(FramedFrontEnd):
    """Linear spectrogram with a Hann window: librosa's stft.

    Frames are centred.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of the waveforms.
    fft_samples, window_samples, hop_samples : int
        Length of the Fourier transform (half of it + 1 bins), of the window, and the hop.
    use_power : bool
        Squared magnitude instead of magnitude.
    use_log : bool
        Whether the natural logarithm is taken, after adding ``log_offset``.
    log_offset : float
        More than 0; digital silence becomes its logarithm.
    edge : str
        What frames see beyond the ends: the utterance ``mirrored`` (librosa's pad_mode "reflect")
        or ``zeros`` ("constant", its default since 0.10).
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`.
    """

    window_L: torch.Tensor

    def __init__(
        self,
        *,
        sample_rate_hz: int = 16000,
        fft_samples: int = 512,
        window_samples: int = 400,
        hop_samples: int = 160,
        use_power: bool = False,
        use_log: bool = False,
        log_offset: float = 1e-6,
        edge: Edge = "mirrored",
        normalisation: NormalisationOption = "none",
    ) -> None:
        if not 2 <= window_samples <= fft_samples:
            raise ValueError(
                f"window_samples is {window_samples}, expected 2 to fft_samples ({fft_samples})"
            )
        if log_offset <= 0:
            raise ValueError(f"log_offset is {log_offset}, expected more than 0")
        # librosa pads the window with zeros to centre it: that changes phases only
        first_sample = (fft_samples - window_samples) // 2 - fft_samples // 2
        super().__init__(
            sample_rate_hz=sample_rate_hz,
            window_samples=window_samples,
            hop_samples=hop_samples,
            first_sample=first_sample,
            edge=edge,
            num_bins=fft_samples // 2 + 1,
            normalisation=normalisation,
        )
        self.fft_samples = fft_samples
        self.use_power = use_power
        self.use_log = use_log
        self.log_offset = log_offset
        window_L = torch.hann_window(window_samples, periodic=True)
        self.register_buffer("window_L", window_L, persistent=False)

    def num_frames(self, num_samples: Count) -> Count:
        """Number of frames of an utterance with this many samples."""
        return num_samples // self.hop_samples + 1

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        windowed_BTL = frames_BTL * self.window_L
        spectrum_BTF = squared_magnitude(torch.fft.rfft(windowed_BTL, n=self.fft_samples))
        if not self.use_power:
            spectrum_BTF = spectrum_BTF.sqrt()
        if self.use_log:
            spectrum_BTF = (spectrum_BTF + self.log_offset).log()
        return spectrum_BTF


class LibrosaLogMel(Spectrogram):
    """log10(power spectrogram through librosa's mel filters + 1e-6); defaults of GE2E at 8 kHz.

    Parameters
    ----------
    num_mel_bins : int
        Number of triangular filters, each of unit area (Slaney's).
    low_freq_hz, high_freq_hz : float
        Range of the filters; a ``high_freq_hz`` of 0 or less is added to half the sample rate.
    use_log : bool
        Whether the logarithm is taken; Resemblyzer takes the power itself.
    sample_rate_hz, fft_samples, window_samples, hop_samples, edge, normalisation
        As :class:`Spectrogram`.
    """

    filters_FM: torch.Tensor

    def __init__(
        self,
        *,
        num_mel_bins: int = 40,
        sample_rate_hz: int = 8000,
        fft_samples: int = 512,
        window_samples: int = 200,
        hop_samples: int = 80,
        low_freq_hz: float = 0.0,
        high_freq_hz: float = 0.0,
        use_log: bool = True,
        edge: Edge = "mirrored",
        normalisation: NormalisationOption = "none",
    ) -> None:
        super().__init__(
            sample_rate_hz=sample_rate_hz,
            fft_samples=fft_samples,
            window_samples=window_samples,
            hop_samples=hop_samples,
            use_power=True,
            edge=edge,
            normalisation=normalisation,
        )
        self.num_bins, self.use_log_mel = num_mel_bins, use_log
        filters_FM = slaney_filters(
            num_mel_bins, fft_samples, sample_rate_hz, low_freq_hz, high_freq_hz
        )
        self.add_constant("filters_FM", filters_FM)

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        mel_BTM = super()._features_of_frames(frames_BTL) @ self.filters_FM
        if not self.use_log_mel:
            return mel_BTM
        return (mel_BTM + self.log_offset).log10()


class SpeechbrainFbank(Spectrogram):
    """SpeechBrain's filterbank in decibels, 10 log10(max(energy, 1e-10)), of its ECAPA-TDNN.

    Frames have a hamming window and see zeros beyond the ends of the utterance.

    Parameters
    ----------
    num_mel_bins : int
        Number of triangular filters, linear in Hz and of equal sides.
    low_freq_hz, high_freq_hz : float
        Range of the filters; a ``high_freq_hz`` of 0 or less is added to half the sample rate.
    range_db : float
        Values are at most this far below the loudest one of the utterance.
    sample_rate_hz, fft_samples, window_samples, hop_samples, normalisation
        As :class:`Spectrogram`; the published network's normalisation is ``utterance_mean``.

    References
    ----------
    Ravanelli et al., "SpeechBrain: a general-purpose speech toolkit", 2021.
    """

    filters_FM: torch.Tensor

    def __init__(
        self,
        *,
        num_mel_bins: int = 80,
        sample_rate_hz: int = 16000,
        fft_samples: int = 400,
        window_samples: int = 400,
        hop_samples: int = 160,
        low_freq_hz: float = 0.0,
        high_freq_hz: float = 0.0,
        range_db: float = 80.0,
        normalisation: NormalisationOption = "none",
    ) -> None:
        if range_db <= 0:
            raise ValueError(f"range_db is {range_db}, expected more than 0")
        super().__init__(
            sample_rate_hz=sample_rate_hz,
            fft_samples=fft_samples,
            window_samples=window_samples,
            hop_samples=hop_samples,
            use_power=True,
            edge="zeros",
            normalisation=normalisation,
        )
        self.num_bins, self.range_db = num_mel_bins, range_db
        self.window_L = torch.hamming_window(window_samples, periodic=True)
        filters_FM = symmetric_filters(
            num_mel_bins, fft_samples, sample_rate_hz, low_freq_hz, high_freq_hz
        )
        self.add_constant("filters_FM", filters_FM)

    def _features(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        decibels_BTM = super()._features(waveforms_BS, lengths_B)
        num_frames_B = self.num_frames(lengths_B)
        mask_BT = frame_mask(num_frames_B, decibels_BTM.shape[1], decibels_BTM.device)
        real_BTM = decibels_BTM.masked_fill(~mask_BT[..., None], -torch.inf)
        loudest_B11 = real_BTM.amax(dim=(1, 2), keepdim=True)
        return decibels_BTM.maximum(loudest_B11 - self.range_db)

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        mel_BTM = super()._features_of_frames(frames_BTL) @ self.filters_FM
        return 10 * mel_BTM.clamp(min=1e-10).log10()


class PsfFbank(FramedFrontEnd):
    """python_speech_features' filterbank in decibels, 20 log10(max(energy, 1e-5)).

    Defaults of the Deep Speaker system.  The waveform is pre-emphasised as a whole, frames have no
    window and the last one is padded with zeros.  Filters have their corners at bins of the
    spectrum, so that the lowest of many filters cover no bin and stay at -100 dB.

    Parameters
    ----------
    num_mel_bins : int
        Number of triangular filters.
    sample_rate_hz : int
        Rate of the waveforms.
    frame_length_ms, frame_shift_ms : float
        Length and distance of frames.
    fft_samples : int
        Length of the Fourier transform; no shorter than a frame.
    low_freq_hz, high_freq_hz : float
        Range of the filters; a ``high_freq_hz`` of 0 or less is added to half the sample rate.
    preemphasis : float
        Coefficient in [0, 1].
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`; Deep Speaker's is
        ``utterance_mean``.
    """

    filters_FM: torch.Tensor

    def __init__(
        self,
        *,
        num_mel_bins: int = 64,
        sample_rate_hz: int = 16000,
        frame_length_ms: float = 25.0,
        frame_shift_ms: float = 10.0,
        fft_samples: int = 512,
        low_freq_hz: float = 0.0,
        high_freq_hz: float = 0.0,
        preemphasis: float = 0.97,
        normalisation: NormalisationOption = "none",
    ) -> None:
        length = int(sample_rate_hz * 0.001 * frame_length_ms + 0.5)
        shift = int(sample_rate_hz * 0.001 * frame_shift_ms + 0.5)
        if not 2 <= length <= fft_samples or shift < 1:
            raise ValueError(
                f"frames of {length} samples every {shift}, "
                f"expected 2 to fft_samples ({fft_samples}) samples every 1 or more"
            )
        if not 0 <= preemphasis <= 1:
            raise ValueError(f"preemphasis is {preemphasis}, expected 0 to 1")
        super().__init__(
            sample_rate_hz=sample_rate_hz,
            window_samples=length,
            hop_samples=shift,
            first_sample=0,
            edge="zeros",
            num_bins=num_mel_bins,
            normalisation=normalisation,
        )
        self.fft_samples, self.preemphasis = fft_samples, preemphasis
        filters_FM = bin_filters(
            num_mel_bins, fft_samples, sample_rate_hz, low_freq_hz, high_freq_hz
        )
        self.add_constant("filters_FM", filters_FM / fft_samples)

    def num_frames(self, num_samples: Count) -> Count:
        """Number of frames of an utterance with this many samples."""
        further = num_samples - self.window_samples
        return 1 + (further + self.hop_samples - 1) // self.hop_samples * (further > 0)

    def _features(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        before_BS = pad(waveforms_BS[:, :-1], (1, 0))
        return super()._features(waveforms_BS - self.preemphasis * before_BS, lengths_B)

    def _features_of_frames(self, frames_BTL: torch.Tensor) -> torch.Tensor:
        power_BTF = squared_magnitude(torch.fft.rfft(frames_BTL, n=self.fft_samples))
        energy_BTM = power_BTF @ self.filters_FM
        return 20 * energy_BTM.clamp(min=1e-5).log10()
