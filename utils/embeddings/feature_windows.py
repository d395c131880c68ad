"""Windows of the features of whole utterances: Resemblyzer's test protocol."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from utils.config import make
from utils.embeddings.preparation import Preparation
from utils.embeddings.protocol_base import Protocol
from utils.errors import UserError

if TYPE_CHECKING:
    import torch

    from steps.models.network import EmbeddingNetwork
    from utils.features.base import FramedFrontEnd


class FeatureWindows(Protocol):
    """Windows of frames, a number of frames apart, of the features of the whole utterance.

    Unlike those of `Windows`, frames at the ends of a window reach into its neighbours, silence
    lies around the utterance, and a last window of which less than ``min_coverage`` is audio is
    left out, if it is not the only one. With ``unit_length`` the mean is scaled to length 1.
    ``preparation``: `Preparation`'s options; None: the utterance stays as it is.
    """

    num_pieces = None
    extends_by_silence = True

    def __init__(
        self,
        window_frames: int,
        step_frames: int,
        min_coverage: float = 1.0,
        length_normalise: bool = False,
        unit_length: bool = False,
        preparation: dict[str, Any] | None = None,
    ):
        super().__init__("mean", length_normalise)
        if not 1 <= step_frames <= window_frames:
            raise ValueError(
                f"window_frames is {window_frames} and step_frames {step_frames}, expected a step "
                "of 1 to window_frames"
            )
        if not 0 < min_coverage <= 1:
            raise ValueError(f"min_coverage is {min_coverage:g}, expected more than 0, at most 1")
        self.window_frames, self.step_frames = window_frames, step_frames
        self.min_coverage, self.unit_length = min_coverage, unit_length
        if preparation is not None:
            self.preparation = make(Preparation, preparation, "preparation")

    def size(self, network: "EmbeddingNetwork") -> int:
        """Samples that a window's frames and those before them reach."""
        front_end = _framed(network)
        num_frames = self._frames_before(network) + self.window_frames
        last_sample = front_end.first_sample + (num_frames - 1) * front_end.hop_samples
        return max(last_sample + front_end.window_samples, front_end.min_samples(num_frames))

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """The windows; the first begins before the utterance."""
        del utterance
        hop = network.front_end.hop_samples
        last_start = num_samples // hop + 1 - self.window_frames + self.step_frames
        frames = list(range(0, max(0, last_start) + 1, self.step_frames))
        covered = num_samples - frames[-1] * hop
        if len(frames) > 1 and covered < self.min_coverage * self.window_frames * hop:
            frames.pop()
        before = self._frames_before(network)
        return self.size(network), [(frame - before) * hop for frame in frames]

    def embed(
        self,
        network: "EmbeddingNetwork",
        waveforms_BS: "torch.Tensor",
        lengths_B: "torch.Tensor",
    ) -> "torch.Tensor":
        """Embeddings of the windows, without the frames beside them."""
        features_BTF, num_frames_B = network.front_end(waveforms_BS, lengths_B)
        first = self._frames_before(network)
        window_BTF = features_BTF[:, first : first + self.window_frames]
        return network.trunk(window_BTF, num_frames_B.clamp(max=self.window_frames))

    def check(self, network: "EmbeddingNetwork") -> None:
        """Raise UserError if the network has no frames, or normalises over more than a frame."""
        from utils.features.base import FramedFrontEnd

        front_end, name = network.front_end, type(network).__name__
        if not isinstance(front_end, FramedFrontEnd):
            raise UserError(
                f"protocol '{self.name}' takes windows of frames of audio, {name} reads stored "
                "features or samples; choose another"
            )
        if front_end.normalisation not in ("none", "frame"):
            raise UserError(
                f"protocol '{self.name}' takes windows of frames, {name} normalises them over "
                f"more than a frame ({front_end.normalisation}); choose another"
            )
        super().check(network)

    def combine(self, embeddings_NE: np.ndarray) -> np.ndarray:
        """As `Protocol.combine`, of length 1 with ``unit_length``."""
        mean_E = super().combine(embeddings_NE)
        if self.unit_length:
            length = np.linalg.norm(mean_E)
            return mean_E / (length or 1)
        return mean_E

    def _frames_before(self, network: "EmbeddingNetwork") -> int:
        """Frames before a window, before whose samples its own frames do not reach.

        One at least: pre-emphasis may take the sample before a frame.
        """
        front_end = _framed(network)
        return max(1, -(front_end.first_sample // front_end.hop_samples))

    def _describe_pieces(self) -> str:
        return f"windows of {self.window_frames} frames every {self.step_frames}"

    def __str__(self) -> str:
        text = super().__str__()
        if self.unit_length:
            text += ", the mean brought to length 1"
        if self.preparation is not None:
            text += f"; utterances {self.preparation}"
        return text


def _framed(network: "EmbeddingNetwork") -> "FramedFrontEnd":
    """The front end of a network that `FeatureWindows.check` lets pass."""
    return cast("FramedFrontEnd", network.front_end)
