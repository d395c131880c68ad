"""Embeddings of recordings that belong to no data directory: checked, resampled, embedded.

A recording without enough speech is refused; other faults are remarks.  A long one is embedded in
windows, whose vectors are averaged.

Shapes: ``N`` vectors, ``E`` embedding.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from utils.audio.read import resample
from utils.audio.recording import FileRecording, Part, Recording, count_clipped, parts
from utils.embeddings.enrolment import USUAL, Averaging, average_enrolment
from utils.embeddings.inference import embed_utterances
from utils.embeddings.protocol_base import Protocol
from utils.errors import UserError
from utils.vad.base import FRAMES_PER_SECOND
from utils.vad.webrtc import WebrtcVad

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork

LONGEST_WHOLE_SECONDS = 600.0  # a longer recording is embedded in windows
LONG_WINDOW_SECONDS = 60.0  # of such a recording
Side = Literal["enrolment", "test"]


class TooLittleSpeech(UserError):
    """A recording with too little speech to be embedded; ``reason`` is for a list of dropped ones.

    Parameters
    ----------
    name : str
        The recording.
    reason : str
        What was found and expected.
    """

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """From which amount of speech on a recording is accepted, and when something is said of it."""

    min_speech_seconds: float = 0.5
    enrolment_seconds: float = 3.0  # of speech; less is said
    test_seconds: float = 1.0
    max_clipped_fraction: float = 0.01

    def __post_init__(self) -> None:
        for name in ("min_speech_seconds", "enrolment_seconds", "test_seconds"):
            seconds = getattr(self, name)
            if not seconds >= 0:
                option = name.replace("_", "-")
                raise UserError(f"--{option}: {seconds:g}, expected 0 or more")
        if not 0 <= self.max_clipped_fraction <= 1:
            raise UserError(
                f"--max-clipped-fraction: {self.max_clipped_fraction:g}, expected 0 to 1"
            )


@dataclass(frozen=True)
class Window:
    """A stretch of a recording with its own vector (E,) float32."""

    start_seconds: float
    end_seconds: float
    speech_seconds: float
    vector: np.ndarray


@dataclass(frozen=True)
class EmbeddedRecording:
    """The vector (E,) float32 of a recording, and what is to be said of it."""

    name: str
    vector: np.ndarray
    seconds: float
    speech_seconds: float
    remarks: tuple[str, ...]
    windows: tuple[Window, ...]  # one, if it was embedded whole

    def remarks_as(self, side: Side, limits: Limits) -> list[str]:
        """The remarks on it as a side of a comparison: little speech beside the others."""
        expected = limits.test_seconds
        if side == "enrolment":
            expected = limits.enrolment_seconds
        if self.speech_seconds >= expected:
            return list(self.remarks)
        little = f"only {self.speech_seconds:.1f} s of speech; {expected:g} s or more are reliable"
        return [*self.remarks, little]


class _SampleReader:
    """Samples in memory as a reader of one utterance."""

    def __init__(self, samples: np.ndarray, sample_rate_hz: int):
        self.samples, self.sample_rate_hz = samples, sample_rate_hz
        self.num_samples = np.array([len(samples)])

    def read(self, index: int, start_sample: int = 0, num_samples: int | None = None) -> np.ndarray:
        """Samples of the only utterance, ``index`` 0."""
        del index
        if num_samples is None:
            return self.samples[start_sample:]
        return self.samples[start_sample : start_sample + num_samples]


class RecordingEmbedder:
    """Embeds recordings by a network and a test protocol that gives one vector.

    UserError: the network reads stored features, or the protocol keeps a row for each piece.
    """

    def __init__(self, network: "EmbeddingNetwork", protocol: Protocol):
        from utils.features.precomputed import Precomputed

        if isinstance(network.front_end, Precomputed):
            raise UserError(
                "the model reads stored features and takes no recordings; extract by steps.extract"
            )
        if protocol.keep != "mean":
            raise UserError(
                f"the model's protocol '{protocol.name}' keeps a row for each piece, expected one "
                "vector for a recording; extract by steps.extract"
            )
        protocol.check(network)
        self.network, self.protocol = network, protocol
        self.detector = WebrtcVad()

    def embed_samples(self, samples: np.ndarray, sample_rate_hz: int, name: str) -> np.ndarray:
        """The vector (E,) of (n,) float32 samples, resampled if the network takes another rate."""
        rate = self.network.sample_rate_hz
        reader: Any = _SampleReader(resample(samples, sample_rate_hz, rate), rate)
        return embed_utterances(self.network, reader, [0], protocol=self.protocol, keys=[name])[0]

    def embed(
        self, recording: Recording, limits: Limits, window_seconds: float | None = None
    ) -> EmbeddedRecording:
        """The vector of a recording: in windows of a length, or whole if it is not long.

        UserError: it cannot be read.  TooLittleSpeech: there is too little speech in it.
        """
        rate = recording.sample_rate_hz
        seconds = recording.num_samples / rate
        remarks = recording.remarks()
        if rate != self.network.sample_rate_hz:
            remarks.append(f"resampled from {rate} Hz to {self.network.sample_rate_hz} Hz")
        if window_seconds is None and seconds > LONGEST_WHOLE_SECONDS:
            window_seconds = LONG_WINDOW_SECONDS
            remarks.append(f"{seconds:.0f} s long: embedded in windows of {window_seconds:g} s")
        windows: list[Window] = []
        speech_seconds, num_clipped, num_silent = 0.0, 0, 0
        for part in parts(recording, window_seconds):
            num_clipped += count_clipped(part.samples)
            window = self._embed_part(part, recording, limits)
            speech_seconds += window.speech_seconds
            if len(window.vector):
                windows.append(window)
            else:
                num_silent += 1
        if not windows:
            raise _too_little_speech(recording, speech_seconds, limits)
        if num_silent:
            remarks.append(f"windows with too little speech, left out: {num_silent}")
        clipped = num_clipped / recording.num_samples
        if clipped > limits.max_clipped_fraction:
            remarks.append(f"{100 * clipped:.1f} % of the samples are clipped: recorded too loud")
        vector = average_vectors(np.stack([window.vector for window in windows]))
        return EmbeddedRecording(
            recording.name, vector, seconds, speech_seconds, tuple(remarks), tuple(windows)
        )

    def _embed_part(self, part: Part, recording: Recording, limits: Limits) -> Window:
        """A window of a recording; its vector is empty if there is too little speech in it."""
        rate, start = recording.sample_rate_hz, part.start_seconds
        end = start + len(part.samples) / rate
        decisions = self.detector.decisions(part.samples, rate)
        speech_seconds = float(decisions.sum()) / FRAMES_PER_SECOND
        if speech_seconds < limits.min_speech_seconds or not part.samples.any():
            return Window(start, end, speech_seconds, np.zeros(0, np.float32))
        vector = self.embed_samples(part.samples, rate, recording.name)
        return Window(start, end, speech_seconds, vector)


def _too_little_speech(
    recording: Recording, speech_seconds: float, limits: Limits
) -> TooLittleSpeech:
    """The refusal of a recording, with another channel if that one has sound."""
    if isinstance(recording, FileRecording):
        other = recording.sounding_channel()
        if other is not None:
            return TooLittleSpeech(
                recording.name,
                f"channel {recording.channel} is silent, channel {other} is not; give "
                f"--channel {other}",
            )
    seconds = recording.num_samples / recording.sample_rate_hz
    return TooLittleSpeech(
        recording.name,
        f"{speech_seconds:.2f} s of speech in {seconds:.2f} s, expected "
        f"{limits.min_speech_seconds:g} s or more; record more speech",
    )


def average_vectors(vectors_NE: np.ndarray, averaging: Averaging = USUAL) -> np.ndarray:
    """The vector (E,) of a person, or a recording, from N as in `average_enrolment`.

    UserError: they cancel out, or one is zero.
    """
    if not vectors_NE.any(axis=1).all():
        raise UserError("an embedding has length 0, so that it has no direction; leave it out")
    average_E = average_enrolment(vectors_NE, averaging)
    if not average_E.any():
        raise UserError("the embeddings of one person cancel out; enrol other recordings")
    return average_E
