"""Layers over maps of features and frames.

Everywhere ``mask_BT`` is True for the real frames of the layer's output, or None if all are real.
Shapes: ``B`` batch, ``C`` channels, ``F`` features, ``T`` frames.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from utils.features.normalisation import frame_mask


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with batch normalisation, around a shortcut.

    The activation (ReLU, or another that keeps 0) follows each of them.  T frames and F features
    become T / frame_stride and F / stride, rounded up; without a ``frame_stride`` it is the stride.
    The padding is zero in the input and the output.
    He et al., "Deep residual learning for image recognition", CVPR 2016.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        frame_stride: int | None = None,
        activation: Callable[[torch.Tensor], torch.Tensor] = F.relu,
    ) -> None:
        super().__init__()
        if frame_stride is None:
            frame_stride = stride
        self.stride, self.frame_stride, self.activation = stride, frame_stride, activation
        strides = (stride, frame_stride)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=strides, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x_BCFT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """The block's output."""
        y_BCFT = self.activation(self.norm1(self.conv1(x_BCFT)))
        y_BCFT = masked(y_BCFT, mask_BT)
        y_BCFT = self.norm2(self.conv2(y_BCFT))
        x_BCFT = self.shortcut(strided(x_BCFT, self.stride, self.frame_stride))
        return masked(self.activation(y_BCFT + x_BCFT), mask_BT)


def strided(x_BCFT: torch.Tensor, stride: int, frame_stride: int) -> torch.Tensor:
    """The features and frames that a 1x1 convolution with these strides sees.

    oneDNN's own convolution of that kind writes outside its memory for channels-last maps of fewer
    than 16 channels (torch 2.13).
    """
    if stride == frame_stride == 1:
        return x_BCFT
    return x_BCFT[:, :, ::stride, ::frame_stride].contiguous(memory_format=torch.channels_last)


def to_channels_last(network: nn.Module) -> None:
    """Lay the weights of 2-d convolutions out as channels-last, in place.

    Several times as fast as torch's default layout, most of all in bfloat16 on CPUs.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # undeclared


def real_mask(num_frames_B: torch.Tensor | None, max_frames: int) -> torch.Tensor | None:
    """Mask (B, T) of the real frames, None if all are; ``num_frames_B`` is on the map's device."""
    if num_frames_B is None:
        return None
    return frame_mask(num_frames_B, max_frames, num_frames_B.device)


def masked(x_BCFT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
    """The map with zeros in the padding, which a convolution must see there."""
    if mask_BT is None:
        return x_BCFT
    return x_BCFT * mask_BT[:, None, None]


def divide_rounding_up(size: int, stride: int) -> int:
    """Features that a stride leaves of ``size``."""
    return -(-size // stride)
