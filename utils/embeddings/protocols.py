"""Test protocols: the pieces of an utterance that a network embeds, and how they are combined.

All pieces of an utterance have one length. A shorter utterance is repeated to their length, and
counts as often as the protocol has pieces (`FeatureWindows`: is followed by silence). For stored
features a "sample" is a frame, as everywhere, and lengths are in seconds or frames.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.config import build, read_yaml, resolved_options
from utils.embeddings.enrolment import USUAL, take_averaging
from utils.embeddings.feature_windows import FeatureWindows
from utils.embeddings.protocol_base import Length, Protocol
from utils.errors import UserError

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork

READY_MADE = Path(__file__).parents[2] / "conf" / "protocols"
OVERLAP_OF_FIXED = 0.2  # as in RawNet2; for a network of fixed length if no protocol is chosen


class WholeUtterance(Protocol):
    """The utterance as one piece.

    With ``append_reversed`` it is followed by its reversal (Xie et al. 2019, VGG). Its end is cut
    to a multiple of ``multiple_samples``, if it has as many (640 in MR-RawNet's evaluation).
    """

    def __init__(self, append_reversed: bool = False, multiple_samples: int = 1):
        super().__init__()
        if multiple_samples < 1:
            raise ValueError(f"multiple_samples is {multiple_samples}, expected 1 or more")
        self.append_reversed, self.multiple_samples = append_reversed, multiple_samples

    def size(self, network: "EmbeddingNetwork") -> None:
        """None: whole utterances."""
        del network

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """The utterance, repeated to the shortest length that the network takes."""
        del utterance
        whole = num_samples // self.multiple_samples * self.multiple_samples or num_samples
        return max(whole, network.min_samples), [0]

    def __str__(self) -> str:
        text = "whole utterances"
        if self.append_reversed:
            text += ", each followed by its reversal"
        if self.multiple_samples > 1:
            text += f", cut to a multiple of {self.multiple_samples} samples"
        return text


class Crops(Protocol):
    """A number of crops of one length, which is given in one of three units.

    ``placing``: ``even``: at equal distances from the beginning to the end, a single one around the
    centre; ``random``: drawn from ``seed`` and the utterance's name. Others: see `Protocol`.
    """

    num_pieces: int

    def __init__(
        self,
        num_crops: int = 10,
        crop_seconds: float | None = None,
        crop_samples: int | None = None,
        crop_frames: int | None = None,
        placing: Literal["even", "random"] = "even",
        seed: int = 0,
        keep: Literal["mean", "rows"] = "mean",
        length_normalise: bool = False,
        compare: Literal["all", "paired"] = "all",
    ):
        super().__init__(keep, length_normalise)
        if num_crops < 1:
            raise ValueError(f"num_crops is {num_crops}, expected 1 or more")
        if seed < 0:
            raise ValueError(f"seed is {seed}, expected 0 or more")
        self.length = Length("crop", crop_seconds, crop_samples, crop_frames)
        self.num_pieces = num_crops
        self.placing, self.seed, self.compare = placing, seed, compare

    def size(self, network: "EmbeddingNetwork") -> int:
        """Samples of every piece."""
        return self.length.to_samples(network)

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """The crops."""
        size = self.size(network)
        room = num_samples - size
        if room <= 0:
            return size, [0]
        if self.placing == "random":
            random = np.random.default_rng([self.seed, *utterance.encode()])
            return size, random.integers(room + 1, size=self.num_pieces).tolist()
        if self.num_pieces == 1:
            return size, [room // 2]
        return size, [room * crop // (self.num_pieces - 1) for crop in range(self.num_pieces)]

    def _describe_pieces(self) -> str:
        if self.num_pieces == 1 and self.placing == "even":
            return f"{self.length} around the centre"
        if self.num_pieces == 1:
            return f"a random crop of {self.length}"
        kind = "random"
        if self.placing == "even":
            kind = "evenly spaced"
        return f"{self.num_pieces} {kind} crops of {self.length}"


class Windows(Protocol):
    """Windows that overlap and cover the utterance; the last one ends with it.

    Their length is given in one of three units; ``overlap`` is the fraction that the next one
    shares, in [0, 1). With ``count_exact_end_twice`` the last one counts twice where windows fit
    exactly, as in the published RawNet2: int((T - overlap) / step) + 1 windows.
    """

    num_pieces = None

    def __init__(
        self,
        window_seconds: float | None = None,
        window_samples: int | None = None,
        window_frames: int | None = None,
        overlap: float = 0.5,
        count_exact_end_twice: bool = False,
        length_normalise: bool = False,
    ):
        super().__init__("mean", length_normalise)
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap is {overlap}, expected a part in [0, 1)")
        self.length = Length("window", window_seconds, window_samples, window_frames)
        self.overlap, self.count_exact_end_twice = overlap, count_exact_end_twice

    def size(self, network: "EmbeddingNetwork") -> int:
        """Samples of every piece."""
        return self.length.to_samples(network)

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """The windows."""
        del utterance
        size = self.size(network)
        room = num_samples - size
        step = max(1, self.length.to_samples(network, share=1 - self.overlap))
        if room <= 0:
            return size, [0]
        starts = [*range(0, room, step), room]
        if self.count_exact_end_twice and room % step == 0:
            starts.append(room)
        return size, starts

    def _describe_pieces(self) -> str:
        return f"windows of {self.length} that overlap by {100 * self.overlap:g} %"


PROTOCOLS = {
    "whole": WholeUtterance,
    "crops": Crops,
    "windows": Windows,
    "feature_windows": FeatureWindows,
}


def natural_protocol(network: "EmbeddingNetwork") -> Protocol:
    """The default of a network: whole utterances, or overlapping windows if it takes one length."""
    protocol: Protocol = WholeUtterance()
    protocol.name = "whole"
    if network.batching == "fixed_samples":
        protocol = Windows(window_samples=network.min_samples, overlap=OVERLAP_OF_FIXED)
        protocol.name = "windows"
    return protocol


def read_protocol(chosen: str) -> tuple[Protocol, dict]:
    """A protocol and its options, defaults included; ``protocol`` in them is the file's name.

    ``chosen`` is the name of a file of conf/protocols without ``.yaml``, or the path of another
    YAML. UserError: the protocol does not exist, or its options are wrong.
    """
    path = READY_MADE / f"{chosen}.yaml"
    if chosen.endswith(".yaml"):
        path = Path(chosen)
    if not path.exists():
        raise UserError(
            f"--protocol: no '{chosen}', expected one of {', '.join(ready_made())}, or the path of "
            "a YAML"
        )
    averaging, options = take_averaging(read_yaml(path), str(path))
    protocol = build(PROTOCOLS, options, str(path))
    protocol.name, protocol.averaging = path.stem, averaging
    resolved = {"protocol": path.stem, **resolved_options(PROTOCOLS, options)}
    if averaging != USUAL:
        resolved["averaging"] = averaging
    return protocol, resolved


def make_protocol(options: Mapping, where: str = "protocol") -> Protocol:
    """The protocol of the options that `read_protocol` gives, as a model folder keeps them.

    ``where`` is their file, for messages. UserError: the options are wrong.
    """
    arguments = {key: value for key, value in options.items() if key != "protocol"}
    averaging, arguments = take_averaging(arguments, where)
    protocol = build(PROTOCOLS, arguments, where)
    protocol.name, protocol.averaging = options.get("protocol", arguments["name"]), averaging
    return protocol


def ready_made() -> Sequence[str]:
    """Names of the protocols in conf/protocols."""
    return sorted(path.stem for path in READY_MADE.glob("*.yaml"))
