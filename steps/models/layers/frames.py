"""Layers over frames that several networks share; each leaves the padding out, so that an utterance is computed as if it were alone.

Everywhere ``num_frames_B`` holds the frames of each utterance, or is None where all T frames are real.
Shapes: ``B`` batch, ``S`` samples, ``C`` channels, ``T`` frames.
"""

import torch
import torch.nn.functional as F
from torch import nn

from utils.features.normalisation import frame_mask


def real_frames(
    num_frames_B: torch.Tensor, max_frames: int, device: torch.device, training: bool
) -> torch.Tensor | None:
    """What the layers here take as ``num_frames_B``.

    Parameters
    ----------
    num_frames_B : (B,) int tensor
        Frames of each utterance.
    max_frames : int
        T.
    device : device
        Where the layers are.
    training : bool
        Then all utterances must have T frames: batch normalisation would count the padding.

    Returns
    -------
    (B,) int tensor or None
        None where no utterance is padded.

    Raises
    ------
    ValueError
        Unequal lengths in training.
    """
    if not bool((num_frames_B != max_frames).any()):
        return None
    if training:
        raise ValueError("utterances of one training batch must have the same length")
    return num_frames_B.to(device)


def without_padding(x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """Zeros after the end of each utterance: what a convolution must see there.

    Parameters
    ----------
    x_BCT : (B, C, T) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance.
    """
    return (
        x_BCT
        if num_frames_B is None
        else x_BCT.masked_fill(
            ~frame_mask(num_frames_B, x_BCT.shape[2], x_BCT.device)[:, None], 0.0
        )
    )


def mean_over_frames(x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """Mean of each channel, (B, C, 1).

    Parameters
    ----------
    x_BCT : (B, C, T) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance.
    """
    if num_frames_B is None:
        return x_BCT.mean(dim=2, keepdim=True)
    return (
        without_padding(x_BCT, num_frames_B).sum(dim=2, keepdim=True) / num_frames_B[:, None, None]
    )


def variance_over_frames(x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
    """Unbiased variance of each channel, (B, C, 1).

    Parameters
    ----------
    x_BCT : (B, C, T) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance, 2 or more.
    """
    if num_frames_B is None:
        return x_BCT.var(dim=2, keepdim=True)
    deviation_BCT = without_padding(x_BCT - mean_over_frames(x_BCT, num_frames_B), num_frames_B)
    return deviation_BCT.square().sum(dim=2, keepdim=True) / (num_frames_B - 1)[:, None, None]


def max_pool(
    x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None, size: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Largest value of every ``size`` frames; frames left over at an utterance's end are dropped.

    Parameters
    ----------
    x_BCT : (B, C, T) float tensor
        Anything may stand in the padding: a window that touches it is dropped.
    num_frames_B : (B,) int tensor or None
        Frames of each utterance.
    size : int
        Frames of a window, and its stride.
    """
    return F.max_pool1d(x_BCT, size), None if num_frames_B is None else num_frames_B // size


class FeatureMapScaling(nn.Module):
    """RawNet2's FMS, (x + 1) * s: one scale per channel, the sigmoid of a linear layer over the channels' means.

    Parameters
    ----------
    channels : int
        C.

    References
    ----------
    Jung et al., "Improved RawNet with feature map scaling for text-independent speaker verification using raw waveforms", Interspeech 2020.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x_BCT: torch.Tensor, num_frames_B: torch.Tensor | None) -> torch.Tensor:
        """The scaled features; what stands in the padding means nothing."""
        scale_BC1 = self.linear(mean_over_frames(x_BCT, num_frames_B)[..., 0]).sigmoid()[..., None]
        return (x_BCT + self.shift()) * scale_BC1

    def shift(self) -> torch.Tensor | float:
        """What is added before scaling."""
        return 1.0


class AlphaFeatureMapScaling(FeatureMapScaling):
    """alpha-FMS, (x + alpha) * s: what is added is learnt, channel by channel, from 1.

    Parameters
    ----------
    channels : int
        C.

    References
    ----------
    Jung et al., "alpha-feature map scaling for raw waveform speaker verification", Journal of the Acoustical Society of Korea, 2020.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.alpha_C1 = nn.Parameter(torch.ones(channels, 1))

    def shift(self) -> torch.Tensor:
        """alpha, (C, 1)."""
        return self.alpha_C1


def to_length(x_BE: torch.Tensor, *, offset: float, length: float = 1.0) -> torch.Tensor:
    """Vectors brought to one length by their root of the sum of squares.

    Parameters
    ----------
    x_BE : (B, E) float tensor
        Vectors.
    offset : float
        Added to the sum of squares.
    length : float
        What vectors much longer than the root of ``offset`` get.
    """
    return length * x_BE / (x_BE.square().sum(dim=1, keepdim=True) + offset).sqrt()


def unused(network: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that take no gradient: what a network declares as ``without_gradient``.

    Parameters
    ----------
    network : module
        Whose unused parameters were frozen.
    """
    return tuple(
        name for name, parameter in network.named_parameters() if not parameter.requires_grad
    )


def check_sizes(**sizes: int | tuple[int, ...]) -> None:
    """Refuse sizes that no network can have.

    Parameters
    ----------
    **sizes : int or sequence of int
        Option -> its value, or values: each 1 or more.

    Raises
    ------
    ValueError
        Names the first that is not.
    """
    for name, value in sizes.items():
        values = [value] if isinstance(value, int) else list(value)
        if not values or min(values) < 1:
            raise ValueError(
                f"{name} is {value if isinstance(value, int) else values}, expected 1 or more"
            )
