"""Res2Net's convolutions over frames.  Shapes and ``num_frames_B`` as in steps/models/layers/frames.py."""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import AlphaFeatureMapScaling, max_pool, without_padding


class Res2Convs(nn.Module):
    """Convolution, ReLU and norm of one group of channels after the other, each with the result before it added; the last group stays as it is.

    Parameters
    ----------
    channels, groups : int
        Channels, a multiple of the groups.
    kernel, dilation : int
        Of the convolutions, which keep the number of frames.

    References
    ----------
    Gao et al., "Res2Net: a new multi-scale backbone architecture", IEEE TPAMI 2021.
    """

    def __init__(self, channels: int, groups: int, *, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        if groups < 2 or channels % groups:
            raise ValueError(
                f"{channels} channels in {groups} groups, expected 2 groups or more that divide the channels"
            )
        width = channels // groups
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=dilation, padding=kernel // 2 * dilation)
            for _ in range(groups - 1)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(groups - 1))

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many channels and frames."""
        *groups, last_BCT = x_BCT.chunk(len(self.convs) + 1, dim=1)
        results: list[torch.Tensor] = []
        for conv, norm, group_BCT in zip(self.convs, self.norms, groups, strict=True):
            seen_BCT = group_BCT + results[-1] if results else group_BCT
            results.append(norm(F.relu(conv(without_padding(seen_BCT, num_frames_B)))))
        return torch.cat([*results, last_BCT], dim=1)


class Res2Block(nn.Module):
    """1x1 convolution, Res2Net's convolutions and another 1x1 around a shortcut, then max pooling by option and alpha-FMS: RawNet3's, MR-RawNet's.

    Parameters
    ----------
    in_channels, out_channels, groups : int
        Of the block; a 1x1 convolution without bias lies on the shortcut where the channels change.
    kernel, dilation : int
        Of the inner convolutions.
    pool : int
        Frames of which max pooling keeps one; 1: none.
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
        self.shortcut = (
            nn.Conv1d(in_channels, out_channels, 1, bias=False)
            if in_channels != out_channels
            else nn.Identity()
        )
        self.scaling = AlphaFeatureMapScaling(out_channels)

    def forward(
        self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The block's output and its numbers of frames."""
        y_BCT = self.res2(self.norm1(F.relu(self.conv1(x_BCT))), num_frames_B)
        y_BCT = self.norm3(F.relu(self.conv3(y_BCT))) + self.shortcut(x_BCT)
        y_BCT, num_frames_B = max_pool(y_BCT, num_frames_B, self.pool)
        return self.scaling(y_BCT, num_frames_B), num_frames_B
