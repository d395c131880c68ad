"""Filters over the waveform as first layer.  Shapes as in steps/models/layers/frames.py."""

from typing import Literal

import torch
from torch import nn

from steps.models.layers.frames import mean_over_frames, variance_over_frames
from utils.features.sinc import SincBank


class SincFeatures(nn.Module):
    """Modulus of a filter bank's output, by option with logarithm (of it + 1e-6) and normalisation.

    ``mean``: each channel gets mean 0 over the utterance; ``mean_std``: and standard deviation 1.
    The first layer of RawNet3 and MR-RawNet.
    """

    def __init__(
        self,
        bank: SincBank,
        *,
        logarithm: bool = True,
        normalisation: Literal["mean", "mean_std", "none"] = "mean",
    ) -> None:
        super().__init__()
        self.bank, self.logarithm, self.normalisation = bank, logarithm, normalisation

    def forward(
        self, waveforms_BS: torch.Tensor, num_samples_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features (B, C, T) and numbers of frames; in float32 under autocast.

        The waveforms are zero in the padding.
        """
        num_frames_B = None
        if num_samples_B is not None:
            num_frames_B = self.bank.num_frames(num_samples_B)
        with torch.autocast(waveforms_BS.device.type, enabled=False):
            x_BCT = self.bank(waveforms_BS).abs()
            if self.logarithm:
                x_BCT = (x_BCT + 1e-6).log()
            if self.normalisation == "none":
                return x_BCT, num_frames_B
            deviation_BCT = x_BCT - mean_over_frames(x_BCT, num_frames_B)
            if self.normalisation == "mean":
                return deviation_BCT, num_frames_B
            scale_BC1 = variance_over_frames(x_BCT, num_frames_B).sqrt().clamp(min=1e-3)
            return deviation_BCT / scale_BC1, num_frames_B
