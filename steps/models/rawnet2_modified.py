"""RawNet2 as its authors changed it later: pre-activation blocks with alpha feature map scaling, attentive statistics, 512-d embedding.

Layers of the full size, for 59,049 samples after pre-emphasis; leaky ReLU of 0.3 but where it says otherwise.

==========  ====================================================================================  ========  ======
part        layers                                                                                channels  frames
==========  ====================================================================================  ========  ======
conv        convolution 3, stride 3                                                               128       19,683
stages 1-2  1 block each: norm, leaky ReLU, convolution 3, norm, leaky ReLU, convolution 3;       128       2,187
            shortcut; max pooling 3; alpha-FMS
stages 3-4  1 and 2 blocks; only the last of a stage has max pooling                              256       243
stages 5-6  1 and 2 blocks                                                                        512       27
statistics  norm, leaky ReLU; 1x1, leaky ReLU of 0.01, norm, 1x1, softmax over frames:            1024
            weighted mean and standard deviation
embedding   linear                                                                                512
==========  ====================================================================================  ========  ======

Where the channels change, a 1x1 convolution lies on the shortcut and sees what the first norm and leaky ReLU give; blocks have no biases.

Source: https://github.com/Jungjee/RawNet, python/RawNet2_modified (``layers`` 1 1 1 2 1 2, ``filters`` 128 128 256 256 512 512 of its run.sh);
alpha-FMS: Jung et al., Journal of the Acoustical Society of Korea, 2020.  Deviations: none in what is computed; batches may be padded, masked so that
each utterance is computed as if alone.
"""

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from steps.models.layers.frames import AlphaFeatureMapScaling, check_sizes, real_frames
from steps.models.layers.pooling import AttentiveStatistics
from steps.models.layers.rawnet import LEAK, PreActivationBlock, through_blocks
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end

FRONT_END = {"name": "waveform", "preemphasis": 0.97}


class RawNet2Modified(EmbeddingNetwork):
    """The modified RawNet2; the defaults are the published network of 7,455,872 parameters.

    Parameters
    ----------
    stage_channels, blocks : list of int
        Channels and number of blocks of each stage; the first convolution has the first stage's channels.
    attention_channels, embedding_dim : int
        Hidden channels of the attention; size of the embedding.
    front_end : dict
        A front end's name and options, one feature per sample; None: the waveform with pre-emphasis of 0.97.
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
                f"stage_channels has {len(stage_channels)} stages and blocks {len(blocks)}, expected as many"
            )
        super().__init__(
            front_end=make_front_end(FRONT_END if front_end is None else front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=3 ** (1 + len(blocks)),
        )
        self.conv = nn.Conv1d(1, stage_channels[0], 3, stride=3)
        self.blocks = nn.ModuleList()
        channels = stage_channels[0]
        for after, count in zip(stage_channels, blocks, strict=True):
            for block in range(count):
                self.blocks.append(
                    PreActivationBlock(
                        channels,
                        after,
                        activated_shortcut=True,
                        bias=False,
                        pool=3 if block == count - 1 else 1,
                        scaling=AlphaFeatureMapScaling(after),
                    )
                )
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
        x_BCT = self.conv(features_BTF.transpose(1, 2))
        x_BCT, num_real_B = through_blocks(
            self.blocks, x_BCT, None if num_real_B is None else num_real_B // 3
        )
        return self.embedding(
            self.statistics(leaky_relu(self.norm(x_BCT), LEAK), num_real_B)
        ).float()


def _initialise(module):
    if isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="leaky_relu")
