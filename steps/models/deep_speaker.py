"""Deep Speaker: a residual network, or a network of GRUs, over filterbanks.

The residual network of the published code; features x frames x channels for 32 frames.  A stage is
a 5x5 convolution of stride 2, batch normalisation and ReLU, then blocks of two 3x3 convolutions,
each with batch normalisation, around the identity.  Convolutions have no bias; every ReLU is
clipped at 20.

=========  ===================================  ========  =========
stage      layers                               channels  output
=========  ===================================  ========  =========
stage 1    5x5 stride 2, 1 block                64        32x16x64
stage 2    5x5 stride 2, 1 block                128       16x8x128
stage 3    5x5 stride 2, 1 block                256       8x4x256
stage 4    5x5 stride 2, 1 block                512       4x2x512
pooling    mean over frames                               2048
embedding  linear, scaled to length 10                    512
=========  ===================================  ========  =========

The paper's residual network has 3 blocks per stage: 24,165,568 parameters.  (Its own table
suggests batch normalisation per channel and feature, which would give 24,266,816.)

The network of GRUs:

=========  ===================================  ========  =========
stage      layers                               channels  output
=========  ===================================  ========  =========
conv       5x5 stride 2, as above               64        32x16x64
gru        3 layers, 1,024 states               1024      16x1024
pooling    mean over frames                               1024
embedding  linear, scaled to length 10                    512
=========  ===================================  ========  =========

Sources: Li et al., "Deep Speaker: an end-to-end neural speaker embedding system", 2017, and
github.com/qqueing/DeepSpeaker-pytorch.  The mean is over frames; the remaining features stay apart:
512 channels x 4.  Until October 2018 the published code had features in rows and frames in columns,
as here (it pools to [4, 1]).  Its latest version has frames in rows (it pools to (1, None)): the
kernels of its weight files have to be transposed.  The classifier is part of the loss, without
bias.

Deviations: any number of frames from 32 on (published: 32).  Padded batches are masked: each
utterance is computed as if alone.  The front end subtracts the mean of its input, which in training
is the crop.  torch's GRUs have two biases per gate: 22,565,056 parameters (22,555,840 with one; the
paper says 23 million).

Shapes: ``B`` batch, ``C`` channels, ``F`` features, ``T`` frames, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, mean_over_frames, real_frames, to_length
from steps.models.layers.maps import (
    BasicBlock,
    divide_rounding_up,
    masked,
    real_mask,
    to_channels_last,
)
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {"name": "psf_fbank", "normalisation": "utterance_mean"}
LENGTH, NORM_OFFSET = 10.0, 1e-10  # of embeddings; added to the sum of squares
MIN_FRAMES = 32  # of the published training


class DeepSpeaker(EmbeddingNetwork):
    """Deep Speaker's residual network; the defaults are the published 11,624,128 parameters.

    Parameters
    ----------
    channels : list of int
        Channels of each stage; each stage halves features and frames.
    blocks : list of int
        Blocks of each stage; 3 in the paper.
    embedding_dim : int
        Size of the embedding.
    front_end : dict
        A front end's name and options; None: 64 filters of python_speech_features in decibels,
        less their mean over the utterance.
    spec_augment : dict
        Options of SpecAugment; None (as published): none.
    """

    def __init__(
        self,
        *,
        channels: tuple[int, ...] = (64, 128, 256, 512),
        blocks: tuple[int, ...] = (1, 1, 1, 1),
        embedding_dim: int = 512,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(channels=channels, blocks=blocks, embedding_dim=embedding_dim)
        if len(channels) != len(blocks):
            raise ValueError(
                f"channels {list(channels)} and blocks {list(blocks)} differ in length, "
                "expected one value per stage in each"
            )
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=MIN_FRAMES,
        )
        self.stages = nn.ModuleList()
        in_channels, height = 1, self.front_end.num_bins
        for out_channels, count in zip(channels, blocks, strict=True):
            self.stages.append(Stage(in_channels, out_channels, count))
            in_channels, height = out_channels, divide_rounding_up(height, 2)
        self.embedding = nn.Linear(in_channels * height, embedding_dim)
        self.apply(_initialise)
        to_channels_last(self)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks to embeddings of length 10."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCFT = features_BTF.transpose(1, 2)[:, None]
        for stage in self.stages:
            x_BCFT, num_real_B = stage(x_BCFT, num_real_B)
        x_BNT = x_BCFT.flatten(1, 2).float()
        mean_BN = mean_over_frames(x_BNT, num_real_B)[..., 0]
        return to_length(self.embedding(mean_BN).float(), offset=NORM_OFFSET, length=LENGTH)


class DeepSpeakerGru(EmbeddingNetwork):
    """Deep Speaker's network of GRUs; the defaults are the paper's, 22,565,056 parameters.

    Parameters
    ----------
    channels : int
        Channels of the convolution, which halves features and frames.
    states : int
        States of each GRU.
    layers : int
        Number of GRUs.
    embedding_dim : int
        Size of the embedding.
    front_end, spec_augment : dict
        As :class:`DeepSpeaker`.
    """

    def __init__(
        self,
        *,
        channels: int = 64,
        states: int = 1024,
        layers: int = 3,
        embedding_dim: int = 512,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(channels=channels, states=states, layers=layers, embedding_dim=embedding_dim)
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=MIN_FRAMES,
        )
        self.conv = Stage(1, channels, 0)
        inputs = channels * divide_rounding_up(self.front_end.num_bins, 2)
        self.gru = nn.GRU(inputs, states, layers, batch_first=True)
        self.embedding = nn.Linear(states, embedding_dim)
        self.apply(_initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks to embeddings of length 10."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCFT, num_real_B = self.conv(features_BTF.transpose(1, 2)[:, None], num_real_B)
        states_BTH, _ = self.gru(x_BCFT.flatten(1, 2).transpose(1, 2))
        mean_BH = mean_over_frames(states_BTH.transpose(1, 2).float(), num_real_B)[..., 0]
        return to_length(self.embedding(mean_BH).float(), offset=NORM_OFFSET, length=LENGTH)


class Stage(nn.Module):
    """A 5x5 convolution of stride 2, batch normalisation, clipped ReLU, then residual blocks."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.blocks = nn.ModuleList(
            BasicBlock(out_channels, out_channels, activation=clipped_relu) for _ in range(blocks)
        )

    def forward(
        self, x_BCFT: torch.Tensor, num_frames_B: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The output and its numbers of frames, half as many, rounded up.

        The padding is zero in the input and the output.
        """
        x_BCFT = clipped_relu(self.norm(self.conv(x_BCFT)))
        if num_frames_B is not None:
            num_frames_B = (num_frames_B + 1) // 2
        mask_BT = real_mask(num_frames_B, x_BCFT.shape[3])
        x_BCFT = masked(x_BCFT, mask_BT)
        for block in self.blocks:
            x_BCFT = block(x_BCFT, mask_BT)
        return x_BCFT, num_frames_B


def clipped_relu(x: torch.Tensor) -> torch.Tensor:
    """ReLU with a maximum of 20."""
    return F.hardtanh(x, 0.0, 20.0)


def _initialise(module):
    if isinstance(module, nn.Conv2d):  # as published: normal, scaled by the outputs
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
