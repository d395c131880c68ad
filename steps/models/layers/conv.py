"""Convolutions over frames, and the scaling of their channels.

Shapes and ``num_frames_B`` as in steps/models/layers/frames.py.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import mean_over_frames, mirrored_ends, without_padding

Padding = Literal["zeros", "reflect"]


def convolve(
    conv: nn.Conv1d, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
) -> torch.Tensor:
    """A convolution that sees zeros beyond the ends of each utterance, or the utterance mirrored.

    Which of them says its ``padding_mode``.  The padding of the result is undefined.
    """
    if conv.kernel_size == (1,):
        return conv(x_BCT)
    if conv.padding_mode == "zeros":
        return conv(without_padding(x_BCT, num_frames_B))
    if num_frames_B is None:
        return conv(x_BCT)
    width = conv.kernel_size[0] // 2 * conv.dilation[0]
    x_BCT = mirrored_ends(x_BCT, num_frames_B, width)
    return F.conv1d(x_BCT, conv.weight, conv.bias, conv.stride, 0, conv.dilation)


class ConvReluNorm(nn.Module):
    """Convolution with an odd kernel, ReLU, batch normalisation: T frames become T / stride.

    T / stride is rounded up.  ``padding`` is what lies beyond the ends of an utterance.  Raises
    ValueError for an even kernel.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"kernel is {kernel}, expected an odd number")
        self.conv = nn.Conv1d(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            padding_mode=padding,
        )
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """Features; their padding is undefined."""
        return self.norm(F.relu(convolve(self.conv, x_BCT, num_frames_B)))


class SqueezeExcitation(nn.Module):
    """One scale per channel: the sigmoid of two linear layers over the channels' means.

    Hu et al., "Squeeze-and-excitation networks", CVPR 2018.
    """

    def __init__(self, channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(channels, hidden_channels)
        self.increase = nn.Linear(hidden_channels, channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The scaled features; their padding is undefined."""
        mean_BC = mean_over_frames(x_BCT, num_frames_B)[..., 0]
        hidden_BH = F.relu(self.reduce(mean_BC))
        scale_BC = self.increase(hidden_BH).sigmoid()
        return x_BCT * scale_BC[..., None]
