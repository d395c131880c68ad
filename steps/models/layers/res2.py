"""Res2Net's convolutions over frames.

Shapes and ``num_frames_B`` as in steps/models/layers/frames.py.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.conv import Padding, convolve
from steps.models.layers.frames import AlphaFeatureMapScaling, max_pool


class Res2Convs(nn.Module):
    """Convolution, ReLU and norm of one group of channels after the other.

    Each group adds the previous group's result to its input; the last group stays as it is.
    Gao et al., "Res2Net: a new multi-scale backbone architecture", IEEE TPAMI 2021.
    ``padding`` is what lies beyond the ends of an utterance.  Raises ValueError if the groups are
    fewer than 2 or do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        *,
        kernel: int = 3,
        dilation: int = 1,
        padding: Padding = "zeros",
    ) -> None:
        super().__init__()
        if groups < 2 or channels % groups:
            raise ValueError(
                f"{channels} channels in {groups} groups, "
                "expected 2 groups or more that divide the channels"
            )
        width = channels // groups
        self.convs = nn.ModuleList(
            nn.Conv1d(
                width,
                width,
                kernel,
                dilation=dilation,
                padding=kernel // 2 * dilation,
                padding_mode=padding,
            )
            for _ in range(groups - 1)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(groups - 1))

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many channels and frames."""
        *groups, last_BCT = x_BCT.chunk(len(self.convs) + 1, dim=1)
        results: list[torch.Tensor] = []
        for conv, norm, group_BCT in zip(self.convs, self.norms, groups, strict=True):
            if results:
                group_BCT = group_BCT + results[-1]
            assert isinstance(conv, nn.Conv1d)
            group_BCT = convolve(conv, group_BCT, num_frames_B)
            results.append(norm(F.relu(group_BCT)))
        return torch.cat([*results, last_BCT], dim=1)


class Res2Block(nn.Module):
    """1x1 convolution, Res2Net's convolutions and another 1x1, around a shortcut.

    Max pooling of ``pool`` frames and alpha-FMS follow.  Where the channels change, a 1x1
    convolution lies on the shortcut.  The block of RawNet3 and MR-RawNet.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int,
        *,
        kernel: int = 3,
        dilation: int = 1,
        pool: int = 1,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = nn.Conv1d(in_channels, out_channels, 1)
        self.norm1 = nn.BatchNorm1d(out_channels)
        self.res2 = Res2Convs(out_channels, groups, kernel=kernel, dilation=dilation)
        self.conv3 = nn.Conv1d(out_channels, out_channels, 1)
        self.norm3 = nn.BatchNorm1d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Conv1d(in_channels, out_channels, 1, bias=False)
        self.scaling = AlphaFeatureMapScaling(out_channels)

    def forward(
        self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The block's output and its numbers of frames."""
        y_BCT = self.norm1(F.relu(self.conv1(x_BCT)))
        y_BCT = self.res2(y_BCT, num_frames_B)
        y_BCT = self.norm3(F.relu(self.conv3(y_BCT))) + self.shortcut(x_BCT)
        y_BCT, num_frames_B = max_pool(y_BCT, num_frames_B, self.pool)
        return self.scaling(y_BCT, num_frames_B), num_frames_B
