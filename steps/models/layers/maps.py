"""Layers over maps of features and frames.

Everywhere ``mask_BT`` tells the real frames of what comes out, or is None where all are real.
Shapes: ``B`` batch, ``C`` channels, ``F`` features, ``T`` frames.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with batch normalisation, around a shortcut; ReLU between them and at the end.

    The input is zero after an utterance's end, and so is the output.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the block; a 1x1 convolution with batch normalisation lies on the shortcut where the channels or the size change.
    stride : int
        Of the first convolution and the shortcut, in features and frames: T frames become T / stride, rounded up.
    activation : callable
        In ReLU's place; leaves zeros zero.

    References
    ----------
    He et al., "Deep residual learning for image recognition", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        activation: Callable[[torch.Tensor], torch.Tensor] = F.relu,
    ) -> None:
        super().__init__()
        self.stride, self.activation = stride, activation
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        project = stride > 1 or in_channels != out_channels
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )
            if project
            else nn.Identity()
        )

    def forward(self, x_BCFT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """The block's output."""
        y_BCFT = masked(self.activation(self.norm1(self.conv1(x_BCFT))), mask_BT)
        x_BCFT = strided(x_BCFT, self.stride)
        return masked(
            self.activation(self.norm2(self.conv2(y_BCFT)) + self.shortcut(x_BCFT)), mask_BT
        )


def strided(x_BCFT: torch.Tensor, stride: int) -> torch.Tensor:
    """Every ``stride``-th feature and frame: what a 1x1 convolution with that stride sees.

    oneDNN's own such convolution overruns its memory for channels-last maps of fewer than 16 channels (torch 2.13).

    Parameters
    ----------
    x_BCFT : (B, C, F, T) float tensor
        A map.
    stride : int
        1: the map as it is.
    """
    return (
        x_BCFT
        if stride == 1
        else x_BCFT[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last)
    )


def to_channels_last(network: nn.Module) -> None:
    """Lay the weights of 2-d convolutions out channel by channel, where they are.

    Parameters
    ----------
    network : module
        Several times as fast so as in torch's own layout, on CPUs in bfloat16 above all.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # undeclared


def masked(x_BCFT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
    """Zeros after the end of each utterance: what a convolution must see there.

    Parameters
    ----------
    x_BCFT : (B, C, F, T) float tensor
        Anything finite may stand in the padding.
    mask_BT : (B, T) bool tensor or None
        True for real frames; None: all are.
    """
    return x_BCFT if mask_BT is None else x_BCFT * mask_BT[:, None, None]
