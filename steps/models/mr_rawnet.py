"""MR-RawNet: raw waveforms at four temporal resolutions, then blocks that attend to three.

Layers of the full size, for 48,000 samples; the features of branch i come every 20 * 2^i samples from filters of 50 * 2^i + 1 samples.

===========  ================================================================================================  ========  ======================
layer        what                                                                                              channels  frames
===========  ================================================================================================  ========  ======================
front end    pre-emphasis, mean 0 and variance 1 over the utterance                                            1         48,000
features     sinc filters (cosine and sine), modulus, logarithm, less the mean over frames                     256       2400, 1200, 600 and 300
branch       1x1; plus the branch before, max pooling 2; 3 times 4 temporal blocks, dilation 1, 2, 4 and 8     128       2400, 1200, 600 and 300
align        convolution of 17, 9, 5 and 3 frames, stride 8, 4, 2 and 1, ReLU, norm                            128       300 each
join         the four beside each other; convolution of 5 frames, ReLU, norm                                   256       300
stages       3 of 3 multi-resolution attention blocks; the third sees the sum of the first two's outputs       256       300
frames       1x1 over the three stages' outputs, ReLU                                                          1536      300
pooling      attentive mean and standard deviation, norm                                                       3072
embedding    linear, norm                                                                                      256
===========  ================================================================================================  ========  ======================

A temporal block is 1x1, PReLU, norm over channels and frames, depthwise convolution of 3 frames, PReLU, norm and 1x1 around a shortcut.

Source: Kim et al., "MR-RawNet: speaker verification system with multiple temporal resolutions for variable duration utterances using raw waveforms",
Interspeech 2024, and the authors' code, which has 15,442,594 parameters; gain and offset of the front end's norm are among them, never trained there,
and biases without effect on any loss: those of the gates' last layers and the embedding's.
Deviations: the authors take multiples of 320 samples, and cut off what a test utterance has beyond one of 640; here any utterance of 320 or more is
taken, and what it lacks of a multiple of 320 is filled with its own beginning, as the authors fill short training crops.  Their three speeds are the
augmentation's work here.  Batches may be padded, masked so that each utterance is computed as if alone.

Shapes: ``B`` batch, ``S`` samples, ``C`` channels, ``T`` frames, ``K`` paths, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.conv import ConvReluNorm
from steps.models.layers.frames import (
    check_sizes,
    mean_over_frames,
    real_frames,
    unused,
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
SAMPLES = 320  # of which every utterance has a multiple: two frames of the coarsest branch, which the coarsest path of the blocks makes one
NUM_BRANCHES = 4
DILATIONS = (1, 2, 4, 8)


class MrRawNet(EmbeddingNetwork):
    """MR-RawNet; the defaults are the published network of 15,442,594 parameters.

    Parameters
    ----------
    filters : int
        Filters of each branch, an even number.
    branch_channels, hidden_channels : int
        Channels of the branches; of the depthwise convolutions in their temporal blocks.
    repeats : int
        How often the four dilations follow one another.
    channels, groups : int
        Of the multi-resolution attention blocks.
    stage_blocks : int
        Blocks of each of the three stages.
    frame_channels, attention_channels, embedding_dim : int
        Channels of a frame before pooling; hidden size of the pooling's attention; size of the embedding.
    front_end : dict
        A front end's name and options; None: the waveform as published.

    Raises
    ------
    ValueError
        Sizes that no network can have, or a front end that gives no waveform.
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
        super().__init__(
            front_end=make_front_end(FRONT_END if front_end is None else front_end),
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
        self.stages = nn.ModuleList(
            nn.ModuleList(MultiResolutionAttention(channels, groups) for _ in range(stage_blocks))
            for _ in range(3)
        )
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
        self.embedding.bias.requires_grad_(False)  # the norm takes it away again
        self.without_gradient = unused(self)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Waveforms to embeddings.

        Parameters
        ----------
        features_BTF : (B, S, 1) float tensor
            Normalised waveforms.
        num_frames_B : (B,) int tensor
            Samples of each utterance, at least 320; all the same in training, where batch normalisation would count the padding.

        Returns
        -------
        (B, E) float32 tensor
            Not length-normalised.
        """
        waveforms_BS, num_samples_B = wrapped_to_multiple(
            features_BTF[..., 0], num_frames_B, SAMPLES
        )
        num_real_B = real_frames(
            num_samples_B, waveforms_BS.shape[1], waveforms_BS.device, self.training
        )
        aligned, finer_BCT = [], None
        for branch in self.branches:
            finer_BCT, aligned_BCT = branch(waveforms_BS, num_real_B, finer_BCT)
            aligned.append(aligned_BCT)
        num_joint_B = None if num_real_B is None else num_real_B // (SAMPLES // 2)
        first_BCT = self._stage(0, self.join(torch.cat(aligned, dim=1), num_joint_B), num_joint_B)
        second_BCT = self._stage(1, first_BCT, num_joint_B)
        third_BCT = self._stage(2, first_BCT + second_BCT, num_joint_B)
        x_BCT = F.relu(self.frames(torch.cat([first_BCT, second_BCT, third_BCT], dim=1)))
        return self.embedding_norm(
            self.embedding(self.norm(self.pooling(x_BCT, num_joint_B)))
        ).float()

    def _stage(self, number, x_BCT, num_frames_B):
        for block in self.stages[number]:
            x_BCT = block(x_BCT, num_frames_B)
        return x_BCT


def wrapped_to_multiple(
    waveforms_BS: torch.Tensor, num_samples_B: torch.Tensor, multiple: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each utterance followed by its own beginning, up to the next multiple; zeros after that.

    Parameters
    ----------
    waveforms_BS : (B, S) float tensor
        Anything may stand in the padding.
    num_samples_B : (B,) int tensor
        Samples of each utterance.
    multiple : int
        Of which each gets one.

    Returns
    -------
    waveforms_BS : (B, S) float tensor
        S is the longest utterance's multiple.
    num_samples_B : (B,) int tensor
        Multiples.
    """
    whole_B = (num_samples_B + multiple - 1) // multiple * multiple
    longest, device = int(whole_B.max()), waveforms_BS.device
    if bool((num_samples_B == longest).all()):
        return waveforms_BS[:, :longest], whole_B
    source_BS = torch.arange(longest, device=device) % num_samples_B.to(device)[:, None]
    return waveforms_BS.gather(1, source_BS).masked_fill(
        ~frame_mask(whole_B, longest, device), 0.0
    ), whole_B


class Branch(nn.Module):
    """One temporal resolution: filters over the waveform, temporal blocks, and a convolution that brings all branches to the same frames.

    Parameters
    ----------
    index : int
        0 for the finest; each further one has filters twice as long and half the frames.
    filters, channels, hidden_channels : int
        Filters; channels of the branch; channels of its depthwise convolutions.
    repeats : int
        How often the four dilations follow one another.
    sample_rate_hz : int
        Rate of the waveforms.
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
        self.blocks = nn.ModuleList(
            TemporalBlock(channels, hidden_channels, dilation)
            for _ in range(repeats)
            for dilation in DILATIONS
        )
        self.align = ConvReluNorm(channels, channels, 2 * stride + 1, stride=stride)

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        num_samples_B: torch.Tensor | None,
        finer_BCT: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the next branch takes as ``finer_BCT``, and the aligned features."""
        x_BCT, num_frames_B = self.features(waveforms_BS, num_samples_B)
        x_BCT = self.conv(x_BCT)
        if finer_BCT is not None:
            x_BCT = x_BCT + F.max_pool1d(finer_BCT, 2)
        for block in self.blocks:
            x_BCT = block(x_BCT, num_frames_B)
        return x_BCT, self.align(x_BCT, num_frames_B)


class TemporalBlock(nn.Module):
    """Conv-TasNet's block: channels to fewer, a depthwise convolution, and back, around a shortcut.

    Parameters
    ----------
    channels, hidden_channels : int
        Outside and inside.
    dilation : int
        Of the depthwise convolution of 3 frames.

    References
    ----------
    Luo and Mesgarani, "Conv-TasNet: surpassing ideal time-frequency magnitude masking for speech separation", IEEE/ACM TASLP 2019.
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
        y_BCT = self.norm1(self.activation1(self.reduce(x_BCT)), num_frames_B)
        y_BCT = self.norm2(
            self.activation2(self.conv(without_padding(y_BCT, num_frames_B))), num_frames_B
        )
        return self.increase(y_BCT) + x_BCT


class GlobalNorm(nn.Module):
    """Mean 0 and variance 1 over all channels and frames of an utterance, then a gain and an offset per channel; in float32 under autocast.

    Parameters
    ----------
    channels : int
        C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain_1C1 = nn.Parameter(torch.ones(1, channels, 1))
        self.offset_1C1 = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The normalised features; what stands in the padding means nothing."""
        x_BCT = x_BCT.float()
        deviation_BCT = x_BCT - mean_over_frames(x_BCT, num_frames_B).mean(dim=1, keepdim=True)
        variance_B11 = mean_over_frames(deviation_BCT.square(), num_frames_B).mean(
            dim=1, keepdim=True
        )
        return self.gain_1C1 * deviation_BCT / (variance_B11 + 1e-8).sqrt() + self.offset_1C1


class MultiResolutionAttention(nn.Module):
    """Three Res2Net blocks, over the frames as they are, twice as many and half as many, added to the input by weights that a gate gives.

    Parameters
    ----------
    channels, groups : int
        Of the blocks, whose inner convolutions have dilation 2.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.same, self.finer, self.coarser = (
            Res2Block(channels, channels, groups, dilation=2) for _ in range(3)
        )
        self.to_finer, self.from_coarser = (
            nn.ConvTranspose1d(channels, channels, 2, stride=2) for _ in range(2)
        )
        self.gate = PathGate(channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many channels and frames; utterances have an even number."""
        twice_B, half_B = (
            (None, None) if num_frames_B is None else (2 * num_frames_B, num_frames_B // 2)
        )
        same_BCT, _ = self.same(x_BCT, num_frames_B)
        finer_BCT, _ = self.finer(self.to_finer(x_BCT), twice_B)
        coarser_BCT, _ = self.coarser(F.avg_pool1d(x_BCT, 2), half_B)
        return x_BCT + self.gate(
            [same_BCT, F.avg_pool1d(finer_BCT, 2), self.from_coarser(coarser_BCT)], num_frames_B
        )


class PathGate(nn.Module):
    """Weighted sum of three paths; per channel the weights are a softmax over the paths.

    Parameters
    ----------
    channels : int
        C, of each path.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.Conv1d(channels, channels // 2, 1),
            nn.ReLU(),
            nn.BatchNorm1d(channels // 2),
            nn.Conv1d(channels // 2, channels, 1),
        )
        # the same for all paths: the softmax takes it away again
        self.weights[-1].bias.requires_grad_(False)

    def forward(self, paths: list[torch.Tensor], num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """(B, C, T), as each of the paths."""
        mean_BN = torch.cat(
            [mean_over_frames(path_BCT, num_frames_B) for path_BCT in paths], dim=1
        )[..., 0]
        # as published: three channels that follow one another stand where one channel's three paths would
        weights_BCK = self.weights(mean_BN.reshape(len(mean_BN), -1, len(paths))).softmax(dim=2)
        return sum(weights_BCK[:, :, k, None] * path_BCT for k, path_BCT in enumerate(paths))
