"""What the networks of the RawNet family share.

Shapes as in steps/models/layers/frames.py; ``H`` states of a GRU, ``E`` embedding.
"""

import itertools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import max_pool, without_padding

LEAK = 0.3  # of every leaky ReLU of the family but one (Keras' default)


class PreActivationBlock(nn.Module):
    """Twice norm, leaky ReLU, convolution, around a shortcut; then max pooling and scaling.

    Where the channels change, a 1x1 convolution lies on the shortcut; with ``activated_shortcut``
    it sees the input after the first norm and leaky ReLU.  A ``first_norm`` that is ``none`` is
    left out, and one that is ``unused`` is left out of the computation but not of the weights.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        first_norm: Literal["used", "none", "unused"] = "used",
        activated_shortcut: bool = False,
        bias: bool = True,
        pool: int = 3,
        scaling: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.pool, self.first_norm, self.activated_shortcut = pool, first_norm, activated_shortcut
        if first_norm != "none":
            self.norm1 = nn.BatchNorm1d(in_channels).requires_grad_(first_norm == "used")
        self.conv1 = nn.Conv1d(in_channels, out_channels, 3, padding=1, bias=bias)
        self.norm2 = nn.BatchNorm1d(out_channels)
        self.conv2 = nn.Conv1d(out_channels, out_channels, 3, padding=1, bias=bias)
        self.shortcut: nn.Module | None = None
        if in_channels != out_channels:
            self.shortcut = nn.Conv1d(in_channels, out_channels, 1, bias=bias)
        self.scaling = scaling

    def forward(
        self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The block's output and its numbers of frames."""
        y_BCT = x_BCT
        if self.first_norm == "used":
            y_BCT = F.leaky_relu(self.norm1(x_BCT), LEAK)
        if self.shortcut is not None:
            if self.activated_shortcut:
                x_BCT = y_BCT
            x_BCT = self.shortcut(x_BCT)
        y_BCT = self.conv1(without_padding(y_BCT, num_frames_B))
        y_BCT = F.leaky_relu(self.norm2(y_BCT), LEAK)
        y_BCT = self.conv2(without_padding(y_BCT, num_frames_B)) + x_BCT
        y_BCT, num_frames_B = max_pool(y_BCT, num_frames_B, self.pool)
        if self.scaling is not None:
            y_BCT = self.scaling(y_BCT, num_frames_B)
        return y_BCT, num_frames_B


class GruEmbedding(nn.Module):
    """Norm, leaky ReLU, GRU, and a linear layer over its state after the last frame: (B, E)."""

    def __init__(self, channels: int, states: int, embedding_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.gru = nn.GRU(channels, states, batch_first=True)
        self.linear = nn.Linear(states, embedding_dim)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """Embeddings in float32."""
        x_BCT = F.leaky_relu(self.norm(x_BCT), LEAK)
        states_BTH, _ = self.gru(x_BCT.transpose(1, 2))
        return self.linear(last_frame(states_BTH, num_frames_B)).float()


def last_frame(x_BTC: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """The last real frame of each utterance, (B, C)."""
    if num_frames_B is None:
        return x_BTC[:, -1]
    return x_BTC[torch.arange(len(x_BTC), device=x_BTC.device), num_frames_B - 1]


def through_blocks(
    blocks: nn.ModuleList, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Features and numbers of frames, taken through one block after the other."""
    for block in blocks:
        x_BCT, num_frames_B = block(x_BCT, num_frames_B)
    return x_BCT, num_frames_B


def channel_pairs(first: int, others: tuple[int, ...]) -> list[tuple[int, int]]:
    """Channels before and after each block."""
    return list(itertools.pairwise([first, *others]))


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """First weights of RawNet's PyTorch port and RawNet2, for ``network.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        module.bias.fill_(1e-4)
    elif isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
