"""VGG's thin ResNet-34 over the magnitude spectrogram, with GhostVLAD, NetVLAD or average pooling.

The full size; features x frames x channels for 250 frames (2.49 s).  Every convolution but the last
two has no bias and is followed by batch normalisation.  A bottleneck block is 1x1, 3x3, 1x1 around
a shortcut; a stage's stride is in its first 1x1 and in the 1x1 of its shortcut.

=========  ===================================================  =============  ===========
stage      layers                                               channels       output
=========  ===================================================  =============  ===========
conv       7x7, ReLU; max pooling 2x2                           64             128x125x64
stage 2    2 bottlenecks                                        48, 48, 96     128x125x96
stage 3    3 bottlenecks, stride 2                              96, 96, 128    64x63x128
stage 4    3 bottlenecks, stride 2                              128, 128, 256  32x32x256
stage 5    3 bottlenecks, stride 2                              256, 256, 512  16x16x512
pooling    max 3x1, stride 2x1                                                 7x16x512
frames     7x1, bias, ReLU                                      512            1x16x512
weights    7x1, bias, softmax, beside ``frames``                K + G          1x16x10
VLAD       residuals to K centres, unit length per centre                      K * 512
embedding  linear, ReLU                                                        512
=========  ===================================================  =============  ===========

The authors' full ResNet-34 (``resnet34l``) has a first convolution of stride 2 and as many frames
at the end: conv_stride 2, bottleneck_channels 64 to 512, stage_channels 256 to 2048, 3 blocks per
stage, strides 1, 2, 1, 2; 29,456,842 parameters.

Source: Xie et al., "Utterance-level aggregation for speaker recognition in the wild", ICASSP 2019,
and the authors' code where it differs from the paper (the last max pooling keeps the frames: T/16).

Deviations: average pooling is global in training too (the published one leaves a time axis there).
A first convolution of stride 2 has as many zeros before its input as after it (Keras: one less
before an even number of frames).  The embedding is not length-normalised; scoring does that.
Padded batches are masked: each utterance is computed as if alone.

Shapes: ``B`` batch, ``C`` channels, ``F`` features, ``T`` frames, ``D`` channels of a frame,
``K`` centres, ``G`` ghosts, ``E`` embedding.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.models.layers.frames import check_sizes, real_frames
from steps.models.layers.maps import divide_rounding_up, masked, real_mask, to_channels_last
from steps.models.network import EmbeddingNetwork
from utils.features.registry import make_front_end, make_spec_augment

FRONT_END = {"name": "spectrogram", "normalisation": "frame"}


class ThinResNet34GhostVlad(EmbeddingNetwork):
    """Thin ResNet-34 with GhostVLAD; the defaults are the published network, 7,664,394 parameters.

    Parameters
    ----------
    conv_channels : int
        Channels of the first convolution.
    bottleneck_channels : list of int
        Inner channels of each stage's blocks.
    stage_channels : list of int
        Outer channels of each stage's blocks.
    blocks : list of int
        Blocks of each stage.
    strides : list of int
        Stride of each stage, in features and frames.
    conv_stride : int
        Stride of the first convolution.
    pooling : str
        ``vlad`` or ``average``.
    clusters : int
        Centres that make the embedding.
    ghosts : int
        Centres that collect frames without speech and are dropped; NetVLAD has 0.
    frame_channels : int
        Channels of a frame before pooling.
    embedding_dim : int
        Size of the embedding.
    front_end : dict
        A front end's name and options; None: the spectrogram, normalised per frame.
    spec_augment : dict
        Options of SpecAugment; None (as published): none.
    bn_momentum : float
        Share of a batch in the running statistics (Keras' momentum of 0.99 is 0.01).
    last_max_pooling : bool
        Published, for 257 features.  With about 80 features it would leave one or two rows, which
        hardly distinguish frequencies.
    embedding_output : str
        What follows the last layer: ``relu`` as published, or ``batch_norm``, which losses of
        cosines need to learn (all ReLU outputs point the same way at first).
    """

    def __init__(
        self,
        *,
        conv_channels: int = 64,
        bottleneck_channels: tuple[int, ...] = (48, 96, 128, 256),
        stage_channels: tuple[int, ...] = (96, 128, 256, 512),
        blocks: tuple[int, ...] = (2, 3, 3, 3),
        strides: tuple[int, ...] = (1, 2, 2, 2),
        conv_stride: int = 1,
        pooling: Literal["vlad", "average"] = "vlad",
        clusters: int = 8,
        ghosts: int = 2,
        frame_channels: int = 512,
        embedding_dim: int = 512,
        front_end: dict | None = None,
        spec_augment: dict | None = None,
        bn_momentum: float = 0.01,
        last_max_pooling: bool = True,
        embedding_output: Literal["relu", "batch_norm"] = "relu",
    ) -> None:
        check_sizes(
            conv_channels=conv_channels,
            conv_stride=conv_stride,
            clusters=clusters,
            frame_channels=frame_channels,
            embedding_dim=embedding_dim,
        )
        if ghosts < 0:
            raise ValueError(f"ghosts is {ghosts}, expected 0 or more")
        _check_stages(
            blocks=blocks,
            bottleneck_channels=bottleneck_channels,
            stage_channels=stage_channels,
            strides=strides,
        )
        if not 0 < bn_momentum <= 1:
            raise ValueError(f"bn_momentum is {bn_momentum}, expected above 0 and at most 1")
        if front_end is None:
            front_end = FRONT_END
        super().__init__(
            front_end=make_front_end(front_end),
            spec_augment=make_spec_augment(spec_augment),
            embedding_dim=embedding_dim,
            min_frames=conv_stride + 1,
        )
        self.conv = ConvNorm(1, conv_channels, 7, stride=conv_stride, bn_momentum=bn_momentum)
        self.blocks = nn.ModuleList()
        channels = conv_channels
        stages = zip(bottleneck_channels, stage_channels, blocks, strides, strict=True)
        for inner, outer, count, stride in stages:
            self.blocks.append(
                Bottleneck(
                    channels, inner, outer, stride=stride, project=True, bn_momentum=bn_momentum
                )
            )
            for _ in range(count - 1):
                self.blocks.append(
                    Bottleneck(outer, inner, outer, project=False, bn_momentum=bn_momentum)
                )
            channels = outer
        self.conv_stride, self.last_max_pooling = conv_stride, last_max_pooling
        height = self._final_height(conv_stride, strides)
        self.frames = nn.Conv2d(channels, frame_channels, (height, 1))
        self.pooling: VladPooling | AveragePooling
        if pooling == "vlad":
            self.pooling = VladPooling(channels, height, frame_channels, clusters, ghosts)
            self.without_gradient = ("pooling.ghost_centres_GD",)
        else:
            self.pooling = AveragePooling(frame_channels)
        self.embedding = nn.Linear(self.pooling.output_dim, embedding_dim)
        self.embedding_output: nn.Module = nn.ReLU()
        if embedding_output == "batch_norm":
            self.embedding_output = nn.BatchNorm1d(embedding_dim, eps=1e-3, momentum=bn_momentum)
        self.apply(_initialise)
        to_channels_last(self)

    def _final_height(self, conv_stride, strides):
        """Features that are left after the last stage and the last max pooling."""
        height = divide_rounding_up(self.front_end.num_bins, conv_stride) // 2
        for stride in strides:
            height = divide_rounding_up(height, stride)
        if not self.last_max_pooling:
            return height
        if height < 3:
            raise ValueError(
                f"front_end gives {self.front_end.num_bins} features: {height} are left for "
                "the last max pooling, which needs 3"
            )
        return (height - 3) // 2 + 1

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Spectrograms of 2 frames or more to embeddings, not length-normalised.

        No value is negative after ``relu``.
        """
        num_real_B = real_frames(num_frames_B, features_BTF, self.training)
        x_BCFT = features_BTF.transpose(1, 2)[:, None]
        x_BCFT = F.max_pool2d(F.relu(self.conv(x_BCFT)), 2)
        if num_real_B is not None:
            num_real_B = (num_real_B + self.conv_stride - 1) // self.conv_stride // 2
        mask_BT = None
        for block in self.blocks:
            assert isinstance(block, Bottleneck)
            if num_real_B is not None:
                num_real_B = (num_real_B + block.stride - 1) // block.stride
            mask_BT = real_mask(num_real_B, divide_rounding_up(x_BCFT.shape[3], block.stride))
            x_BCFT = block(x_BCFT, mask_BT)
        if self.last_max_pooling:
            x_BCFT = F.max_pool2d(x_BCFT, (3, 1), stride=(2, 1))
        frames_BD1T = F.relu(self.frames(x_BCFT))
        pooled_BN = self.pooling(x_BCFT, frames_BD1T, mask_BT)
        return self.embedding_output(self.embedding(pooled_BN).float())


class ConvNorm(nn.Sequential):
    """Convolution without bias, and batch normalisation.

    T frames become T / stride, rounded up.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        bn_momentum: float,
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
            ),
            # Keras' eps; 1e-5 moves the embeddings by 4 %
            nn.BatchNorm2d(out_channels, eps=1e-3, momentum=bn_momentum),
        )


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut; ``project``: with a 1x1 on the shortcut.

    ``stride`` is that of the first 1x1 and of the shortcut's.
    """

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        project: bool,
        bn_momentum: float,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.reduce = ConvNorm(in_channels, inner_channels, 1, bn_momentum=bn_momentum)
        self.conv = ConvNorm(inner_channels, inner_channels, 3, bn_momentum=bn_momentum)
        self.increase = ConvNorm(inner_channels, out_channels, 1, bn_momentum=bn_momentum)
        self.shortcut: nn.Module = nn.Identity()
        if project:
            self.shortcut = ConvNorm(in_channels, out_channels, 1, bn_momentum=bn_momentum)

    def forward(self, x_BCFT: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
        """The block's output; ``mask_BT`` is True for its real frames, None: all are real."""
        # see steps.models.layers.maps.strided; without a stride this lays the map out
        x_BCFT = x_BCFT[:, :, :: self.stride, :: self.stride]
        x_BCFT = x_BCFT.contiguous(memory_format=torch.channels_last)
        y_BCFT = F.relu(self.reduce(x_BCFT))
        # the 3x3 is the only layer that sees neighbours: it must see zeros in the padding
        y_BCFT = masked(y_BCFT, mask_BT)
        y_BCFT = F.relu(self.conv(y_BCFT))
        return F.relu(self.increase(y_BCFT) + self.shortcut(x_BCFT))


class VladPooling(nn.Module):
    """Weighted sums of the frames' differences from learned centres, each of unit length.

    A convolution of ``height`` over the map computes the weights, a softmax over centres.  Ghosts
    take part in the softmax only; the published network has weights for them and never uses them.
    """

    def __init__(
        self, in_channels: int, height: int, frame_channels: int, clusters: int, ghosts: int
    ) -> None:
        super().__init__()
        self.output_dim = clusters * frame_channels
        self.weights = nn.Conv2d(in_channels, clusters + ghosts, (height, 1))
        self.centres_KD = nn.Parameter(torch.empty(clusters, frame_channels))
        self.ghost_centres_GD = nn.Parameter(
            torch.empty(ghosts, frame_channels), requires_grad=False
        )
        # the centres of both kinds are rows of one orthogonal matrix, as published
        centres_ND = nn.init.orthogonal_(torch.empty(clusters + ghosts, frame_channels))
        self.centres_KD.data = centres_ND[:clusters].clone()
        self.ghost_centres_GD.data = centres_ND[clusters:].clone()

    def forward(
        self, x_BCFT: torch.Tensor, frames_BD1T: torch.Tensor, mask_BT: torch.Tensor | None
    ) -> torch.Tensor:
        """One vector of K * D per utterance, centre after centre."""
        logits_BNT = self.weights(x_BCFT).squeeze(2).float()
        weights_BNT = logits_BNT.softmax(dim=1)
        with torch.autocast(x_BCFT.device.type, enabled=False):  # differences of sums over frames
            weights_BKT = weights_BNT[:, : len(self.centres_KD)]
            if mask_BT is not None:
                weights_BKT = weights_BKT * mask_BT[:, None]
            frames_BTD = frames_BD1T.squeeze(2).float().transpose(1, 2)
            sums_BKD = weights_BKT @ frames_BTD
            residuals_BKD = sums_BKD - weights_BKT.sum(dim=2, keepdim=True) * self.centres_KD
            return F.normalize(residuals_BKD, dim=2).flatten(1)


class AveragePooling(nn.Module):
    """Mean over frames."""

    def __init__(self, frame_channels: int) -> None:
        super().__init__()
        self.output_dim = frame_channels

    def forward(
        self, x_BCFT: torch.Tensor, frames_BD1T: torch.Tensor, mask_BT: torch.Tensor | None
    ) -> torch.Tensor:
        """One vector of D per utterance."""
        frames_BDT = frames_BD1T.squeeze(2).float()
        if mask_BT is None:
            return frames_BDT.mean(dim=2)
        return (frames_BDT * mask_BT[:, None]).sum(dim=2) / mask_BT.sum(dim=1, keepdim=True)


def _initialise(module):
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check_stages(**options):
    """Raise ValueError for options per stage that are no sizes or differ in length."""
    listed = []
    for name, values in options.items():
        values = list(values)
        if not values or min(values) < 1:
            raise ValueError(
                f"{name} is {values}, expected whole numbers of 1 or more, one per stage"
            )
        listed.append(f"{name} {values}")
    if len({len(values) for values in options.values()}) > 1:
        raise ValueError(
            f"{', '.join(listed[:-1])} and {listed[-1]} differ in length, "
            "expected one value per stage in each"
        )
