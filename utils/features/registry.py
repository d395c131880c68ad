"""Front ends by name: torch modules that turn waveforms into features, on the waveforms' device.

Every front end has ``forward(waveforms_BS, lengths_B) -> (features_BTF, num_frames_B)``,
``num_frames(num_samples)``, ``min_samples(num_frames)`` and the attributes ``num_bins``,
``sample_rate_hz`` and ``hop_samples``; a network owns its front end.  Shapes as in
utils/features/base.py.  When to use which:

=====================  ==========================================================================
``kaldi_fbank``        the first choice for a new network: 80 filters as in Kaldi, WeSpeaker and
                       most of today's networks
``kaldi_mfcc``         x-vectors of Kaldi's VoxCeleb recipe (its defaults, with
                       ``normalisation: sliding``)
``spectrogram``        VGG (magnitudes, ``normalisation: frame``); networks with filters of their
                       own
``librosa_log_mel``    GE2E, 8 kHz; with ``use_log: false`` Resemblyzer, 16 kHz
``speechbrain_fbank``  SpeechBrain's networks (in decibels, ``normalisation: utterance_mean``)
``psf_fbank``          Deep Speaker (python_speech_features, in decibels,
                       ``normalisation: utterance_mean``)
``waveform``           RawNet, RawNet2, RawNet3, MR-RawNet: the network takes samples (its filters
                       are in utils/features/sinc.py)
``precomputed``        a feats.scp made by Kaldi or by steps.make_feats
=====================  ==========================================================================

For the normalisation see utils/features/normalisation.py.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from utils.config import build, make
from utils.features.base import FrontEnd
from utils.features.kaldi import KaldiFbank, KaldiMfcc
from utils.features.normalisation import frame_mask, normalise
from utils.features.precomputed import Precomputed
from utils.features.sinc import AnalyticSincBank, SincBank
from utils.features.spectra import LibrosaLogMel, PsfFbank, Spectrogram, SpeechbrainFbank
from utils.features.waveform import Waveform

__all__ = [
    "FRONT_ENDS",
    "AnalyticSincBank",
    "FrontEnd",
    "KaldiFbank",
    "KaldiMfcc",
    "LibrosaLogMel",
    "Precomputed",
    "PsfFbank",
    "SincBank",
    "SpecAugment",
    "Spectrogram",
    "SpeechbrainFbank",
    "Waveform",
    "frame_mask",
    "make_front_end",
    "make_spec_augment",
    "normalise",
]

FRONT_ENDS = {
    "kaldi_fbank": KaldiFbank,
    "kaldi_mfcc": KaldiMfcc,
    "spectrogram": Spectrogram,
    "librosa_log_mel": LibrosaLogMel,
    "psf_fbank": PsfFbank,
    "speechbrain_fbank": SpeechbrainFbank,
    "waveform": Waveform,
    "precomputed": Precomputed,
}


def make_front_end(options: dict) -> FrontEnd:
    """The front end of a section: ``name`` (a key of FRONT_ENDS) and arguments of that class."""
    return build(FRONT_ENDS, options, "front_end")


def make_spec_augment(options: dict | None) -> "SpecAugment | None":
    """The SpecAugment with these options; None without options."""
    return None if options is None else make(SpecAugment, options, "spec_augment")


class SpecAugment(nn.Module):
    """Sets bands of frequencies and stretches of time to zero, in training.

    Parameters
    ----------
    num_freq_masks, num_time_masks : int
        Number of masks per utterance; they may overlap.
    max_freq_bins, max_time_frames : int
        Largest width of a mask; widths are uniform from 0.

    References
    ----------
    Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition",
    Interspeech 2019; without time warping.
    """

    def __init__(
        self,
        *,
        num_freq_masks: int = 1,
        max_freq_bins: int = 10,
        num_time_masks: int = 1,
        max_time_frames: int = 5,
    ) -> None:
        super().__init__()
        for name, value in {
            "num_freq_masks": num_freq_masks,
            "max_freq_bins": max_freq_bins,
            "num_time_masks": num_time_masks,
            "max_time_frames": max_time_frames,
        }.items():
            if value < 0:
                raise ValueError(f"{name} is {value}, expected 0 or more")
        self.num_freq_masks, self.max_freq_bins = num_freq_masks, max_freq_bins
        self.num_time_masks, self.max_time_frames = num_time_masks, max_time_frames

    def forward(self, features_BTF: torch.Tensor, seeds: Sequence[int]) -> torch.Tensor:
        """Mask each utterance; the masks are a pure function of its seed.

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
        keep_BT = np.ones((len(seeds), num_frames, 1), bool)
        keep_BF = np.ones((len(seeds), 1, num_bins), bool)
        for row, seed in enumerate(seeds):
            rng = np.random.default_rng(int(seed))
            _draw_masks(keep_BF[row, 0], self.num_freq_masks, self.max_freq_bins, rng)
            _draw_masks(keep_BT[row, :, 0], self.num_time_masks, self.max_time_frames, rng)
        device = features_BTF.device
        features_BTF = features_BTF * torch.from_numpy(keep_BT).to(device)
        return features_BTF * torch.from_numpy(keep_BF).to(device)


def _draw_masks(keep, count, max_width, rng):
    """Set random stretches of a 1-D bool array to False."""
    for _ in range(count):
        width = rng.integers(min(max_width, len(keep)) + 1)
        start = rng.integers(len(keep) - width + 1)
        keep[start : start + width] = False
