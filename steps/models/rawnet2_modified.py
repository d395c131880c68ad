"""RawNet2 in its authors' later version: alpha feature map scaling and attentive statistics.

The full size, for 59,049 samples after pre-emphasis; leaky ReLU of 0.3 unless it says otherwise.

==========  ================================================================  ========  ======
part        layers                                                            channels  frames
==========  ================================================================  ========  ======
conv        convolution 3, stride 3                                           128       19,683
stages 1-2  1 block each: norm, leaky ReLU, convolution 3, norm,              128       2,187
            leaky ReLU, convolution 3; shortcut; max pooling 3; alpha-FMS
stages 3-4  1 and 2 blocks; only the last of a stage has max pooling          256       243
stages 5-6  1 and 2 blocks                                                    512       27
statistics  norm, leaky ReLU; 1x1, leaky ReLU of 0.01, norm, 1x1, softmax     1024
            over frames: weighted mean and standard deviation
embedding   linear                                                            512
==========  ================================================================  ========  ======

Where the channels change, a 1x1 convolution lies on the shortcut and sees the output of the first
norm and leaky ReLU.  Blocks have no biases.

Source: https://github.com/Jungjee/RawNet, python/RawNet2_modified (``layers`` 1 1 1 2 1 2,
``filters`` 128 128 256 256 512 512 of its run.sh); alpha-FMS: Jung et al., Journal of the
Acoustical Society of Korea, 2020.

No deviations in what is computed.  Padded batches are masked: each utterance is computed as if
alone.
"""

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from steps.models.layers.frames import (
    AlphaFeatureMapScaling,
    check_sizes,
    divide_frames,
    real_frames,
)
from steps.models.layers.pooling import AttentiveStatistics
from steps.models.layers.rawnet import LEAK, PreActivationBlock, through_blocks
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end

FRONT_END = {"name": "waveform", "preemphasis": 0.97}


class RawNet2Modified(EmbeddingNetwork):
    """The modified RawNet2; the defaults are the published network, 7,455,872 parameters.

    Parameters
    ----------
    stage_channels : list of int
        Channels of each stage; the first convolution has the first stage's channels.
    blocks : list of int
        Blocks of each stage.
    attention_channels : int
        Hidden channels of the attention.
    embedding_dim : int
        Size of the embedding.
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform with pre-emphasis
        of 0.97.
    """

    def __init__(
        self,
        *,
        stage_channels: tuple[int, ...] = (128, 128, 256, 256, 512, 512),
        blocks: tuple[int, ...] = (1, 1, 1, 2, 1, 2),
        attention_channels: int = 128,
        embedding_dim: int = 512,
        front_end: dict | None = None,
    ) -> None:
        check_sizes(
            stage_channels=stage_channels,
            blocks=blocks,
            attention_channels=attention_channels,
            embedding_dim=embedding_dim,
        )
        if len(stage_channels) != len(blocks):
            raise ValueError(
                f"stage_channels has {len(stage_channels)} stages and blocks {len(blocks)}, "
                "expected as many"
            )
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=3 ** (1 + len(blocks)),
        )
        self.conv = nn.Conv1d(1, stage_channels[0], 3, stride=3)
        self.blocks = nn.ModuleList()
        channels = stage_channels[0]
        for after, count in zip(stage_channels, blocks, strict=True):
            for _ in range(count - 1):
                self.blocks.append(_block(channels, after, pool=1))
                channels = after
            self.blocks.append(_block(channels, after, pool=3))
            channels = after
        self.norm = nn.BatchNorm1d(channels)
        self.statistics = AttentiveStatistics(
            channels,
            attention_channels,
            between=[nn.LeakyReLU(0.01), nn.BatchNorm1d(attention_channels)],
            context=False,
            least_variance=1e-5,
            largest_variance=None,
        )
        self.embedding = nn.Linear(2 * channels, embedding_dim)
        self.apply(_initialise)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT = self.conv(features_BTF.transpose(1, 2))
        x_BCT, num_real_B = through_blocks(self.blocks, x_BCT, divide_frames(num_real_B, 3))
        x_BCT = leaky_relu(self.norm(x_BCT), LEAK)
        return self.embedding(self.statistics(x_BCT, num_real_B)).float()


def _block(in_channels, out_channels, *, pool):
    return PreActivationBlock(
        in_channels,
        out_channels,
        activated_shortcut=True,
        bias=False,
        pool=pool,
        scaling=AlphaFeatureMapScaling(out_channels),
    )


def _initialise(module):
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")
