"""RawNet: residual blocks over the waveform and a GRU; and the network that it is pre-trained as.

The full size, for 59,049 samples after pre-emphasis; leaky ReLU of 0.3 everywhere.  Each
convolution has a bias and is followed by a norm.

=========  =================================================================  ========  ======
part       layers                                                             channels  frames
=========  =================================================================  ========  ======
frames     convolution 3, stride 3, leaky ReLU                                128       19,683
           2 blocks: convolution 3, leaky ReLU, convolution 3; shortcut;      128       2,187
           leaky ReLU; pooling 3
           4 blocks; a 1x1 convolution on the shortcut of the first           256       27
gru        GRU with hard sigmoids, reset before the product; last state       1024
embedding  linear, norm, leaky ReLU                                           128
=========  =================================================================  ========  ======

Pre-training, instead of the GRU: one more block of 256 (9 frames), a 1x1 convolution of 256,
dropout of 0.5, the mean over frames.

Source: Jung et al., "RawNet: advanced end-to-end deep neural network using raw waveforms for
text-independent speaker verification", Interspeech 2019; https://github.com/Jungjee/RawNet,
python/RawNet1/Keras.

Deviations: the weights of the first norm are transferred too (the published code loads by name, and
this norm had none).  First weights of convolutions are normal, not truncated normal.  Padded
batches are masked: each utterance is computed as if alone.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import (
    check_sizes,
    divide_frames,
    max_pool,
    mean_over_frames,
    real_frames,
    without_padding,
)
from steps.models.layers.rawnet import LEAK, channel_pairs, through_blocks
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end

FRONT_END = {"name": "waveform", "scale": "int16", "preemphasis": 0.97}


class RawNet(EmbeddingNetwork):
    """RawNet; the defaults are the published network, 5,779,840 parameters.

    Parameters
    ----------
    conv_channels : int
        Channels of the first convolution.
    block_channels : list of int
        Channels of each block.
    gru_states : int
        Size of the GRU's state.
    embedding_dim : int
        Size of the embedding.
    recurrent_dropout : float
        Share of the state, in [0, 1), that training hides from the gates; the same in all frames.
    bn_momentum : float
        Share of a batch in the running statistics (Keras' momentum of 0.99 is 0.01).
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform as 16-bit
        integers, with pre-emphasis of 0.97.
    """

    def __init__(
        self,
        *,
        conv_channels: int = 128,
        block_channels: tuple[int, ...] = (128, 128, 256, 256, 256, 256),
        gru_states: int = 1024,
        embedding_dim: int = 128,
        recurrent_dropout: float = 0.3,
        bn_momentum: float = 0.01,
        front_end: dict | None = None,
    ) -> None:
        check_sizes(
            conv_channels=conv_channels,
            block_channels=block_channels,
            gru_states=gru_states,
            embedding_dim=embedding_dim,
        )
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=3 ** (1 + len(block_channels)),
        )
        self.frames = ConvBlocks(conv_channels, block_channels, bn_momentum=bn_momentum)
        self.gru = HardSigmoidGru(
            block_channels[-1], gru_states, recurrent_dropout=recurrent_dropout
        )
        self.embedding = nn.Linear(gru_states, embedding_dim)
        self.norm = _norm(embedding_dim, bn_momentum)
        self.apply(_initialise)
        self.gru.initialise()

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT, num_real_B = self.frames(features_BTF.transpose(1, 2), num_real_B)
        state_BH = self.gru(x_BCT.transpose(1, 2), num_real_B)
        embedding_BE = self.norm(self.embedding(state_BH).float())
        return F.leaky_relu(embedding_BE, LEAK)


class RawNetPretraining(EmbeddingNetwork):
    """The network that RawNet is pre-trained as; the published network has 2,207,360 parameters.

    Its ``frames``, the only name that it shares with RawNet, is the part that RawNet takes over.

    Parameters
    ----------
    conv_channels : int
        Channels of the first convolution.
    block_channels : list of int
        Channels of each block of RawNet.
    last_block_channels : int
        Channels of the block that stands in place of the GRU.
    last_conv_channels : int
        Channels of the 1x1 convolution after it.
    embedding_dim : int
        Size of the embedding.
    dropout : float
        Share of the last features dropped in training, in [0, 1).
    bn_momentum : float
        Share of a batch in the running statistics.
    front_end : dict
        As :class:`RawNet`.
    """

    def __init__(
        self,
        *,
        conv_channels: int = 128,
        block_channels: tuple[int, ...] = (128, 128, 256, 256, 256, 256),
        last_block_channels: int = 256,
        last_conv_channels: int = 256,
        embedding_dim: int = 128,
        dropout: float = 0.5,
        bn_momentum: float = 0.01,
        front_end: dict | None = None,
    ) -> None:
        check_sizes(
            conv_channels=conv_channels,
            block_channels=block_channels,
            last_block_channels=last_block_channels,
            last_conv_channels=last_conv_channels,
            embedding_dim=embedding_dim,
        )
        _check_dropout(dropout=dropout)
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=3 ** (2 + len(block_channels)),
        )
        self.frames = ConvBlocks(conv_channels, block_channels, bn_momentum=bn_momentum)
        self.last_block = PostActivationBlock(
            block_channels[-1], last_block_channels, bn_momentum=bn_momentum
        )
        self.last_conv = nn.Conv1d(last_block_channels, last_conv_channels, 1)
        self.last_norm = _norm(last_conv_channels, bn_momentum)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(last_conv_channels, embedding_dim)
        self.linear_norm = _norm(embedding_dim, bn_momentum)
        self.apply(_initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT, num_real_B = self.frames(features_BTF.transpose(1, 2), num_real_B)
        x_BCT, num_real_B = self.last_block(x_BCT, num_real_B)
        x_BCT = self.last_norm(self.last_conv(x_BCT))
        x_BCT = self.dropout(F.leaky_relu(x_BCT, LEAK))
        mean_BC = mean_over_frames(x_BCT, num_real_B)[..., 0]
        embedding_BE = self.linear_norm(self.linear(mean_BC).float())
        return F.leaky_relu(embedding_BE, LEAK)


class ConvBlocks(nn.Module):
    """The convolutional part, which both networks have."""

    def __init__(
        self, conv_channels: int, block_channels: tuple[int, ...], *, bn_momentum: float
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, conv_channels, 3, stride=3)
        self.norm = _norm(conv_channels, bn_momentum)
        self.blocks = nn.ModuleList()
        for before, after in channel_pairs(conv_channels, block_channels):
            self.blocks.append(PostActivationBlock(before, after, bn_momentum=bn_momentum))

    def forward(
        self, x_B1T: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features and numbers of frames, from samples and their numbers."""
        x_BCT = F.leaky_relu(self.norm(self.conv(x_B1T)), LEAK)
        return through_blocks(self.blocks, x_BCT, divide_frames(num_frames_B, 3))


class PostActivationBlock(nn.Module):
    """Two convolutions of 3, each with its norm, around a shortcut; leaky ReLU, max pooling of 3.

    Where the channels change, a 1x1 convolution with norm lies on the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, *, bn_momentum: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(in_channels, out_channels, 3, padding=1)
        self.norm1 = _norm(out_channels, bn_momentum)
        self.conv2 = nn.Conv1d(out_channels, out_channels, 3, padding=1)
        self.norm2 = _norm(out_channels, bn_momentum)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv1d(in_channels, out_channels, 1), _norm(out_channels, bn_momentum)
            )

    def forward(
        self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The block's output and its numbers of frames."""
        y_BCT = self.conv1(without_padding(x_BCT, num_frames_B))
        y_BCT = F.leaky_relu(self.norm1(y_BCT), LEAK)
        y_BCT = self.norm2(self.conv2(without_padding(y_BCT, num_frames_B)))
        y_BCT = F.leaky_relu(y_BCT + self.shortcut(x_BCT), LEAK)
        return max_pool(y_BCT, num_frames_B, 3)


class HardSigmoidGru(nn.Module):
    """A GRU as in Keras until 2.3; gives the state after each utterance's last frame, (B, H).

    Gates are clip(0.2 x + 0.5, 0, 1), and the reset gate acts before the recurrent product.  Rows
    of the weights are those of the update gate, the reset gate and the candidate.  Each of the
    three drops its own ``recurrent_dropout`` of the state in training, the same in all frames.
    """

    def __init__(self, channels: int, states: int, *, recurrent_dropout: float = 0.0) -> None:
        super().__init__()
        _check_dropout(recurrent_dropout=recurrent_dropout)
        self.states, self.recurrent_dropout = states, recurrent_dropout
        self.input = nn.Linear(channels, 3 * states)
        self.recurrent = nn.Linear(states, 3 * states, bias=False)

    def initialise(self) -> None:
        """First weights as published."""
        nn.init.xavier_uniform_(self.input.weight)
        nn.init.orthogonal_(self.recurrent.weight)

    def forward(self, x_BTC: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The last states, in float32."""
        state_BH = x_BTC.new_zeros(len(x_BTC), self.states, dtype=torch.float32)
        kept_for_update, kept_for_reset, kept_for_candidate = self._kept(state_BH)
        update_HH, reset_HH, candidate_HH = self.recurrent.weight.chunk(3)
        inputs_BTG = self.input(x_BTC).float()
        for frame, inputs_BG in enumerate(inputs_BTG.unbind(dim=1)):
            to_update_BH, to_reset_BH, to_candidate_BH = inputs_BG.chunk(3, dim=1)
            recurrent_BH = F.linear(state_BH * kept_for_update, update_HH)
            update_BH = hard_sigmoid(to_update_BH + recurrent_BH)
            recurrent_BH = F.linear(state_BH * kept_for_reset, reset_HH)
            reset_BH = hard_sigmoid(to_reset_BH + recurrent_BH)
            recurrent_BH = F.linear(reset_BH * state_BH * kept_for_candidate, candidate_HH)
            candidate_BH = torch.tanh(to_candidate_BH + recurrent_BH)
            next_BH = update_BH * state_BH + (1 - update_BH) * candidate_BH
            if num_frames_B is not None:
                is_real_B1 = (frame < num_frames_B)[:, None]
                next_BH = torch.where(is_real_B1, next_BH, state_BH)
            state_BH = next_BH
        return state_BH

    def _kept(self, state_BH):
        """Factors of the state for update, reset and candidate: dropout in training."""
        if not self.training or self.recurrent_dropout == 0:
            return 1.0, 1.0, 1.0
        return F.dropout(state_BH.new_ones(3, *state_BH.shape), self.recurrent_dropout)


def hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Keras' line through (0, 1/2), clipped to [0, 1]: its slope is 1/5, not torch's 1/6."""
    return (0.2 * x + 0.5).clamp(0, 1)


def _norm(channels, bn_momentum):
    return nn.BatchNorm1d(channels, eps=1e-3, momentum=bn_momentum)  # Keras' eps


def _initialise(module):
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check_dropout(**dropout):
    for name, value in dropout.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}, expected from 0 to below 1")
