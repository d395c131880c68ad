"""Pooling over frames: many vectors of an utterance to one.  Shapes and ``num_frames_B`` as in steps/models/layers/frames.py."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import mean_over_frames, variance_over_frames
from utils.features.normalisation import frame_mask


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation of each channel over frames, weighted by attention: (B, 2 C).

    Parameters
    ----------
    channels, hidden_channels : int
        C; channels between the two 1x1 convolutions that compute the weights.
    between : sequence of modules
        What stands between these convolutions.
    context : bool
        Whether the first sees each channel's mean and standard deviation beside the frame itself.
    one_weight : bool
        Whether all channels of a frame share one weight.
    least_variance, largest_variance : float, float or None
        Limits of variances.
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
    ) -> None:
        super().__init__()
        self.context, self.variance_limits = context, (least_variance, largest_variance)
        self.hidden = nn.Conv1d(3 * channels if context else channels, hidden_channels, 1)
        self.between = nn.Sequential(*between)
        self.weights = nn.Conv1d(hidden_channels, 1 if one_weight else channels, 1)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The statistics, means first; in float32 under autocast."""
        weights_BCT = self.weights(self.between(self._hidden(x_BCT, num_frames_B))).float()
        if num_frames_B is not None:
            weights_BCT = weights_BCT.masked_fill(
                ~frame_mask(num_frames_B, x_BCT.shape[2], x_BCT.device)[:, None], -torch.inf
            )
        with torch.autocast(x_BCT.device.type, enabled=False):  # differences of squares
            weights_BCT, x_BCT = weights_BCT.softmax(dim=2), x_BCT.float()
            mean_BC = (weights_BCT * x_BCT).sum(dim=2)
            variance_BC = (weights_BCT * x_BCT.square()).sum(dim=2) - mean_BC.square()
            return torch.cat([mean_BC, variance_BC.clamp(*self.variance_limits).sqrt()], dim=1)

    def _hidden(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The first convolution.  What it sees beside the frame is the same in all frames: computed once an utterance, not laid beside each frame."""
        if not self.context:
            return self.hidden(x_BCT)
        deviation_BC1 = (
            variance_over_frames(x_BCT, num_frames_B).clamp(*self.variance_limits).sqrt()
        )
        context_BC = torch.cat([mean_over_frames(x_BCT, num_frames_B), deviation_BC1], dim=1)[
            ..., 0
        ]
        of_frame_HC1, of_context_HC1 = self.hidden.weight.split(
            [x_BCT.shape[1], context_BC.shape[1]], dim=1
        )
        return (
            F.conv1d(x_BCT, of_frame_HC1, self.hidden.bias)
            + F.linear(context_BC, of_context_HC1[..., 0])[..., None]
        )


def statistics_over_frames(
    x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None, *, variance_offset: float
) -> torch.Tensor:
    """Mean and standard deviation of each channel over frames, (B, 2 C), means first; in float32 under autocast.

    Parameters
    ----------
    x_BCT : (B, C, T) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance, 2 or more.
    variance_offset : float
        Added to the variances.
    """
    with torch.autocast(x_BCT.device.type, enabled=False):
        x_BCT = x_BCT.float()
        deviation_BC1 = (variance_over_frames(x_BCT, num_frames_B) + variance_offset).sqrt()
        return torch.cat([mean_over_frames(x_BCT, num_frames_B), deviation_BC1], dim=1)[..., 0]
