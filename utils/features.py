"""Front ends as torch modules: waveforms in, features out, on whatever device the waveforms are.

Every front end has ``forward(waveforms_BS, lengths_B) -> (features_BTF, num_frames_B)``, ``num_frames(num_samples)``, ``min_samples(num_frames)``
and the attributes ``num_bins``, ``sample_rate_hz`` and ``hop_samples``; networks own theirs.  Shapes as in utils/features_base.py.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from utils.config import build, make
from utils.features_base import FrontEnd, Normalisation, frame_mask, normalise
from utils.features_kaldi import KaldiFbank, KaldiMfcc

__all__ = ["FRONT_ENDS", "FrontEnd", "KaldiFbank", "KaldiMfcc", "SpecAugment", "Spectrogram", "frame_mask", "make_front_end",
           "make_spec_augment", "normalise"]


class Spectrogram(FrontEnd):
    """Linear magnitude spectrogram, Hann window, frames centred and mirrored at the ends (librosa's stft with pad_mode="reflect"); no logarithm.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of the waveforms.
    fft_samples, window_samples, hop_samples : int
        Length of the Fourier transform (half of it + 1 bins), of the window, and distance of frames.
    normalisation : str
        As :func:`utils.features_base.normalise`.
    """

    def __init__(self, *, sample_rate_hz: int = 16000, fft_samples: int = 512, window_samples: int = 400, hop_samples: int = 160,
                 normalisation: Normalisation = "none") -> None:
        if not 2 <= window_samples <= fft_samples:
            raise ValueError(f"window_samples is {window_samples}, expected 2 to fft_samples ({fft_samples})")
        # the zeros that centre the window within the transform change phases only: they are left out
        first_sample = (fft_samples - window_samples) // 2 - fft_samples // 2
        super().__init__(sample_rate_hz=sample_rate_hz, window_samples=window_samples, hop_samples=hop_samples, first_sample=first_sample,
                         doubles_edge=False, num_bins=fft_samples // 2 + 1, normalisation=normalisation)
        self.fft_samples = fft_samples
        self.register_buffer("window_L", torch.hann_window(window_samples, periodic=True), persistent=False)

    def num_frames(self, num_samples: int | torch.Tensor) -> int | torch.Tensor:
        """Frames of an utterance of so many samples."""
        return num_samples // self.hop_samples + 1

    def _features(self, frames_BTL):
        return torch.fft.rfft(frames_BTL * self.window_L, n=self.fft_samples).abs()


FRONT_ENDS = {"kaldi_fbank": KaldiFbank, "kaldi_mfcc": KaldiMfcc, "spectrogram": Spectrogram}


def make_front_end(options: dict) -> FrontEnd:
    """The front end that ``options["name"]`` asks for.

    Parameters
    ----------
    options : dict
        ``name`` (a key of FRONT_ENDS) and arguments of that class.

    Raises
    ------
    UserError
        As :func:`utils.config.build`.
    """
    return build(FRONT_ENDS, options, "front_end")


def make_spec_augment(options: dict | None) -> "SpecAugment | None":
    """The SpecAugment with these options, or none.

    Parameters
    ----------
    options : dict or None
        Arguments of :class:`SpecAugment`.

    Raises
    ------
    UserError
        As :func:`utils.config.make`.
    """
    return None if options is None else make(SpecAugment, options, "spec_augment")


class SpecAugment(nn.Module):
    """Bands of frequencies and stretches of time set to zero, in training.

    Parameters
    ----------
    num_freq_masks, num_time_masks : int
        How many of each per utterance; they may overlap.
    max_freq_bins, max_time_frames : int
        Widths are drawn uniformly from 0 to these.

    References
    ----------
    Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition", Interspeech 2019; no time warping.
    """

    def __init__(self, *, num_freq_masks: int = 1, max_freq_bins: int = 10, num_time_masks: int = 1, max_time_frames: int = 5) -> None:
        super().__init__()
        for name, value in {"num_freq_masks": num_freq_masks, "max_freq_bins": max_freq_bins, "num_time_masks": num_time_masks,
                            "max_time_frames": max_time_frames}.items():
            if value < 0:
                raise ValueError(f"{name} is {value}, expected 0 or more")
        self.num_freq_masks, self.max_freq_bins = num_freq_masks, max_freq_bins
        self.num_time_masks, self.max_time_frames = num_time_masks, max_time_frames

    def forward(self, features_BTF: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Mask each utterance by draws that are a pure function of its seed.

        Parameters
        ----------
        features_BTF : (B, T, F) float tensor
            Normalised features: zero is their mean.
        seeds : B ints
            One per utterance, not negative.

        Returns
        -------
        (B, T, F) float tensor
        """
        _, num_frames, num_bins = features_BTF.shape
        keep_BT, keep_BF = np.ones((len(seeds), num_frames, 1), bool), np.ones((len(seeds), 1, num_bins), bool)
        for row, seed in enumerate(seeds):
            draw = np.random.default_rng(int(seed))
            _mask(keep_BF[row, 0], self.num_freq_masks, self.max_freq_bins, draw)
            _mask(keep_BT[row, :, 0], self.num_time_masks, self.max_time_frames, draw)
        device = features_BTF.device
        return features_BTF * torch.from_numpy(keep_BT).to(device) * torch.from_numpy(keep_BF).to(device)


def _mask(keep, count, max_width, draw):
    for _ in range(count):
        width = draw.integers(min(max_width, len(keep)) + 1)
        start = draw.integers(len(keep) - width + 1)
        keep[start:start + width] = False
