"""The raw waveform as features, with the scaling and pre-emphasis of the systems that use it.

Shapes as in utils/features/base.py.
"""

from typing import Literal

import torch
from torch import nn

from utils.features.base import Count, FrontEnd
from utils.features.normalisation import NormalisationOption, frame_mask

INSTANCE_EPSILON = 1e-4  # added to the variance (RawNet3)


class Waveform(FrontEnd):
    """One feature per sample.

    Options of the published systems::

        RawNet             {scale: int16, preemphasis: 0.97}
        RawNet2            {scale: peak}
        RawNet2_modified   {preemphasis: 0.97}
        RawNet3            {preemphasis: 0.97, preemphasis_edge: mirror, instance_norm: trained}
        MR-RawNet          {preemphasis: 0.97, preemphasis_edge: mirror, instance_norm: fixed}

    Parameters
    ----------
    sample_rate_hz : int
        Rate of the waveforms.
    scale : str
        ``unit``: samples stay in [-1, 1]; ``int16``: times 32768; ``peak``: divided by the largest
        magnitude of the utterance (silence stays silence).
    preemphasis : float
        Coefficient in [0, 1]: y[t] = x[t] - coefficient x[t - 1]; 0: none.
    preemphasis_edge : str
        Treatment of the first sample: ``drop``: it is removed, the features are one shorter;
        ``mirror``: x[1] precedes it, the length stays.
    instance_norm : str
        ``none``; ``trained``: mean 0 and variance 1 over the utterance, then a learned gain and
        offset; ``fixed``: these two parameters exist but get no gradient.
    normalisation : str or mapping
        As :func:`utils.features.normalisation.make_normalisation`; comes last.
    """

    def __init__(
        self,
        *,
        sample_rate_hz: int = 16000,
        scale: Literal["unit", "int16", "peak"] = "unit",
        preemphasis: float = 0.0,
        preemphasis_edge: Literal["drop", "mirror"] = "drop",
        instance_norm: Literal["none", "trained", "fixed"] = "none",
        normalisation: NormalisationOption = "none",
    ) -> None:
        if not 0 <= preemphasis <= 1:
            raise ValueError(f"preemphasis is {preemphasis}, expected 0 to 1")
        super().__init__(sample_rate_hz=sample_rate_hz, num_bins=1, normalisation=normalisation)
        self.scale = scale
        self.preemphasis = preemphasis
        self.preemphasis_edge = preemphasis_edge
        self.instance_norm = instance_norm
        self.dropped = int(preemphasis > 0 and preemphasis_edge == "drop")
        if instance_norm != "none":
            self.gain, self.offset = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))

    def num_frames(self, num_samples: Count) -> Count:
        """Number of features of an utterance with this many samples."""
        return num_samples - self.dropped

    def min_samples(self, num_frames: int) -> int:
        """The fewest samples that give this many features."""
        return num_frames + self.dropped

    def _features(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        longest, lengths_B1 = int(lengths_B.max()), lengths_B.to(waveforms_BS.device)[:, None]
        is_padding_BS = ~frame_mask(lengths_B, longest, waveforms_BS.device)
        x_BS = waveforms_BS[:, :longest].masked_fill(is_padding_BS, 0.0)
        if self.scale == "int16":
            x_BS = x_BS * 32768
        elif self.scale == "peak":
            peak_B1 = x_BS.abs().amax(dim=1, keepdim=True)
            x_BS = x_BS / peak_B1.clamp(min=torch.finfo(torch.float32).tiny)
        if self.preemphasis:
            before_BS = x_BS[:, :-1]
            if not self.dropped:
                second_B1 = x_BS.gather(1, (lengths_B1 - 1).clamp(max=1))
                before_BS = torch.cat([second_B1, before_BS], dim=1)
            x_BS = x_BS[:, self.dropped :] - self.preemphasis * before_BS
        if self.instance_norm != "none":
            x_BS = self._instance_normalised(x_BS, lengths_B1 - self.dropped)
        return x_BS[..., None]

    def _instance_normalised(self, x_BS, counts_B1):
        """Mean 0 and variance 1 over each utterance, then gain and offset."""
        mask_BS = frame_mask(counts_B1[:, 0], x_BS.shape[1], x_BS.device)
        # float32 sums would depend on the length of the padding
        mean_B1 = (x_BS * mask_BS).sum(dim=1, keepdim=True, dtype=torch.float64) / counts_B1
        deviation_BS = ((x_BS - mean_B1) * mask_BS).float()
        squares_B1 = deviation_BS.square().sum(dim=1, keepdim=True, dtype=torch.float64)
        variance_B1 = squares_B1 / counts_B1
        gain: torch.Tensor = self.gain
        offset: torch.Tensor = self.offset
        if self.instance_norm == "fixed":
            gain, offset = gain.detach(), offset.detach()
        return deviation_BS / (variance_B1 + INSTANCE_EPSILON).sqrt().float() * gain + offset
