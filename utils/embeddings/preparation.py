"""What a test protocol does to a whole utterance before it places pieces: level, then trimming."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from utils.config import build
from utils.errors import UserError
from utils.vad.base import FRAMES_PER_SECOND, runs
from utils.vad.registry import VADS

if TYPE_CHECKING:
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader

MAX_NAMED = 5  # utterances in a line


@dataclass(frozen=True)
class Prepared:
    """A change of an utterance: a factor, and the stretches that are kept, in samples."""

    gain: float
    stretches: list[tuple[int, int]]
    is_trimmed: bool

    @property
    def num_samples(self) -> int:
        """Samples that are kept."""
        return sum(end - start for start, end in self.stretches)

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """The samples after the change."""
        kept = np.concatenate([samples[start:end] for start, end in self.stretches])
        return kept * np.float32(self.gain)


class Preparation:
    """Quiet utterances are raised to a level, then silences are cut out.

    Parameters
    ----------
    level_dbfs : float
        Level (root mean square of all samples, 0: full scale) to which quieter utterances are
        raised; louder ones stay.  Samples may exceed full scale.
    vad : dict
        Detector with its options, as in conf/vad: what is not speech is cut out.
    min_speech_seconds : float
        An utterance with less speech is not trimmed; one without any is refused.
    """

    def __init__(self, *, level_dbfs: float, vad: dict, min_speech_seconds: float = 0.4) -> None:
        if level_dbfs > 0:
            raise ValueError(f"level_dbfs is {level_dbfs:g}, expected 0 (full scale) or less")
        if min_speech_seconds < 0:
            raise ValueError(f"min_speech_seconds is {min_speech_seconds:g}, expected 0 or more")
        self.level_dbfs, self.min_speech_seconds = level_dbfs, min_speech_seconds
        self.detector = build(VADS, vad, "vad")
        self.detector_name = vad["name"]

    def __str__(self) -> str:
        return (
            f"raised to {self.level_dbfs:g} dBFS if quieter and trimmed by the VAD "
            f"'{self.detector_name}' (training crops are not)"
        )

    def plan(self, samples: np.ndarray, sample_rate_hz: int) -> Prepared | None:
        """The change of an utterance of (n,) samples; None: there is no speech in it."""
        level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
        if level == 0:
            return None
        gain = max(1.0, 10 ** (self.level_dbfs / 20) / level)
        speech = self.detector.decisions(samples * np.float32(gain), sample_rate_hz)
        if not speech.any():
            return None
        stretches = []
        for frames in runs(speech):
            start, end = (int(frame) * sample_rate_hz // FRAMES_PER_SECOND for frame in frames)
            stretches.append((start, min(end, len(samples))))
        trimmed = Prepared(gain, stretches, is_trimmed=True)
        if trimmed.num_samples < self.min_speech_seconds * sample_rate_hz:
            return Prepared(gain, [(0, len(samples))], is_trimmed=False)
        return trimmed


class PreparedReader:
    """Some utterances of a reader of audio, prepared; it reads their pieces as the reader does.

    All are read once before, for their lengths.  In memory is one utterance at a time.

    Attributes
    ----------
    num_samples : dict
        Samples of each utterance, by its index, after the preparation.

    Raises
    ------
    UserError
        There is no speech in an utterance.
    """

    def __init__(
        self,
        reader: "PackedReader | FeatureReader",
        preparation: Preparation,
        indices: Sequence[int],
        names: Sequence[str],
    ) -> None:
        self.reader = reader
        self.plans: dict[int, Prepared] = {}
        untrimmed = []
        for index, name in zip(indices, names, strict=True):
            plan = preparation.plan(reader.read(index), reader.sample_rate_hz)
            if plan is None:
                raise UserError(
                    f"utterance '{name}': no speech was found, expected some: the protocol trims "
                    "silence; leave the utterance out, or choose another protocol"
                )
            self.plans[index] = plan
            if not plan.is_trimmed:
                untrimmed.append(name)
        self.num_samples = {index: plan.num_samples for index, plan in self.plans.items()}
        self._latest: tuple[int, np.ndarray] | None = None
        _say_untrimmed(untrimmed, preparation.min_speech_seconds)

    def read(self, index: int, start_sample: int = 0, num_samples: int | None = None) -> np.ndarray:
        """(num_samples,) float32 of one prepared utterance; None: to its end."""
        if self._latest is None or self._latest[0] != index:
            self._latest = index, self.plans[index].apply(self.reader.read(index))
        samples = self._latest[1]
        if num_samples is None:
            return samples[start_sample:]
        return samples[start_sample : start_sample + num_samples]


def _say_untrimmed(names: Sequence[str], min_speech_seconds: float) -> None:
    """Print the utterances that are not trimmed."""
    if not names:
        return
    text = ", ".join(names[:MAX_NAMED])
    if len(names) > MAX_NAMED:
        text += ", ..."
    print(
        f"utterances not trimmed, since less than {min_speech_seconds:g} s would be left: "
        f"{len(names):,} ({text})",
        file=sys.stderr,  # standard output may be a program's
    )
