"""A trained network in three lines of Python, from the checkout.

    from steps.api import load_model
    model = load_model("models/campplus")
    model.verify("a.wav", "b.wav")

Scores are those of the back end of a model folder, or the cosine of two embeddings.  Ratios and
decisions rest on a fitted threshold, or on the model's calibration.

Shapes: ``N`` files, ``E`` embedding.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.audio import Channel
from utils.audio.recording import ArrayRecording, Recording
from utils.data_dir.recordings import RecordingFinder
from utils.errors import UserError
from utils.pretrained import Model, is_model, model_digest, open_model, resolve_model
from utils.pretrained.folder import CONFIG, WEIGHTS
from utils.pretrained.weights import weights_as_bytes

if TYPE_CHECKING:
    from steps.models import EmbeddingNetwork
    from utils.embeddings.recordings import EmbeddedRecording, Limits, Side
    from utils.galleries import Enrolment, Identification, Identifier
    from utils.scoring.verification import ModelScoring, OperatingPoint, Rule

Audio = str | Path | np.ndarray


def load_model(
    model: str | Path, device: Literal["cpu", "cuda"] = "cpu", channel: Channel = 0
) -> "LoadedModel":
    """Load a model folder or an experiment, for use.

    Parameters
    ----------
    model : path
        Model folder, experiment, or the name of a published network that was fetched.
    device : str
        ``cpu`` or ``cuda``.
    channel : int or "mean"
        Channel of recordings with several, from 0, or the mean of all.

    Returns
    -------
    LoadedModel
        Several threads may use it at the same time.

    Raises
    ------
    UserError
        There is no such model, a file of it has changed, or there is no such device.
    """
    from utils.torch_device import require_device

    require_device(device)
    return LoadedModel(resolve_model(model), device, RecordingFinder(channel=channel))


@dataclass(frozen=True)
class Verification:
    """The outcome of a comparison of an enrolment and a test.

    Attributes
    ----------
    score : float
        Higher means more likely the same person.
    ratio : float or None
        Natural logarithm of the likelihood ratio; None: there is no calibration.
    accepted : bool or None
        The decision by ``rule``; None: there is no rule.
    rule : Rule or None
        Threshold, prior and costs, and what they rest on.
    remarks : tuple of str
        What is to be said of the recordings.
    windows : tuple of WindowScore
        Of a test in windows: each with its score.
    """

    score: float
    ratio: float | None
    accepted: bool | None
    rule: "Rule | None"
    remarks: tuple[str, ...] = ()
    windows: tuple["WindowScore", ...] = ()

    @property
    def decision(self) -> Literal["accept", "reject"] | None:
        """``accept``, ``reject`` or None."""
        if self.accepted is None:
            return None
        return "accept" if self.accepted else "reject"


@dataclass(frozen=True)
class WindowScore:
    """Score, ratio and decision of a window of the test."""

    start_seconds: float
    end_seconds: float
    score: float
    ratio: float | None
    accepted: bool | None


class LoadedModel:
    """A network with its test protocol, scores and decisions; see `load_model`.

    Attributes
    ----------
    digest : str
        What identifies the model.
    sample_rate_hz : int
        Rate of the network; audio of another one is resampled.
    """

    def __init__(self, folder: Path, device: str, finder: RecordingFinder):
        import torch

        from steps.extract import default_protocol, load_network
        from utils.embeddings.recordings import RecordingEmbedder

        # With its 10 bits an embedding would depend on the other pieces of its batch.
        torch.backends.cudnn.allow_tf32 = False
        network, self.facts = load_network(folder)
        network.requires_grad_(False)
        self.folder, self.finder, self.sample_rate_hz = folder, finder, network.sample_rate_hz
        self.model: Model | None = None
        if is_model(folder):
            self.model = open_model(folder)
            self.digest = self.model.digest
        else:
            self.digest = _experiment_digest(folder, network)
        protocol = default_protocol(folder, network)
        self.embedder = RecordingEmbedder(network.to(device), protocol)

    @cached_property
    def scoring(self) -> "ModelScoring":
        """How vectors are compared: by the model's back end and norm, or by plain cosine."""
        from steps.backends import FAMILIES
        from utils.scoring.verification import ModelScoring

        scoring = ModelScoring(self.model, self.digest, FAMILIES, self.folder)
        scoring.averaging = self.embedder.protocol.averaging
        return scoring

    def embed(self, audio: Audio, sample_rate_hz: int | None = None) -> np.ndarray:
        """The vector (E,) float32 of a recording, by the model's test protocol.

        ``audio`` is a file, ``DATA:utterance``, or (n,) floats in [-1, 1] at ``sample_rate_hz``.
        What is to be said of it (channel, rate, clipping, little speech) is a warning.
        """
        from utils.embeddings.recordings import Limits

        embedded = self.embed_recording(audio, sample_rate_hz)
        for remark in embedded.remarks_as("test", Limits()):
            warnings.warn(f"{embedded.name}: {remark}", stacklevel=2)
        return embedded.vector

    def embed_recording(
        self,
        audio: Audio,
        sample_rate_hz: int | None = None,
        *,
        limits: "Limits | None" = None,
        window_seconds: float | None = None,
    ) -> "EmbeddedRecording":
        """The vector of a recording with its amount of speech and remarks, or of its windows.

        UserError: it cannot be read, or there is too little speech in it.
        """
        from utils.embeddings.recordings import Limits

        if window_seconds is not None and not window_seconds > 0:
            raise UserError(f"--window-seconds: {window_seconds:g}, expected more than 0")
        recording = self._open(audio, sample_rate_hz)
        return self.embedder.embed(recording, limits or Limits(), window_seconds)

    def _open(self, audio: Audio, sample_rate_hz: int | None) -> Recording:
        if not isinstance(audio, np.ndarray):
            return self.finder.open(audio)
        if sample_rate_hz is None:
            raise UserError(
                f"sample_rate_hz: missing for an array, expected its rate (the model's is "
                f"{self.sample_rate_hz})"
            )
        return ArrayRecording(audio, sample_rate_hz)

    def verify(
        self,
        enrol: Audio,
        test: Audio,
        more_enrol: Sequence[Audio] = (),
        *,
        sample_rate_hz: int | None = None,
        threshold: Path | None = None,
        operating_point: "OperatingPoint | None" = None,
    ) -> Verification:
        """Whether a test is of the person of the enrolment: score, ratio, decision.

        ``threshold`` is a file of steps.fit_threshold; ``sample_rate_hz`` is the rate of arrays.
        UserError: a recording cannot be used, or is on both sides.
        """
        enrolled = [self.embed_recording(audio, sample_rate_hz) for audio in (enrol, *more_enrol)]
        tested = self.embed_recording(test, sample_rate_hz)
        return self.compare(enrolled, tested, self.rule(threshold, operating_point))

    def rule(
        self, threshold: Path | None = None, operating_point: "OperatingPoint | None" = None
    ) -> "Rule | None":
        """How scores are decided on: by a file of steps.fit_threshold, or the model's own rule."""
        from utils.scoring.verification import OperatingPoint

        return self.scoring.rule(threshold, operating_point or OperatingPoint())

    def enrol(
        self,
        gallery: str | Path,
        name: str,
        files: Sequence[Audio],
        *,
        add: bool = False,
        sample_rate_hz: int | None = None,
        threshold: Path | None = None,
    ) -> "Enrolment":
        """Enrol a person into the file of a gallery, or ``add`` recordings to one.

        UserError: the name is enrolled already, a recording cannot be used, or differs from the
        others (by the model's calibration or a threshold).
        """
        from utils.galleries import Checker, enrol_person

        checker = Checker(self.scoring, self.rule(threshold))
        recordings = (self.embed_recording(file, sample_rate_hz) for file in files)
        return enrol_person(Path(gallery), self.digest, name, recordings, checker, add)

    def identify(
        self,
        gallery: str | Path,
        audio: Audio,
        *,
        top: int = 5,
        false_alarm_rate: float = 0.01,
        sample_rate_hz: int | None = None,
        threshold: Path | None = None,
    ) -> "Identification":
        """Who of a gallery speaks in a recording: the first people, and the decision.

        ``false_alarm_rate`` is that of the whole gallery.  UserError: the gallery is empty or of
        another model, or the recording cannot be used.
        """
        identifier = self.identifier(gallery, false_alarm_rate, threshold)
        result = identifier.identify(self.embed_recording(audio, sample_rate_hz), top)
        return replace(result, remarks=(*identifier.remarks(), *result.remarks))

    def identifier(
        self, gallery: str | Path, false_alarm_rate: float = 0.01, threshold: Path | None = None
    ) -> "Identifier":
        """What identifies people of a gallery in recordings that are embedded already."""
        from utils.galleries import Identifier, read_gallery

        people = read_gallery(Path(gallery), self.digest)
        rule = self.rule(threshold)
        return Identifier(self.scoring, people, rule, false_alarm_rate, self.folder)

    def compare(
        self,
        enrolled: Sequence["EmbeddedRecording"],
        tested: "EmbeddedRecording",
        rule: "Rule | None",
        limits: "Limits | None" = None,
    ) -> Verification:
        """Compare recordings that are embedded already; UserError: one of them comes twice."""
        from utils.embeddings.recordings import Limits

        _refuse_same([*enrolled, tested])
        limits = limits or Limits()
        remarks = []
        sides: list[tuple[EmbeddedRecording, Side]] = [(side, "enrolment") for side in enrolled]
        for embedded, side in [*sides, (tested, "test")]:
            remarks += [f"{embedded.name}: {text}" for text in embedded.remarks_as(side, limits)]
        if rule is not None:
            remarks += rule.fitted.marks
        enrol_NE = np.stack([embedded.vector for embedded in enrolled])
        score, ratio, accepted = self._judge(enrol_NE, tested.vector, rule)
        windows = []
        if len(tested.windows) > 1:
            for window in tested.windows:
                judged = self._judge(enrol_NE, window.vector, rule)
                windows.append(WindowScore(window.start_seconds, window.end_seconds, *judged))
        return Verification(score, ratio, accepted, rule, tuple(remarks), tuple(windows))

    def _judge(
        self, enrol_NE: np.ndarray, test_E: np.ndarray, rule: "Rule | None"
    ) -> tuple[float, float | None, bool | None]:
        """Score, ratio and decision."""
        score = self.scoring.score(enrol_NE, test_E, rule)
        if rule is None:
            return score, None, None
        decision = self.scoring.decide(score, rule)
        return score, decision.ratio, decision.accepted


def _experiment_digest(experiment: Path, network: "EmbeddingNetwork") -> str:
    """The digest that a model folder of an experiment has."""
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return model_digest({CONFIG: experiment / "config.yaml", WEIGHTS: weights_as_bytes(tensors)})


def _refuse_same(recordings: Sequence["EmbeddedRecording"]) -> None:
    """Refuse a recording that comes twice, under whatever name: its vectors are equal."""
    name_by_vector: dict[bytes, str] = {}
    for recording in recordings:
        content = recording.vector.tobytes()
        if content in name_by_vector:
            raise UserError(
                f"{recording.name}: the same recording as {name_by_vector[content]}; compare "
                "different ones"
            )
        name_by_vector[content] = recording.name
