"""Layers over frames that several networks share.

They leave the padding out: each utterance is computed as if it were alone in the batch.
Everywhere ``num_frames_B`` holds the frames of each utterance, or is None if all T frames are real.
Shapes: ``B`` batch, ``S`` samples, ``C`` channels, ``T`` frames.
"""

import torch
import torch.nn.functional as F
from torch import nn

from utils.features.normalisation import frame_mask


def real_frames(
    num_frames_B: torch.Tensor, features_BTF: torch.Tensor, training: bool
) -> torch.Tensor | None:
    """``num_frames_B`` as the layers take it: None if no utterance is padded.

    Raises ValueError for unequal lengths in training: batch normalisation would count the padding.
    """
    if not bool((num_frames_B != features_BTF.shape[1]).any()):
        return None
    if training:
        raise ValueError("utterances of one training batch must have the same length")
    return num_frames_B.to(features_BTF.device)


def divide_frames(num_frames_B: torch.Tensor | None, factor: int) -> torch.Tensor | None:
    """Numbers of frames after pooling or a stride, rounded down."""
    if num_frames_B is None:
        return None
    return num_frames_B // factor


def without_padding(x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """Features with zeros in the padding, which a convolution must see there."""
    if num_frames_B is None:
        return x_BCT
    mask_BT = frame_mask(num_frames_B, x_BCT.shape[2], x_BCT.device)
    return x_BCT.masked_fill(~mask_BT[:, None], 0.0)


def mirrored_ends(x_BCT: torch.Tensor, num_frames_B: torch.Tensor, width: int) -> torch.Tensor:
    """Features with ``width`` frames more at both ends of each utterance: the utterance mirrored.

    The outermost frame is not repeated; an utterance has more than ``width`` frames.
    """
    extended_BCT = F.pad(x_BCT, (width, width), mode="reflect")
    behind_W = torch.arange(width, device=x_BCT.device)
    source_B1W = (num_frames_B[:, None] - 2 - behind_W)[:, None]
    target_B1W = (num_frames_B[:, None] + width + behind_W)[:, None]
    sizes = (-1, x_BCT.shape[1], -1)
    last_BCW = x_BCT.gather(2, source_B1W.expand(sizes))
    return extended_BCT.scatter(2, target_B1W.expand(sizes), last_BCW)


def mean_over_frames(x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """Mean of each channel, (B, C, 1)."""
    if num_frames_B is None:
        return x_BCT.mean(dim=2, keepdim=True)
    sum_BC1 = without_padding(x_BCT, num_frames_B).sum(dim=2, keepdim=True)
    return sum_BC1 / num_frames_B[:, None, None]


def variance_over_frames(
    x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None, *, unbiased: bool = True
) -> torch.Tensor:
    """Variance of each channel, (B, C, 1); the unbiased one is of 2 frames or more."""
    if num_frames_B is None:
        return x_BCT.var(dim=2, keepdim=True, correction=int(unbiased))
    deviation_BCT = x_BCT - mean_over_frames(x_BCT, num_frames_B)
    deviation_BCT = without_padding(deviation_BCT, num_frames_B)
    sum_BC1 = deviation_BCT.square().sum(dim=2, keepdim=True)
    return sum_BC1 / (num_frames_B - int(unbiased))[:, None, None]


def max_pool(
    x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None, size: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Largest value of every ``size`` frames, and the numbers of frames.

    Frames left over at an utterance's end are dropped.
    """
    return F.max_pool1d(x_BCT, size), divide_frames(num_frames_B, size)


class FeatureMapScaling(nn.Module):
    """RawNet2's FMS, (x + 1) * s: s is the sigmoid of a linear layer over the channels' means.

    Jung et al., "Improved RawNet with feature map scaling for text-independent speaker
    verification using raw waveforms", Interspeech 2020.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The scaled features; their padding is undefined."""
        mean_BC = mean_over_frames(x_BCT, num_frames_B)[..., 0]
        scale_BC = self.linear(mean_BC).sigmoid()
        return (x_BCT + self.shift()) * scale_BC[..., None]

    def shift(self) -> torch.Tensor | float:
        """What is added before scaling."""
        return 1.0


class AlphaFeatureMapScaling(FeatureMapScaling):
    """alpha-FMS, (x + alpha) * s: alpha is learned for each channel and starts at 1.

    Jung et al., "alpha-feature map scaling for raw waveform speaker verification", Journal of the
    Acoustical Society of Korea, 2020.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.alpha_C1 = nn.Parameter(torch.ones(channels, 1))

    def shift(self) -> torch.Tensor:
        """alpha, (C, 1)."""
        return self.alpha_C1


def to_length(x_BE: torch.Tensor, *, offset: float, length: float = 1.0) -> torch.Tensor:
    """Vectors times ``length`` over the square root of their sum of squares plus ``offset``."""
    squared_length_B1 = x_BE.square().sum(dim=1, keepdim=True)
    return length * x_BE / (squared_length_B1 + offset).sqrt()


def frozen_parameters(network: nn.Module) -> tuple[str, ...]:
    """Names of the parameters without a gradient, which a network lists as ``without_gradient``."""
    names = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            names.append(name)
    return tuple(names)


def check_sizes(**sizes: int | tuple[int, ...]) -> None:
    """Raise ValueError, with the option's name, for a size or a list of sizes below 1."""
    for name, value in sizes.items():
        if isinstance(value, int):
            if value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")
        elif not value or min(value) < 1:
            raise ValueError(f"{name} is {list(value)}, expected 1 or more")
