"""CAM++: a dense TDNN over filterbanks, whose convolutions are scaled by context-aware masks.

The published sizes; features x frames x channels for 200 frames.  A dense layer appends 32 channels
to its input; it is norm, ReLU, 1x1 to 128 channels, norm, ReLU, and a convolution of 3 frames,
times a mask in (0, 1).  The mask is made of the mean over the utterance plus the mean over the
frame's segment of 100 frames: 1x1 to 64, ReLU, 1x1 to 32, sigmoid.

=========  =======================================================  ========  =========
stage      layers                                                   channels  output
=========  =======================================================  ========  =========
head       3x3, norm, ReLU; two residual blocks, stride 2 over      32        10x200x32
           features, twice; 3x3 of that stride, norm, ReLU
first      convolution of 5 frames, stride 2; norm, ReLU            128       100x128
stage 1    12 dense layers; norm, ReLU, 1x1                         256       100x256
stage 2    24 dense layers of dilation 2; likewise                  512       100x512
stage 3    16 dense layers of dilation 2; likewise; norm, ReLU      512       100x512
pooling    mean and standard deviation over frames                            1024
embedding  linear without bias; norm without scale and shift                  192 or 512
=========  =======================================================  ========  =========

Source: Wang et al., "CAM++: a fast and efficient network for speaker verification using
context-aware masking", Interspeech 2023, as in 3D-Speaker; WeSpeaker's differs in its front end
(a hamming window, 16-bit samples) and adds 1e-7 to the variances.

Deviations: padded batches are masked, each utterance is computed as if alone.  Masks are computed
once per segment, which gives the same values.

Shapes: ``B`` batch, ``C`` channels, ``F`` features, ``T`` frames, ``S`` segments, ``E`` embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, mean_over_frames, real_frames, without_padding
from steps.models.layers.maps import (
    BasicBlock,
    divide_rounding_up,
    masked,
    real_mask,
    to_channels_last,
)
from steps.models.layers.pooling import statistics_over_frames
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {
    "name": "kaldi_fbank",
    "num_mel_bins": 80,
    "full_scale": 1.0,
    "normalisation": "utterance_mean",
}
HEAD_STRIDE = 8  # of the features, in three times 2


class CamPlusPlus(EmbeddingNetwork):
    """CAM++; the defaults are 3D-Speaker's network for embeddings of 192.

    Parameters
    ----------
    head_channels : int
        Channels of the convolutions over features and frames.
    first_channels : int
        Channels of the first convolution over frames.
    layers : list of int
        Dense layers of each stage; a stage ends with half of the channels it reaches.
    dilations : list of int
        Dilation of each stage's convolutions.
    growth_channels : int
        Channels that a dense layer appends.
    dense_channels : int
        Channels within a dense layer; the hidden size of its mask is half as many.
    segment_frames : int
        Length of a segment of the masks, in frames after the first stride of 2.
    embedding_dim : int
        Size of the embedding; 512 in the networks trained on VoxCeleb.
    variance_offset : float
        Added to the variances of the pooling; 1e-7 in WeSpeaker's files.
    front_end : dict
        A front end's name and options; None: Kaldi's filterbank of 80, of samples in [-1, 1], less
        its mean over the utterance.
    spec_augment : dict
        Options of SpecAugment; None: none.
    """

    def __init__(
        self,
        *,
        head_channels: int = 32,
        first_channels: int = 128,
        layers: tuple[int, ...] = (12, 24, 16),
        dilations: tuple[int, ...] = (1, 2, 2),
        growth_channels: int = 32,
        dense_channels: int = 128,
        segment_frames: int = 100,
        embedding_dim: int = 192,
        variance_offset: float = 0.0,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
    ) -> None:
        check_sizes(
            head_channels=head_channels,
            first_channels=first_channels,
            layers=layers,
            dilations=dilations,
            growth_channels=growth_channels,
            segment_frames=segment_frames,
            embedding_dim=embedding_dim,
        )
        if dense_channels < 2:
            raise ValueError(f"dense_channels is {dense_channels}, expected 2 or more")
        if len(layers) != len(dilations):
            raise ValueError(
                f"layers {list(layers)} and dilations {list(dilations)} differ in length, "
                "expected one value per stage in each"
            )
        if variance_offset < 0:
            raise ValueError(f"variance_offset is {variance_offset}, expected 0 or more")
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=3,  # the stride leaves two for the standard deviation
        )
        self.variance_offset = variance_offset
        self.head = Head(head_channels)
        height = divide_rounding_up(self.front_end.num_bins, HEAD_STRIDE)
        self.first = nn.Conv1d(
            head_channels * height, first_channels, 5, stride=2, padding=2, bias=False
        )
        self.first_norm = nn.BatchNorm1d(first_channels)
        self.stages = nn.ModuleList()
        channels = first_channels
        for count, dilation in zip(layers, dilations, strict=True):
            stage = Stage(
                channels, count, dilation, growth_channels, dense_channels, segment_frames
            )
            self.stages.append(stage)
            channels = stage.out_channels
        self.norm = nn.BatchNorm1d(channels)
        self.embedding = nn.Linear(2 * channels, embedding_dim, bias=False)
        self.embedding_norm = nn.BatchNorm1d(embedding_dim, affine=False)
        self.apply(_initialise)
        to_channels_last(self)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Filterbanks of 3 frames or more to embeddings, not length-normalised."""
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCT = self.head(features_BTF, num_real_B)
        x_BCT = F.relu(self.first_norm(self.first(x_BCT)))
        if num_real_B is not None:
            num_real_B = (num_real_B + 1) // 2
        for stage in self.stages:
            x_BCT = stage(x_BCT, num_real_B)
        x_BCT = F.relu(self.norm(x_BCT))
        statistics_BN = statistics_over_frames(
            x_BCT, num_real_B, variance_offset=self.variance_offset
        )
        embedding_BE = self.embedding_norm(self.embedding(statistics_BN))
        return embedding_BE.to(torch.promote_types(embedding_BE.dtype, torch.float32))


class Head(nn.Module):
    """Convolutions over maps that leave every eighth feature and all frames.

    (B, T, F) to (B, C x F / 8, T); the padding is zero in the input and the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList(
            BasicBlock(channels, channels, stride=stride, frame_stride=1) for stride in (2, 1, 2, 1)
        )
        self.last = nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)
        self.last_norm = nn.BatchNorm2d(channels)

    def forward(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor | None):
        """The maps of each frame as one vector, channel by channel."""
        mask_BT = real_mask(num_frames_B, features_BTF.shape[1])
        x_BCFT = self.conv(features_BTF.transpose(1, 2)[:, None])
        x_BCFT = masked(F.relu(self.norm(x_BCFT)), mask_BT)
        for block in self.blocks:
            x_BCFT = block(x_BCFT, mask_BT)
        x_BCFT = masked(F.relu(self.last_norm(self.last(x_BCFT))), mask_BT)
        return x_BCFT.flatten(1, 2)


class Stage(nn.Module):
    """Dense layers, then norm, ReLU and a 1x1 convolution to half of the channels."""

    def __init__(
        self,
        channels: int,
        count: int,
        dilation: int,
        growth_channels: int,
        dense_channels: int,
        segment_frames: int,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(count):
            layer = DenseLayer(channels, growth_channels, dense_channels, dilation, segment_frames)
            self.layers.append(layer)
            channels += growth_channels
        self.out_channels = channels // 2
        self.norm = nn.BatchNorm1d(channels)
        self.conv = nn.Conv1d(channels, self.out_channels, 1, bias=False)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """As many frames; their padding is undefined."""
        for layer in self.layers:
            x_BCT = torch.cat([x_BCT, layer(x_BCT, num_frames_B)], dim=1)
        return self.conv(F.relu(self.norm(x_BCT)))


class DenseLayer(nn.Module):
    """The channels that a dense layer appends: a convolution of 3 frames times its mask."""

    def __init__(
        self,
        in_channels: int,
        growth_channels: int,
        dense_channels: int,
        dilation: int,
        segment_frames: int,
    ) -> None:
        super().__init__()
        self.segment_frames = segment_frames
        self.norm1 = nn.BatchNorm1d(in_channels)
        self.conv1 = nn.Conv1d(in_channels, dense_channels, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(dense_channels)
        self.conv2 = nn.Conv1d(
            dense_channels, growth_channels, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.mask1 = nn.Conv1d(dense_channels, dense_channels // 2, 1)
        self.mask2 = nn.Conv1d(dense_channels // 2, growth_channels, 1)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """(B, growth channels, T); the padding is undefined."""
        x_BCT = self.conv1(F.relu(self.norm1(x_BCT)))
        x_BCT = without_padding(F.relu(self.norm2(x_BCT)), num_frames_B)
        context_BCS = segment_means(x_BCT, num_frames_B, self.segment_frames)
        context_BCS = context_BCS + mean_over_frames(x_BCT, num_frames_B)
        mask_BCS = self.mask2(F.relu(self.mask1(context_BCS))).sigmoid()
        mask_BCT = mask_BCS.repeat_interleave(self.segment_frames, dim=2)
        return self.conv2(x_BCT) * mask_BCT[..., : x_BCT.shape[2]]


def segment_means(
    x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None, segment_frames: int
) -> torch.Tensor:
    """Mean of each channel over every ``segment_frames`` frames, (B, C, S).

    The last segment of an utterance may be shorter; one without real frames has mean 0.  The
    padding is zero in the input.
    """
    max_frames = x_BCT.shape[2]
    if num_frames_B is None:
        num_frames_B = torch.tensor([max_frames], device=x_BCT.device)
    num_segments = divide_rounding_up(max_frames, segment_frames)
    x_BCT = F.pad(x_BCT, (0, num_segments * segment_frames - max_frames))
    sum_BCS = x_BCT.unflatten(2, (num_segments, segment_frames)).sum(dim=3)
    first_S = torch.arange(num_segments, device=x_BCT.device) * segment_frames
    count_BS = (num_frames_B[:, None] - first_S).clamp(min=1, max=segment_frames)
    return sum_BCS / count_BS[:, None]


def _initialise(module):
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.kaiming_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
