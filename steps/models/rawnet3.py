"""RawNet3: analytic sinc filters over the waveform, Res2Net blocks, attentive statistics.

The full size, for 48,000 samples.

==========  ================================================================  ========  ======
part        layers                                                            channels  frames
==========  ================================================================  ========  ======
front end   pre-emphasis, mean 0 and variance 1 over the utterance with a     1         48,000
            gain and an offset
sinc        128 pairs of filters of 251 samples, stride 10; modulus,          256       4,775
            logarithm, mean 0
blocks 1-3  1x1, Res2Net of 8 groups (dilation 2, 3, 4), 1x1, each with       1024      955
            ReLU, then norm; shortcut; max pooling 5, 3, none; alpha-FMS.               318
            Block 3 sees the sum of blocks 1 and 2
concat      the three blocks' outputs, the first after max pooling 3          3072      318
conv        1x1, ReLU                                                         1536      318
statistics  attention over frame, mean and deviation (1x1 of 128, ReLU,       3072
            norm, 1x1, softmax over frames): weighted mean and standard
            deviation; norm
embedding   linear                                                            256
==========  ================================================================  ========  ======

Source: Jung et al., "Pushing the limits of raw waveform speaker recognition", Interspeech 2022;
https://github.com/Jungjee/RawNet, python/RawNet3.  The published network has two norms that it does
not use, one after the sinc filters and (with ``out_norm`` false, as released) one after the
embedding.  They are kept, so that published weights fit.

Deviations: the shortest input is 541 samples, which give two frames for the deviations (the
published code gives NaN for one).  Padded batches are masked: each utterance is computed as if
alone.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, frozen_parameters, max_pool, real_frames
from steps.models.layers.pooling import AttentiveStatistics
from steps.models.layers.res2 import Res2Block
from steps.models.layers.sinc import SincFeatures
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end
from utils.features.sinc import AnalyticSincBank

FRONT_END = {
    "name": "waveform",
    "preemphasis": 0.97,
    "preemphasis_edge": "mirror",
    "instance_norm": "trained",
}


class RawNet3(EmbeddingNetwork):
    """RawNet3; the defaults are the published network, 16,280,322 parameters, 1,024 unused.

    Parameters
    ----------
    channels : int
        Channels of the blocks; a quarter as many sinc filters.
    groups : int
        Groups of the blocks' Res2Net convolutions.
    conv_channels : int
        Channels of the features that are pooled.
    attention_channels : int
        Hidden channels of the attention.
    embedding_dim : int
        Size of the embedding.
    sinc_stride : int
        Samples between frames of the sinc filters.
    log_sinc : bool
        Whether the logarithm of the filters' output is taken.
    norm_sinc : str
        ``mean``: each filter's output gets mean 0 over the utterance; ``mean_std``: and standard
        deviation 1; ``none``.
    summed : bool
        Whether the third block sees the sum of the first two blocks' outputs; else the second's.
    context : bool
        Whether the attention sees each channel's mean and standard deviation.
    encoder_type : str
        ``ECA``: a weight per frame and channel; ``ASP``: a weight per frame.
    out_norm : bool
        Whether a norm follows the embedding (``out_bn`` of the published code).
    front_end : dict
        A front end's name and options, one feature per sample; None: the published pre-emphasis and
        normalisation.
    """

    def __init__(
        self,
        *,
        channels: int = 1024,
        groups: int = 8,
        conv_channels: int = 1536,
        attention_channels: int = 128,
        embedding_dim: int = 256,
        sinc_stride: int = 10,
        log_sinc: bool = True,
        norm_sinc: Literal["mean", "mean_std", "none"] = "mean",
        summed: bool = True,
        context: bool = True,
        encoder_type: Literal["ECA", "ASP"] = "ECA",
        out_norm: bool = False,
        front_end: dict | None = None,
    ) -> None:
        check_sizes(
            channels=channels,
            groups=groups,
            conv_channels=conv_channels,
            attention_channels=attention_channels,
            embedding_dim=embedding_dim,
            sinc_stride=sinc_stride,
        )
        if channels % 8:
            raise ValueError(
                f"channels is {channels}, expected a multiple of 8: "
                "a quarter of them are pairs of filters"
            )
        if front_end is None:
            front_end = FRONT_END
        waveform = make_front_end(front_end)
        bank = AnalyticSincBank(
            num_filters=channels // 4,
            stride_samples=sinc_stride,
            sample_rate_hz=waveform.sample_rate_hz,
        )
        super().__init__(
            front_end=waveform,
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=bank.kernel_samples + (2 * 3 * 5 - 1) * sinc_stride,
        )
        self.summed, self.out_norm = summed, out_norm
        self.sinc = SincFeatures(bank, logarithm=log_sinc, normalisation=norm_sinc)
        self.sinc_norm = nn.BatchNorm1d(channels // 4).requires_grad_(False)
        self.block1 = Res2Block(channels // 4, channels, groups, dilation=2, pool=5)
        self.block2 = Res2Block(channels, channels, groups, dilation=3, pool=3)
        self.block3 = Res2Block(channels, channels, groups, dilation=4)
        self.conv = nn.Conv1d(3 * channels, conv_channels, 1)
        self.statistics = AttentiveStatistics(
            conv_channels,
            attention_channels,
            between=[nn.ReLU(), nn.BatchNorm1d(attention_channels)],
            context=context,
            one_weight=encoder_type == "ASP",
        )
        self.statistics_norm = nn.BatchNorm1d(2 * conv_channels)
        self.embedding = nn.Linear(2 * conv_channels, embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(embedding_dim).requires_grad_(out_norm)
        self.without_gradient = frozen_parameters(self)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings, not length-normalised."""
        num_samples_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT, num_sinc_B = self.sinc(features_BTF[..., 0], num_samples_B)
        first_BCT, num_first_B = self.block1(x_BCT, num_sinc_B)
        second_BCT, num_second_B = self.block2(first_BCT, num_first_B)
        pooled_BCT, _ = max_pool(first_BCT, num_first_B, 3)
        x_BCT = second_BCT
        if self.summed:
            x_BCT = pooled_BCT + second_BCT
        third_BCT, _ = self.block3(x_BCT, num_second_B)
        x_BCT = torch.cat([pooled_BCT, second_BCT, third_BCT], dim=1)
        x_BCT = F.relu(self.conv(x_BCT))
        statistics_BN = self.statistics_norm(self.statistics(x_BCT, num_second_B))
        embedding_BE = self.embedding(statistics_BN).float()
        if self.out_norm:
            embedding_BE = self.embedding_norm(embedding_BE)
        return embedding_BE
