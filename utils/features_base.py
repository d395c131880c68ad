"""What all front ends share: frames of a padded batch, normalisation, masking.

Shapes: ``B`` batch, ``S`` samples, ``T`` frames, ``L`` samples of a window, ``F`` features of a frame.  The features of an utterance depend on its
own samples alone: frames that reach over an end see the utterance mirrored at that end, never the padding, and frames after the last one are zero.
"""

from typing import Literal

import torch
from torch import nn

NEARLY_ZERO = 1e-5  # added to standard deviations (Xie et al. 2019, published code)
Normalisation = Literal["none", "frame", "utterance_mean", "utterance_mean_variance"]


class FrontEnd(nn.Module):
    """What the front ends share: framing by mirrored samples, float32 under autocast, normalisation and masking.

    Parameters
    ----------
    sample_rate_hz, window_samples, hop_samples : int
        Rate of the waveforms, length and distance of frames.
    first_sample : int
        Where frame 0 begins; negative when frames are centred.
    doubles_edge : bool
        Whether the mirror repeats the outermost sample (Kaldi) or not (librosa).
    num_bins : int
        Features of a frame.
    normalisation : str
        As :func:`normalise`.
    """

    def __init__(self, *, sample_rate_hz: int, window_samples: int, hop_samples: int, first_sample: int, doubles_edge: bool, num_bins: int,
                 normalisation: Normalisation) -> None:
        super().__init__()
        self.sample_rate_hz, self.window_samples, self.hop_samples = sample_rate_hz, window_samples, hop_samples
        self.first_sample, self.doubles_edge, self.num_bins, self.normalisation = first_sample, doubles_edge, num_bins, normalisation

    def extra_repr(self) -> str:
        """What stands between the brackets of ``str(front_end)``: the front end's description in the provenance of embeddings."""
        return (f"{self.num_bins} features, {self.sample_rate_hz} Hz, window {self.window_samples}, hop {self.hop_samples}, "
                f"normalisation {self.normalisation}")

    def forward(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of a padded batch.

        Parameters
        ----------
        waveforms_BS : (B, S) float tensor
            Samples in [-1, 1]; what stands after an utterance's end is never read.
        lengths_B : (B,) int tensor
            Samples of each utterance; on the host it spares a synchronisation.

        Returns
        -------
        features_BTF : (B, T, F) float32 tensor
            Zero after the end of each utterance.
        num_frames_B : (B,) int tensor
            On the device of ``lengths_B``.
        """
        num_frames_B = self.num_frames(lengths_B)
        with torch.autocast(waveforms_BS.device.type, enabled=False):  # spectra and logarithms do not survive bfloat16
            features_BTF = self._features(self._frames(waveforms_BS.float(), lengths_B))
            return normalise(features_BTF, num_frames_B, self.normalisation), num_frames_B

    def min_samples(self, num_frames: int) -> int:
        """The fewest samples that give so many frames."""
        return next(n for n in range(1, self.window_samples + (num_frames + 1) * self.hop_samples) if self.num_frames(n) >= num_frames)

    def _frames(self, waveforms_BS, lengths_B):
        num_frames = int(self.num_frames(lengths_B.max()))
        num_samples = self.window_samples + (num_frames - 1) * self.hop_samples
        one_length = bool((lengths_B == lengths_B[0]).all())
        lengths_B1 = (lengths_B[:1] if one_length else lengths_B).to(waveforms_BS.device)[:, None]
        positions_S = torch.arange(self.first_sample, self.first_sample + num_samples, device=waveforms_BS.device)
        period_B1 = (2 * lengths_B1 - (0 if self.doubles_edge else 2)).clamp(min=1)
        phase_BS = positions_S % period_B1
        source_BS = torch.minimum(phase_BS, period_B1 - int(self.doubles_edge) - phase_BS)
        mirrored_BS = waveforms_BS[:, source_BS[0]] if one_length else waveforms_BS.gather(1, source_BS)
        return mirrored_BS.unfold(1, self.window_samples, self.hop_samples)  # (B, T, L)


def frame_mask(num_frames_B: torch.Tensor, max_frames: int, device: torch.device | str) -> torch.Tensor:
    """True for the frames of each utterance, False for its padding.

    Parameters
    ----------
    num_frames_B : (B,) int tensor
        Frames of each utterance.
    max_frames : int
        T.
    device : device
        Where the mask is made.

    Returns
    -------
    (B, T) bool tensor
    """
    return torch.arange(max_frames, device=device) < num_frames_B.to(device)[:, None]


def normalise(features_BTF: torch.Tensor, num_frames_B: torch.Tensor, kind: Normalisation) -> torch.Tensor:
    """Normalise the features of a padded batch and set those of the padding to zero.

    Parameters
    ----------
    features_BTF : (B, T, F) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor
        Frames of each utterance.
    kind : str
        ``none``; ``frame``: each frame gets mean 0 and standard deviation 1 over its features; ``utterance_mean``: each feature gets mean 0 over
        the utterance; ``utterance_mean_variance``: and standard deviation 1.

    Returns
    -------
    (B, T, F) float tensor
        Zero in the padding.
    """
    mask_BT1 = frame_mask(num_frames_B, features_BTF.shape[1], features_BTF.device)[..., None]
    features_BTF = features_BTF.masked_fill(~mask_BT1, 0.0)
    if kind == "none":
        return features_BTF
    if kind == "frame":
        deviation_BTF = features_BTF - features_BTF.mean(dim=-1, keepdim=True)
        return deviation_BTF / (deviation_BTF.square().mean(dim=-1, keepdim=True).sqrt() + NEARLY_ZERO)
    num_frames_B11 = num_frames_B.to(features_BTF.device)[:, None, None]
    mean_B1F = features_BTF.sum(dim=1, keepdim=True, dtype=torch.float64) / num_frames_B11  # float32 sums would differ with the padding's length
    deviation_BTF = ((features_BTF - mean_B1F) * mask_BT1).to(features_BTF.dtype)
    if kind == "utterance_mean":
        return deviation_BTF
    variance_B1F = deviation_BTF.square().sum(dim=1, keepdim=True, dtype=torch.float64) / num_frames_B11
    return (deviation_BTF / (variance_B1F.sqrt() + NEARLY_ZERO)).to(features_BTF.dtype)
