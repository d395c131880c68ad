"""Normalisation of features over a frame, an utterance or a sliding window; batched and masked.

Shapes: ``B`` batch, ``T`` frames, ``F`` features of a frame.  When to use which:

===========================  ==================================================================
``none``                     the network normalises (RawNet3), or the stored features are
                             normalised already
``frame``                    linear spectrograms of VGG (Xie et al. 2019): removes the loudness
                             of every frame
``utterance_mean``           logarithmic features of crops, where channel and loudness are
                             constant: most networks on filterbanks
``utterance_mean_variance``  the same, with the spread of each feature: Deep Speaker's paper
``sliding``                  Kaldi's x-vectors: the channel may change in a long utterance
===========================  ==================================================================
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
    """Mean, and perhaps variance, over the frames around each frame: Kaldi's apply-cmvn-sliding.

    The defaults are the options of Kaldi's VoxCeleb recipe.

    Parameters
    ----------
    window_frames : int
        Length of the window; at the ends of an utterance it is shifted, not shortened.
    centre : bool
        Whether the window is centred on the frame; otherwise it ends with the frame and has
        ``window_frames`` + 1, as in Kaldi.
    min_window_frames : int
        If the window ends with the frame: length of the window of all first frames.
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
        position = "centred"
        if not self.centre:
            position = f"up to the frame, at least {self.min_window_frames}"
        statistics = "mean and variance" if self.norm_variance else "mean"
        return f"sliding over {self.window_frames} frames {position}, {statistics}"


def make_normalisation(
    option: NormalisationOption | SlidingWindow,
) -> NormalisationName | SlidingWindow:
    """The normalisation for an option: a name, or ``{name: sliding, ...}`` with its arguments.

    UserError for a wrong mapping.
    """
    if option == "sliding":
        return SlidingWindow()
    if isinstance(option, dict):
        return build({"sliding": SlidingWindow}, option, "normalisation")
    return option


def frame_mask(
    num_frames_B: torch.Tensor, max_frames: int, device: torch.device | str
) -> torch.Tensor:
    """A mask (B, T): True for the frames of each utterance, False for its padding."""
    return torch.arange(max_frames, device=device) < num_frames_B.to(device)[:, None]


def normalise(
    features_BTF: torch.Tensor, num_frames_B: torch.Tensor, kind: NormalisationName | SlidingWindow
) -> torch.Tensor:
    """Normalise the features of a padded batch; the result is zero in the padding.

    ``frame``: mean 0 and standard deviation 1 over the features of a frame; ``utterance_mean``:
    mean 0 of each feature over the utterance; ``utterance_mean_variance``: and standard deviation
    1; a SlidingWindow: each feature over a window around the frame; ``none``: as it is.
    """
    mask_BT1 = frame_mask(num_frames_B, features_BTF.shape[1], features_BTF.device)[..., None]
    features_BTF = features_BTF.masked_fill(~mask_BT1, 0.0)
    if kind == "none":
        return features_BTF
    if kind == "frame":
        deviation_BTF = features_BTF - features_BTF.mean(dim=-1, keepdim=True)
        spread_BT1 = deviation_BTF.square().mean(dim=-1, keepdim=True).sqrt()
        return deviation_BTF / (spread_BT1 + NEARLY_ZERO)
    if isinstance(kind, SlidingWindow):
        normalised_BTF = _over_windows(features_BTF, num_frames_B, kind)
        return (normalised_BTF * mask_BT1).to(features_BTF.dtype)
    num_frames_B11 = num_frames_B.to(features_BTF.device)[:, None, None]
    # float32 sums would depend on the length of the padding
    mean_B1F = features_BTF.sum(dim=1, keepdim=True, dtype=torch.float64) / num_frames_B11
    deviation_BTF = ((features_BTF - mean_B1F) * mask_BT1).to(features_BTF.dtype)
    if kind == "utterance_mean":
        return deviation_BTF
    squares_B1F = deviation_BTF.square().sum(dim=1, keepdim=True, dtype=torch.float64)
    spread_B1F = (squares_B1F / num_frames_B11).sqrt()
    return (deviation_BTF / (spread_B1F + NEARLY_ZERO)).to(features_BTF.dtype)


def _window_ends(num_frames_B, max_frames, window, device):
    """First frame and exclusive end of each frame's window: two (B, T) tensors."""
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
    """Features (B, T, F) in float64, normalised over the window of each frame."""
    max_frames, device = features_BTF.shape[1], features_BTF.device
    start_BT, end_BT = _window_ends(num_frames_B, max_frames, window, device)
    count_BT1 = (end_BT - start_BT).clamp(min=1)[..., None]  # less than 1 only in the padding
    features_BTF = features_BTF.double()  # for differences of cumulative sums
    start_BTF = start_BT[..., None].expand_as(features_BTF)
    end_BTF = end_BT[..., None].expand_as(features_BTF)

    def window_mean(values_BTF):
        sums_BTF = torch.nn.functional.pad(values_BTF.cumsum(dim=1), (0, 0, 1, 0))
        return (sums_BTF.gather(1, end_BTF) - sums_BTF.gather(1, start_BTF)) / count_BT1

    mean_BTF = window_mean(features_BTF)
    if not window.norm_variance:
        return features_BTF - mean_BTF
    variance_BTF = window_mean(features_BTF.square()) - mean_BTF.square()
    deviation_BTF = (features_BTF - mean_BTF) * (count_BT1 > 1)
    return deviation_BTF / variance_BTF.clamp(min=LEAST_VARIANCE).sqrt()
