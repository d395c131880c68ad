"""RawNet as its authors ported it to PyTorch: pre-activation blocks over the waveform, and a GRU.

The full size, for 59,049 samples after pre-emphasis; leaky ReLU of 0.3 everywhere.

==========  ===============================================================  ========  ======
part        layers                                                           channels  frames
==========  ===============================================================  ========  ======
conv        convolution 3, stride 3; norm, leaky ReLU                        128       19,683
blocks 0-1  convolution 3, norm, leaky ReLU, convolution 3; shortcut;        128       2,187
            max pooling 3
blocks 2-5  the same; a 1x1 convolution on the shortcut of block 2           256       27
embedding   norm, leaky ReLU; GRU of 1024, last state; linear                1024
==========  ===============================================================  ========  ======

Source: https://github.com/Jungjee/RawNet, python/RawNet1/PyTorch; after Jung et al., "RawNet:
advanced end-to-end deep neural network using raw waveforms for text-independent speaker
verification", Interspeech 2019, whose own network is steps/models/rawnet.py.  The published code
applies the first convolution of a block to the block's input, not to the output of its first norm
and leaky ReLU.  The unused norms are kept, so that published weights fit.  In training the
published code scales embeddings to length 10 before the last layer: the loss's option
``embedding_norm``.

No deviations in what is computed.  Padded batches are masked: each utterance is computed as if
alone.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import (
    check_sizes,
    divide_frames,
    frozen_parameters,
    real_frames,
)
from steps.models.layers.rawnet import (
    LEAK,
    GruEmbedding,
    PreActivationBlock,
    channel_pairs,
    initialise,
    through_blocks,
)
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end

FRONT_END = {"name": "waveform", "preemphasis": 0.97}


class RawNetPort(EmbeddingNetwork):
    """RawNet's PyTorch port; the defaults are the published 6,700,544 parameters, 2,048 unused.

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
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform with pre-emphasis
        of 0.97.
    """

    def __init__(
        self,
        *,
        conv_channels: int = 128,
        block_channels: tuple[int, ...] = (128, 128, 256, 256, 256, 256),
        gru_states: int = 1024,
        embedding_dim: int = 1024,
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
        self.conv = nn.Conv1d(1, conv_channels, 3, stride=3)
        self.norm = nn.BatchNorm1d(conv_channels)
        self.blocks = nn.ModuleList()
        for before, after in channel_pairs(conv_channels, block_channels):
            if len(self.blocks) == 0:
                block = PreActivationBlock(before, after, first_norm="none")
            else:
                block = PreActivationBlock(before, after, first_norm="unused")
            self.blocks.append(block)
        self.embedding = GruEmbedding(block_channels[-1], gru_states, embedding_dim)
        self.without_gradient = frozen_parameters(self)
        self.apply(initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT = self.norm(self.conv(features_BTF.transpose(1, 2)))
        x_BCT = F.leaky_relu(x_BCT, LEAK)
        x_BCT, num_real_B = through_blocks(self.blocks, x_BCT, divide_frames(num_real_B, 3))
        return self.embedding(x_BCT, num_real_B)
