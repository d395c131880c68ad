"""Pooling over frames: many vectors of an utterance to one.

Shapes and ``num_frames_B`` as in steps/models/layers/frames.py.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import mean_over_frames, variance_over_frames
from utils.features.normalisation import frame_mask

LEAST_VARIANCE = 1e-30


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation of each channel, weighted by attention over frames: (B, 2 C).

    Two 1x1 convolutions compute the weights, with the modules ``between`` them.  With ``context``
    the first one sees each channel's mean and standard deviation beside the frame; with
    ``one_weight`` all channels of a frame share a weight.  The deviation of the context is the
    ``unbiased`` one, or that of the population.
    """

    def __init__(
        self,
        channels: int,
        hidden_channels: int,
        *,
        between: Sequence[nn.Module],
        context: bool,
        one_weight: bool = False,
        least_variance: float = 1e-4,
        largest_variance: float | None = 1e4,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.context, self.variance_limits = context, (least_variance, largest_variance)
        in_channels, num_weights = channels, channels
        if context:
            in_channels = 3 * channels
        if one_weight:
            num_weights = 1
        self.hidden = nn.Conv1d(in_channels, hidden_channels, 1)
        self.between = nn.Sequential(*between)
        self.weights = nn.Conv1d(hidden_channels, num_weights, 1)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The statistics, means first; in float32 under autocast."""
        hidden_BHT = self._hidden(x_BCT, num_frames_B)
        weights_BCT = self.weights(self.between(hidden_BHT)).float()
        if num_frames_B is not None:
            mask_BT = frame_mask(num_frames_B, x_BCT.shape[2], x_BCT.device)
            weights_BCT = weights_BCT.masked_fill(~mask_BT[:, None], -torch.inf)
        with torch.autocast(x_BCT.device.type, enabled=False):
            weights_BCT, x_BCT = weights_BCT.softmax(dim=2), x_BCT.float()
            mean_BC = (weights_BCT * x_BCT).sum(dim=2)
            squares_BCT = (x_BCT - mean_BC[..., None]).square()
            variance_BC = (weights_BCT * squares_BCT).sum(dim=2)
            deviation_BC = variance_BC.clamp(*self.variance_limits).sqrt()
            return torch.cat([mean_BC, deviation_BC], dim=1)

    def _hidden(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The first convolution.

        Its context is the same for all frames, and is computed once per utterance.
        """
        if not self.context:
            return self.hidden(x_BCT)
        variance_BC1 = variance_over_frames(x_BCT, num_frames_B, unbiased=self.unbiased)
        deviation_BC1 = variance_BC1.clamp(*self.variance_limits).sqrt()
        mean_BC1 = mean_over_frames(x_BCT, num_frames_B)
        context_BC = torch.cat([mean_BC1, deviation_BC1], dim=1)[..., 0]
        sizes = [x_BCT.shape[1], context_BC.shape[1]]
        frame_weight_HC1, context_weight_HC1 = self.hidden.weight.split(sizes, dim=1)
        frames_BHT = F.conv1d(x_BCT, frame_weight_HC1, self.hidden.bias)
        return frames_BHT + F.linear(context_BC, context_weight_HC1[..., 0])[..., None]


def statistics_over_frames(
    x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None, *, variance_offset: float
) -> torch.Tensor:
    """Mean and standard deviation of each channel, (B, 2 C), means first, of 2 frames or more.

    ``variance_offset`` is added to the variances.  In float32 under autocast.
    """
    with torch.autocast(x_BCT.device.type, enabled=False):
        x_BCT = x_BCT.to(torch.promote_types(x_BCT.dtype, torch.float32))
        variance_BC1 = variance_over_frames(x_BCT, num_frames_B) + variance_offset
        # of a constant channel the root of 0 has no gradient
        deviation_BC1 = variance_BC1.clamp(min=LEAST_VARIANCE).sqrt()
        mean_BC1 = mean_over_frames(x_BCT, num_frames_B)
        return torch.cat([mean_BC1, deviation_BC1], dim=1)[..., 0]
