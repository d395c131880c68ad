"""RawNet as its authors ported it to PyTorch: pre-activation blocks over the waveform, GRU, 1024-d embedding.

Layers of the full size, for 59,049 samples after pre-emphasis; leaky ReLU of 0.3 everywhere.

==========  ====================================================================================  ========  ======
part        layers                                                                                channels  frames
==========  ====================================================================================  ========  ======
conv        convolution 3, stride 3; norm, leaky ReLU                                             128       19,683
blocks 0-1  convolution 3, norm, leaky ReLU, convolution 3; shortcut; max pooling 3               128       2,187
blocks 2-5  the same; a 1x1 convolution on the shortcut of block 2                                256       27
embedding   norm, leaky ReLU; GRU of 1024, state after the last frame; linear                     1024
==========  ====================================================================================  ========  ======

Source: https://github.com/Jungjee/RawNet, python/RawNet1/PyTorch; after Jung et al., "RawNet: advanced end-to-end deep neural network using raw
waveforms for text-independent speaker verification", Interspeech 2019, whose own network is steps/models/rawnet.py.  The published code applies the
first convolution of a block to the block's input and not to what its first norm and leaky ReLU made of it: the norms are kept, unused, so that the
files of its users fit.  In training it brings embeddings to length 10 before the last layer: that is the loss' option ``embedding_norm``.
Deviations: none in what is computed; batches may be padded, masked so that each utterance is computed as if alone.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, real_frames, unused
from steps.models.layers.rawnet import (
    LEAK,
    GruEmbedding,
    PreActivationBlock,
    initialise,
    through_blocks,
)
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end

FRONT_END = {"name": "waveform", "preemphasis": 0.97}


class RawNetPort(EmbeddingNetwork):
    """RawNet's PyTorch port; the defaults are the published network of 6,700,544 parameters, 2,048 of which are unused.

    Parameters
    ----------
    conv_channels : int
        Channels of the first convolution.
    block_channels : list of int
        Channels of each block.
    gru_states, embedding_dim : int
        Size of the GRU's state and of the embedding.
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform with pre-emphasis of 0.97.
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
        super().__init__(
            front_end=make_front_end(FRONT_END if front_end is None else front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=3 ** (1 + len(block_channels)),
        )
        self.conv = nn.Conv1d(1, conv_channels, 3, stride=3)
        self.norm = nn.BatchNorm1d(conv_channels)
        self.blocks = nn.ModuleList(
            PreActivationBlock(before, after, first_norm="unused" if number else "none")
            for number, (before, after) in enumerate(
                zip((conv_channels, *block_channels), block_channels, strict=False)
            )
        )
        self.embedding = GruEmbedding(block_channels[-1], gru_states, embedding_dim)
        self.without_gradient = unused(self)
        self.apply(initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings.

        Parameters
        ----------
        features_BTF : (B, T, 1) float tensor
            The samples.
        num_frames_B : (B,) int tensor
            Samples of each utterance; all the same in training.

        Returns
        -------
        (B, E) float32 tensor
            Not length-normalised.
        """
        num_real_B = real_frames(
            num_frames_B, features_BTF.shape[1], features_BTF.device, self.training
        )
        x_BCT = F.leaky_relu(self.norm(self.conv(features_BTF.transpose(1, 2))), LEAK)
        return self.embedding(
            *through_blocks(self.blocks, x_BCT, None if num_real_B is None else num_real_B // 3)
        )
