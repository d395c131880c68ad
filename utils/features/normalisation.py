"""Normalisation of features: over a frame, an utterance, or a window that slides over it; batched, masked, and independent of the front end.

Shapes: ``B`` batch, ``T`` frames, ``F`` features of a frame.  What to choose when:

=========================  ==============================================================================================================
``none``                   the network normalises (RawNet3), or the features were normalised before they were stored
``frame``                  linear spectrograms of VGG (Xie et al. 2019): loudness of every single frame taken away
``utterance_mean``         logarithmic features of crops, where channel and loudness are a constant: most networks over filterbanks
``utterance_mean_variance``  the same and each feature's spread: Deep Speaker's paper
``sliding``                Kaldi's x-vectors: the channel may change within a long utterance
=========================  ==============================================================================================================
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from utils.config import build

NEARLY_ZERO = 1e-5  # added to standard deviations (Xie et al. 2019, published code)
LEAST_VARIANCE = 1e-10  # Kaldi's floor within a sliding window
NormalisationName = Literal["none", "frame", "utterance_mean", "utterance_mean_variance", "sliding"]
NormalisationOption = NormalisationName | dict[str, Any]


@dataclass(frozen=True)
class SlidingWindow:
    """Mean, and on demand variance, over the frames around each frame: apply-cmvn-sliding, with the options of Kaldi's VoxCeleb recipe as defaults.

    Parameters
    ----------
    window_frames : int
        Length of the window; at the ends of an utterance it is moved inwards, not shortened.
    centre : bool
        Whether the window lies around the frame; otherwise it ends with the frame and holds ``window_frames`` + 1, as Kaldi's does.
    min_window_frames : int
        Where the window ends with the frame: the first frames share a window of so many.
    norm_variance : bool
        Whether the standard deviation becomes 1; a window of a single frame then gives zeros.

    References
    ----------
    Kaldi, src/feat/feature-functions.cc, SlidingWindowCmn.
    """

    window_frames: int = 300
    centre: bool = True
    min_window_frames: int = 100
    norm_variance: bool = False

    def __post_init__(self) -> None:
        for name in ("window_frames", "min_window_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def __str__(self) -> str:
        place = "centred" if self.centre else f"up to the frame, at least {self.min_window_frames}"
        return f"sliding over {self.window_frames} frames {place}, {'mean and variance' if self.norm_variance else 'mean'}"


def make_normalisation(
    option: NormalisationOption | SlidingWindow,
) -> NormalisationName | SlidingWindow:
    """What :func:`normalise` takes, from the value of an option.

    Parameters
    ----------
    option : str or mapping
        A name; or ``{name: sliding, ...}`` with arguments of :class:`SlidingWindow`.

    Raises
    ------
    UserError
        As :func:`utils.config.build`.
    """
    if option == "sliding":
        return SlidingWindow()
    return (
        build({"sliding": SlidingWindow}, option, "normalisation")
        if isinstance(option, dict)
        else option
    )


def frame_mask(
    num_frames_B: torch.Tensor, max_frames: int, device: torch.device | str
) -> torch.Tensor:
    """True for the frames of each utterance, False for its padding.

    Parameters
    ----------
    num_frames_B : (B,) int tensor
        Frames of each utterance.
    max_frames : int
        T.
    device : device
        Where the mask is made.

    Returns
    -------
    (B, T) bool tensor
    """
    return torch.arange(max_frames, device=device) < num_frames_B.to(device)[:, None]


def normalise(
    features_BTF: torch.Tensor, num_frames_B: torch.Tensor, kind: NormalisationName | SlidingWindow
) -> torch.Tensor:
    """Normalise the features of a padded batch and set those of the padding to zero.

    Parameters
    ----------
    features_BTF : (B, T, F) float tensor
        Anything may stand in the padding.
    num_frames_B : (B,) int tensor
        Frames of each utterance.
    kind : str or SlidingWindow
        ``none``; ``frame``: each frame gets mean 0 and standard deviation 1 over its features; ``utterance_mean``: each feature gets mean 0 over
        the utterance; ``utterance_mean_variance``: and standard deviation 1; a SlidingWindow: each feature over a window around the frame.

    Returns
    -------
    (B, T, F) float tensor
        Zero in the padding.
    """
    mask_BT1 = frame_mask(num_frames_B, features_BTF.shape[1], features_BTF.device)[..., None]
    features_BTF = features_BTF.masked_fill(~mask_BT1, 0.0)
    if kind == "none":
        return features_BTF
    if kind == "frame":
        deviation_BTF = features_BTF - features_BTF.mean(dim=-1, keepdim=True)
        return deviation_BTF / (
            deviation_BTF.square().mean(dim=-1, keepdim=True).sqrt() + NEARLY_ZERO
        )
    if isinstance(kind, SlidingWindow):
        return (_over_windows(features_BTF, num_frames_B, kind) * mask_BT1).to(features_BTF.dtype)
    num_frames_B11 = num_frames_B.to(features_BTF.device)[:, None, None]
    # float32 sums would differ with the padding's length
    mean_B1F = features_BTF.sum(dim=1, keepdim=True, dtype=torch.float64) / num_frames_B11
    deviation_BTF = ((features_BTF - mean_B1F) * mask_BT1).to(features_BTF.dtype)
    if kind == "utterance_mean":
        return deviation_BTF
    variance_B1F = (
        deviation_BTF.square().sum(dim=1, keepdim=True, dtype=torch.float64) / num_frames_B11
    )
    return (deviation_BTF / (variance_B1F.sqrt() + NEARLY_ZERO)).to(features_BTF.dtype)


def _window_ends(num_frames_B, max_frames, window, device):
    """Where each frame's window begins and, exclusively, ends: two (B, T) tensors."""
    last_B1, frame_T = num_frames_B.to(device)[:, None], torch.arange(max_frames, device=device)
    if window.centre:
        start_T = (frame_T - window.window_frames // 2).clamp(min=0)
        end_T = start_T + window.window_frames
    else:
        start_T = (frame_T - window.window_frames).clamp(min=0)
        end_T = (frame_T + 1).clamp(min=window.min_window_frames)
    start_BT = (start_T - (end_T - last_B1).clamp(min=0)).clamp(min=0)
    return start_BT, torch.minimum(end_T, last_B1).clamp(min=1)


def _over_windows(features_BTF, num_frames_B, window):
    start_BT, end_BT = _window_ends(
        num_frames_B, features_BTF.shape[1], window, features_BTF.device
    )
    features_BTF = features_BTF.double()  # differences of running sums

    def window_mean(values_BTF):
        running_BTF = torch.nn.functional.pad(values_BTF.cumsum(dim=1), (0, 0, 1, 0))
        start_BTF, end_BTF = (
            at_BT[..., None].expand_as(values_BTF) for at_BT in (start_BT, end_BT)
        )
        return (running_BTF.gather(1, end_BTF) - running_BTF.gather(1, start_BTF)) / count_BT1

    count_BT1 = (end_BT - start_BT).clamp(min=1)[..., None]  # 1 or more but in the padding
    mean_BTF = window_mean(features_BTF)
    if not window.norm_variance:
        return features_BTF - mean_BTF
    variance_BTF = (window_mean(features_BTF.square()) - mean_BTF.square()).clamp(
        min=LEAST_VARIANCE
    )
    return (features_BTF - mean_BTF) * (count_BT1 > 1) / variance_BTF.sqrt()
