"""MR-RawNet: raw waveforms at four temporal resolutions, then blocks that attend to three.

The full size, for 48,000 samples; the features of branch i come every 20 * 2^i samples from filters
of 50 * 2^i + 1 samples.

=========  =======================================================  ========  ==============
layer      what                                                     channels  frames
=========  =======================================================  ========  ==============
front end  pre-emphasis, mean 0 and variance 1 over the utterance   1         48,000
features   sinc filters (cosine and sine), modulus, logarithm,      256       2400, 1200,
           less the mean over frames                                          600 and 300
branch     1x1; plus the previous branch after max pooling 2;       128       2400, 1200,
           3 times 4 temporal blocks, dilation 1, 2, 4 and 8                  600 and 300
align      convolution of 17, 9, 5 and 3 frames,                    128       300 each
           stride 8, 4, 2 and 1, ReLU, norm
join       concatenation; convolution of 5 frames, ReLU, norm       256       300
stages     3 of 3 multi-resolution attention blocks; the third      256       300
           sees the sum of the first two's outputs
frames     1x1 over the three stages' outputs, ReLU                 1536      300
pooling    attentive mean and standard deviation, norm              3072
embedding  linear, norm                                             256
=========  =======================================================  ========  ==============

A temporal block is 1x1, PReLU, norm over channels and frames, depthwise convolution of 3 frames,
PReLU, norm and 1x1 around a shortcut.

Source: Kim et al., "MR-RawNet: speaker verification system with multiple temporal resolutions for
variable duration utterances using raw waveforms", Interspeech 2024, and the authors' code, which
has 15,442,594 parameters.  Some of them have no effect and are never trained: gain and offset of
the front end's norm, and the biases of the gates' last layers and of the embedding.

Deviations: the authors take multiples of 320 samples, and cut off what a test utterance has beyond
a multiple of 640.  Here any utterance of 320 samples or more is taken, and extended by its own
beginning to a multiple of 320, as the authors extend short training crops.  Their three speeds are
left to the augmentation.  Padded batches are masked: each utterance is computed as if alone.

Shapes: ``B`` batch, ``S`` samples, ``C`` channels, ``T`` frames, ``K`` paths, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.conv import ConvReluNorm
from steps.models.layers.frames import (
    check_sizes,
    divide_frames,
    frozen_parameters,
    mean_over_frames,
    real_frames,
    without_padding,
)
from steps.models.layers.pooling import AttentiveStatistics
from steps.models.layers.res2 import Res2Block
from steps.models.layers.sinc import SincFeatures
from steps.models.network import EmbeddingNetwork
from utils.features.normalisation import frame_mask
from utils.features.registry import make_front_end
from utils.features.sinc import AnalyticSincBank
from utils.features.waveform import Waveform

FRONT_END = {
    "name": "waveform",
    "preemphasis": 0.97,
    "preemphasis_edge": "mirror",
    "instance_norm": "fixed",
}
# lengths are multiples of it: two frames of the coarsest branch, one of the blocks' coarsest path
SAMPLES = 320
NUM_BRANCHES = 4
DILATIONS = (1, 2, 4, 8)


class MrRawNet(EmbeddingNetwork):
    """MR-RawNet; the defaults are the published network, 15,442,594 parameters.

    Parameters
    ----------
    filters : int
        Filters of each branch, an even number.
    branch_channels : int
        Channels of the branches.
    hidden_channels : int
        Channels of the depthwise convolutions in the temporal blocks.
    repeats : int
        How often a branch repeats the four dilations.
    channels : int
        Channels of the multi-resolution attention blocks.
    groups : int
        Groups of their channels.
    stage_blocks : int
        Blocks of each of the three stages.
    frame_channels : int
        Channels of a frame before pooling.
    attention_channels : int
        Hidden size of the pooling's attention.
    embedding_dim : int
        Size of the embedding.
    front_end : dict
        A front end's name and options; None: the waveform as published.

    Raises
    ------
    ValueError
        A size below 1, or a front end that gives no waveform.
    """

    def __init__(
        self,
        *,
        filters: int = 256,
        branch_channels: int = 128,
        hidden_channels: int = 96,
        repeats: int = 3,
        channels: int = 256,
        groups: int = 4,
        stage_blocks: int = 3,
        frame_channels: int = 1536,
        attention_channels: int = 256,
        embedding_dim: int = 256,
        front_end: dict | None = None,
    ) -> None:
        check_sizes(
            filters=filters,
            branch_channels=branch_channels,
            hidden_channels=hidden_channels,
            repeats=repeats,
            channels=channels,
            groups=groups,
            stage_blocks=stage_blocks,
            frame_channels=frame_channels,
            attention_channels=attention_channels,
            embedding_dim=embedding_dim,
        )
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=None,
            embedding_dim=embedding_dim,
            min_frames=SAMPLES,
        )
        if not isinstance(self.front_end, Waveform):
            raise ValueError("front_end gives features, expected 'waveform'")
        self.front_end.requires_grad_(self.front_end.instance_norm != "fixed")
        self.branches = nn.ModuleList(
            Branch(i, filters, branch_channels, hidden_channels, repeats, self.sample_rate_hz)
            for i in range(NUM_BRANCHES)
        )
        self.join = ConvReluNorm(NUM_BRANCHES * branch_channels, channels, 5)
        self.stages = nn.ModuleList()
        for _ in range(3):
            blocks = [MultiResolutionAttention(channels, groups) for _ in range(stage_blocks)]
            self.stages.append(nn.ModuleList(blocks))
        self.frames = nn.Conv1d(3 * channels, frame_channels, 1)
        self.pooling = AttentiveStatistics(
            frame_channels,
            attention_channels,
            context=True,
            between=[nn.ReLU(), nn.BatchNorm1d(attention_channels), nn.Tanh()],
        )
        self.norm = nn.BatchNorm1d(2 * frame_channels)
        self.embedding = nn.Linear(2 * frame_channels, embedding_dim)
        self.embedding_norm = nn.BatchNorm1d(embedding_dim)
        self.embedding.bias.requires_grad_(False)  # the norm removes it
        self.without_gradient = frozen_parameters(self)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms of 320 samples or more to embeddings, not length-normalised."""
        waveforms_BS, num_samples_B = extended_to_multiple(
            features_BTF[..., 0], num_frames_B, SAMPLES
        )
        num_real_B = real_frames(num_samples_B, waveforms_BS, self.training)
        aligned, finer_BCT = [], None
        for branch in self.branches:
            finer_BCT, aligned_BCT = branch(waveforms_BS, num_real_B, finer_BCT)
            aligned.append(aligned_BCT)
        num_joint_B = divide_frames(num_real_B, SAMPLES // 2)
        joint_BCT = self.join(torch.cat(aligned, dim=1), num_joint_B)
        first_BCT = self._stage(0, joint_BCT, num_joint_B)
        second_BCT = self._stage(1, first_BCT, num_joint_B)
        third_BCT = self._stage(2, first_BCT + second_BCT, num_joint_B)
        x_BCT = torch.cat([first_BCT, second_BCT, third_BCT], dim=1)
        x_BCT = F.relu(self.frames(x_BCT))
        pooled_BN = self.norm(self.pooling(x_BCT, num_joint_B))
        return self.embedding_norm(self.embedding(pooled_BN)).float()

    def _stage(self, number, x_BCT, num_frames_B):
        for block in self.stages[number]:
            x_BCT = block(x_BCT, num_frames_B)
        return x_BCT


def extended_to_multiple(
    waveforms_BS: torch.Tensor, num_samples_B: torch.Tensor, multiple: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each utterance extended by its own beginning to the next multiple, then zeros; new lengths.

    The input may have any values in its padding.
    """
    whole_B = (num_samples_B + multiple - 1) // multiple * multiple
    longest, device = int(whole_B.max()), waveforms_BS.device
    if bool((num_samples_B == longest).all()):
        return waveforms_BS[:, :longest], whole_B
    source_BS = torch.arange(longest, device=device) % num_samples_B.to(device)[:, None]
    padding_BS = ~frame_mask(whole_B, longest, device)
    return waveforms_BS.gather(1, source_BS).masked_fill(padding_BS, 0.0), whole_B


class Branch(nn.Module):
    """One temporal resolution: filters over the waveform, temporal blocks, alignment.

    Branch 0 is the finest; each further one has filters twice as long and half the frames.  The
    alignment is a convolution that brings all branches to the same frames.
    """

    def __init__(
        self,
        index: int,
        filters: int,
        channels: int,
        hidden_channels: int,
        repeats: int,
        sample_rate_hz: int,
    ) -> None:
        super().__init__()
        factor, stride = 2**index, 2 ** (NUM_BRANCHES - 1 - index)
        self.features = SincFeatures(
            AnalyticSincBank(
                num_filters=filters,
                kernel_samples=50 * factor + 1,
                stride_samples=20 * factor,
                padding_samples=25 * factor,
                sample_rate_hz=sample_rate_hz,
            )
        )
        self.conv = nn.Conv1d(filters, channels, 1, bias=False)
        self.blocks = nn.ModuleList()
        for dilation in DILATIONS * repeats:
            self.blocks.append(TemporalBlock(channels, hidden_channels, dilation))
        self.align = ConvReluNorm(channels, channels, 2 * stride + 1, stride=stride)

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        num_samples_B: torch.Tensor | None,
        finer_BCT: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The next branch's ``finer_BCT``, and the aligned features."""
        x_BCT, num_frames_B = self.features(waveforms_BS, num_samples_B)
        x_BCT = self.conv(x_BCT)
        if finer_BCT is not None:
            x_BCT = x_BCT + F.max_pool1d(finer_BCT, 2)
        for block in self.blocks:
            x_BCT = block(x_BCT, num_frames_B)
        return x_BCT, self.align(x_BCT, num_frames_B)


class TemporalBlock(nn.Module):
    """Conv-TasNet's block: fewer channels, a depthwise convolution, and back, around a shortcut.

    Luo and Mesgarani, "Conv-TasNet: surpassing ideal time-frequency magnitude masking for speech
    separation", IEEE/ACM TASLP 2019.
    """

    def __init__(self, channels: int, hidden_channels: int, dilation: int) -> None:
        super().__init__()
        self.reduce = nn.Conv1d(channels, hidden_channels, 1, bias=False)
        self.increase = nn.Conv1d(hidden_channels, channels, 1, bias=False)
        self.conv = nn.Conv1d(
            hidden_channels,
            hidden_channels,
            3,
            padding=dilation,
            dilation=dilation,
            groups=hidden_channels,
            bias=False,
        )
        self.activation1, self.activation2 = nn.PReLU(), nn.PReLU()
        self.norm1, self.norm2 = GlobalNorm(hidden_channels), GlobalNorm(hidden_channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many channels and frames."""
        y_BCT = self.activation1(self.reduce(x_BCT))
        y_BCT = self.norm1(y_BCT, num_frames_B)
        y_BCT = self.conv(without_padding(y_BCT, num_frames_B))
        y_BCT = self.norm2(self.activation2(y_BCT), num_frames_B)
        return self.increase(y_BCT) + x_BCT


class GlobalNorm(nn.Module):
    """Mean 0 and variance 1 over all channels and frames; then a gain and an offset per channel.

    In float32 under autocast.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain_1C1 = nn.Parameter(torch.ones(1, channels, 1))
        self.offset_1C1 = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The normalised features; their padding is undefined."""
        x_BCT = x_BCT.float()
        mean_BC1 = mean_over_frames(x_BCT, num_frames_B)
        deviation_BCT = x_BCT - mean_BC1.mean(dim=1, keepdim=True)
        variance_BC1 = mean_over_frames(deviation_BCT.square(), num_frames_B)
        variance_B11 = variance_BC1.mean(dim=1, keepdim=True)
        return self.gain_1C1 * deviation_BCT / (variance_B11 + 1e-8).sqrt() + self.offset_1C1


class MultiResolutionAttention(nn.Module):
    """Three Res2Net blocks at full, double and half resolution, added to the input by a gate."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.same = Res2Block(channels, channels, groups, dilation=2)
        self.finer = Res2Block(channels, channels, groups, dilation=2)
        self.coarser = Res2Block(channels, channels, groups, dilation=2)
        self.to_finer = nn.ConvTranspose1d(channels, channels, 2, stride=2)
        self.from_coarser = nn.ConvTranspose1d(channels, channels, 2, stride=2)
        self.gate = PathGate(channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many channels and frames; utterances have an even number of frames."""
        twice_B = None
        if num_frames_B is not None:
            twice_B = 2 * num_frames_B
        same_BCT, _ = self.same(x_BCT, num_frames_B)
        finer_BCT, _ = self.finer(self.to_finer(x_BCT), twice_B)
        coarser_BCT, _ = self.coarser(F.avg_pool1d(x_BCT, 2), divide_frames(num_frames_B, 2))
        paths = [same_BCT, F.avg_pool1d(finer_BCT, 2), self.from_coarser(coarser_BCT)]
        return x_BCT + self.gate(paths, num_frames_B)


class PathGate(nn.Module):
    """Weighted sum of three paths; per channel the weights are a softmax over the paths."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Conv1d(channels, channels // 2, 1),
            nn.ReLU(),
            nn.BatchNorm1d(channels // 2),
            nn.Conv1d(channels // 2, channels, 1),
        )
        # the same for all paths: the softmax cancels it
        self.weights[-1].bias.requires_grad_(False)

    def forward(self, paths: list[torch.Tensor], num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """(B, C, T), as each of the paths."""
        means = [mean_over_frames(path_BCT, num_frames_B) for path_BCT in paths]
        mean_BN = torch.cat(means, dim=1)[..., 0]
        # as published: one "channel" of the gate is three neighbouring channels of one path, not
        # one channel of the three paths
        mean_BCK = mean_BN.reshape(len(mean_BN), -1, len(paths))
        weights_BCK = self.weights(mean_BCK).softmax(dim=2)
        return sum(weights_BCK[:, :, k, None] * path_BCT for k, path_BCT in enumerate(paths))
