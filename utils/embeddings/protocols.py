"""Test protocols: which pieces of an utterance a network is given, and what becomes of their embeddings.

All pieces of an utterance are of one length.  An utterance that is shorter than its pieces is repeated until it has their length, and counts as often
as the protocol has pieces.  Of stored features a "sample" is a frame, as everywhere; then lengths are given in seconds or frames.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.config import build, read_yaml, resolved_options
from utils.embeddings.protocol_base import Length, Protocol
from utils.errors import UserError

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork

READY_MADE = Path(__file__).parents[2] / "conf" / "protocols"
OVERLAP_OF_FIXED = 0.2  # RawNet2's, for a network that takes one length and is given no protocol


class WholeUtterance(Protocol):
    """The utterance as one piece.

    Parameters
    ----------
    append_reversed : bool
        Followed by its reversal (Xie et al. 2019, VGG).
    multiple_samples : int
        Cut at its end to a multiple of so many samples, where it has as many (MR-RawNet's evaluation: 640).
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
        """The utterance, repeated where the network takes no shorter ones."""
        del utterance
        whole = num_samples // self.multiple_samples * self.multiple_samples or num_samples
        return max(whole, network.min_samples), [0]

    def __str__(self) -> str:
        reversal = ", each followed by its reversal" if self.append_reversed else ""
        return f"whole utterances{reversal}{f', cut to a multiple of {self.multiple_samples} samples' if self.multiple_samples > 1 else ''}"


class Crops(Protocol):
    """A number of crops of one length.

    Parameters
    ----------
    num_crops : int
        How many of each utterance.
    crop_seconds, crop_samples, crop_frames : float, int, int or None
        Their length: one of the three.
    placing : str
        ``even``: from the beginning to the end at equal distances, a single one around the centre; ``random``: drawn for each utterance.
    seed : int
        Of random places, which depend on it and on the utterance's name.
    keep, length_normalise, compare
        As of `Protocol`.
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
        return self.length.of(network)

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

    def _pieces(self) -> str:
        if self.num_pieces == 1 and self.placing == "even":
            return f"{self.length} around the centre"
        if self.num_pieces == 1:
            return f"a random crop of {self.length}"
        return f"{self.num_pieces} {'evenly spaced' if self.placing == 'even' else 'random'} crops of {self.length}"


class Windows(Protocol):
    """Windows that overlap and cover the utterance; the last one ends with it.

    Parameters
    ----------
    window_seconds, window_samples, window_frames : float, int, int or None
        Their length: one of the three.
    overlap : float
        Part of a window that the next one shares, in [0, 1).
    count_exact_end_twice : bool
        Where windows fit exactly the last one counts twice, as the published RawNet2 counts: int((T - overlap) / step) + 1 windows.
    length_normalise
        As of `Protocol`.
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
        return self.length.of(network)

    def pieces(
        self, num_samples: int, network: "EmbeddingNetwork", utterance: str
    ) -> tuple[int, list[int]]:
        """The windows."""
        del utterance
        size = self.size(network)
        room = num_samples - size
        step = max(1, self.length.of(network, share=1 - self.overlap))
        if room <= 0:
            return size, [0]
        starts = [*range(0, room, step), room]
        return size, starts + [room] * (self.count_exact_end_twice and room % step == 0)

    def _pieces(self) -> str:
        return f"windows of {self.length} that overlap by {100 * self.overlap:g} %"


PROTOCOLS = {"whole": WholeUtterance, "crops": Crops, "windows": Windows}


def natural_protocol(network: "EmbeddingNetwork") -> Protocol:
    """What a network is tested with when nothing is said: whole utterances, or overlapping windows where it takes one length only.

    Parameters
    ----------
    network : EmbeddingNetwork
        Its ``batching`` decides.
    """
    protocol: Protocol = WholeUtterance()
    protocol.name = "whole"
    if network.batching == "fixed_samples":
        protocol = Windows(window_samples=network.min_samples, overlap=OVERLAP_OF_FIXED)
        protocol.name = "windows"
    return protocol


def read_protocol(chosen: str) -> tuple[Protocol, dict]:
    """A protocol and its resolved options.

    Parameters
    ----------
    chosen : str
        Name of a file of conf/protocols without ``.yaml``, or path of another YAML.

    Returns
    -------
    protocol, options : Protocol, dict
        Options with the defaults filled in; ``protocol`` in them is the file's name.

    Raises
    ------
    UserError
        No such protocol, or its file asks for what there is not.
    """
    path = Path(chosen) if chosen.endswith(".yaml") else READY_MADE / f"{chosen}.yaml"
    if not path.exists():
        raise UserError(
            f"--protocol: no '{chosen}'; there are {', '.join(ready_made())}, or give the path of a YAML"
        )
    options = read_yaml(path)
    protocol = build(PROTOCOLS, options, str(path))
    protocol.name = path.stem
    return protocol, {"protocol": path.stem, **resolved_options(PROTOCOLS, options)}


def ready_made() -> Sequence[str]:
    """Names of the protocols in conf/protocols."""
    return sorted(path.stem for path in READY_MADE.glob("*.yaml"))
