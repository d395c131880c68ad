"""What the networks of the RawNet family share.  Shapes as in steps/models/layers/frames.py; ``H`` states of a GRU, ``E`` embedding."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import max_pool, without_padding

LEAK = 0.3  # of every leaky ReLU of the family but one (Keras' default)


class PreActivationBlock(nn.Module):
    """Norm, leaky ReLU and convolution, twice, around a shortcut; then max pooling and a scaling of the channels, both by option.

    The channels may change: then a 1x1 convolution lies on the shortcut.

    Parameters
    ----------
    in_channels, out_channels : int
        Of the block.
    first_norm : str
        ``used``; ``none``: the first convolution sees the input as it is; ``unused``: the same, but the norm is there, as in files of weights.
    activated_shortcut : bool
        Whether the 1x1 convolution on the shortcut sees the input after the first norm and leaky ReLU.
    bias : bool
        Of the convolutions.
    pool : int
        Frames of which max pooling keeps one; 1: none.
    scaling : module or None
        Called with features and numbers of frames, comes last.
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
        self.shortcut = (
            nn.Conv1d(in_channels, out_channels, 1, bias=bias)
            if in_channels != out_channels
            else None
        )
        self.scaling = scaling

    def forward(
        self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The block's output and its numbers of frames."""
        y_BCT = F.leaky_relu(self.norm1(x_BCT), LEAK) if self.first_norm == "used" else x_BCT
        if self.shortcut is not None:
            x_BCT = self.shortcut(y_BCT if self.activated_shortcut else x_BCT)
        y_BCT = F.leaky_relu(self.norm2(self.conv1(without_padding(y_BCT, num_frames_B))), LEAK)
        y_BCT = self.conv2(without_padding(y_BCT, num_frames_B)) + x_BCT
        y_BCT, num_frames_B = max_pool(y_BCT, num_frames_B, self.pool)
        return (y_BCT if self.scaling is None else self.scaling(y_BCT, num_frames_B)), num_frames_B


class GruEmbedding(nn.Module):
    """Norm, leaky ReLU, GRU, and a linear layer over its state after the last frame: (B, E).

    Parameters
    ----------
    channels, states, embedding_dim : int
        C, H and E.
    """

    def __init__(self, channels: int, states: int, embedding_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.gru = nn.GRU(channels, states, batch_first=True)
        self.linear = nn.Linear(states, embedding_dim)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """Embeddings in float32."""
        states_BTH, _ = self.gru(F.leaky_relu(self.norm(x_BCT), LEAK).transpose(1, 2))
        return self.linear(last_frame(states_BTH, num_frames_B)).float()


def last_frame(x_BTC: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """The last frame of each utterance, (B, C).

    Parameters
    ----------
    x_BTC : (B, T, C) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance; None: T.
    """
    return (
        x_BTC[:, -1]
        if num_frames_B is None
        else x_BTC[torch.arange(len(x_BTC), device=x_BTC.device), num_frames_B - 1]
    )


def through_blocks(
    blocks: nn.ModuleList, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Features through one block after the other.

    Parameters
    ----------
    blocks : modules
        Each takes and gives features and numbers of frames.
    x_BCT : (B, C, T) float tensor
        What the first block sees.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance.
    """
    for block in blocks:
        x_BCT, num_frames_B = block(x_BCT, num_frames_B)
    return x_BCT, num_frames_B


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """First weights of RawNet's PyTorch port and RawNet2, for ``network.apply``.

    Parameters
    ----------
    module : module
        A convolution or a linear layer is filled, any other left alone.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        module.bias.fill_(1e-4)
    elif isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
