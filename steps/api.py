"""A trained network in three lines of Python, from the checkout.

    from steps.api import load_model
    model = load_model("models/campplus")
    model.verify("a.wav", "b.wav")

Scores: the back end of a model folder, or the cosine of the two embeddings.  Ratios and decisions:
a fitted threshold, or the model's calibration.

Shapes: ``N`` vectors, ``E`` embedding.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from utils.audio.recording import ArrayRecording, Recording
from utils.data_dir.recordings import RecordingFinder
from utils.errors import UserError
from utils.pretrained import is_model, open_model

if TYPE_CHECKING:
    from utils.embeddings.recordings import EmbeddedRecording, Limits

Audio = str | Path | np.ndarray
WARN_ENROLMENT_SECONDS = 3.0  # of speech
WARN_TEST_SECONDS = 1.0


def load_model(model: str | Path, device: Literal["cpu", "cuda"] = "cpu") -> "LoadedModel":
    """Load a model folder or an experiment, for use.

    Parameters
    ----------
    model : path
        Model folder, experiment, or the name of a published network.
    device : str
        ``cpu`` or ``cuda``.

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
    return LoadedModel(Path(model), device)


class LoadedModel:
    """A network with its test protocol, scores and decisions.

    Parameters
    ----------
    folder : path
        Model folder or experiment.
    device : str
        ``cpu`` or ``cuda``.

    Attributes
    ----------
    digest : str
        What identifies the model.
    sample_rate_hz : int
        Rate of the network; audio of another one is resampled.
    """

    def __init__(self, folder: Path, device: str = "cpu"):
        import torch

        from steps.extract import default_protocol, load_network
        from utils.embeddings.recordings import RecordingEmbedder

        # With its 10 bits an embedding would depend on the other pieces of its batch.
        torch.backends.cudnn.allow_tf32 = False
        network, self.facts = load_network(folder)
        network.requires_grad_(False).to(device)
        self.folder, self.sample_rate_hz = folder, network.sample_rate_hz
        self.digest = _model_digest(folder)
        self.embedder = RecordingEmbedder(network, default_protocol(folder, network))
        self.finder = RecordingFinder()

    def embed(self, audio: Audio, sample_rate_hz: int | None = None) -> np.ndarray:
        """The vector (E,) float32 of a recording, by the model's test protocol.

        ``audio`` is a file, ``DATA:utterance``, or (n,) floats in [-1, 1] at ``sample_rate_hz``.
        What is to be said of it (channel, clipping, little speech) is a warning.
        """
        embedded = self.embed_recording(self.open(audio, sample_rate_hz))
        for remark in embedded.remarks:
            warnings.warn(f"{embedded.name}: {remark}", stacklevel=2)
        return embedded.vector

    def open(self, audio: Audio, sample_rate_hz: int | None = None) -> Recording:
        """The recording of a file, of ``DATA:utterance`` or of samples; UserError: it is none."""
        if not isinstance(audio, np.ndarray):
            return self.finder.open(audio)
        if sample_rate_hz is None:
            raise UserError(f"an array needs sample_rate_hz, the model's is {self.sample_rate_hz}")
        return ArrayRecording(audio, sample_rate_hz)

    def embed_recording(
        self,
        recording: Recording,
        limits: "Limits | None" = None,
        window_seconds: float | None = None,
    ) -> "EmbeddedRecording":
        """The vector of a recording with its amount of speech and remarks, or of its windows."""
        from utils.embeddings.recordings import Limits

        return self.embedder.embed(recording, limits or Limits(), window_seconds)


def _model_digest(source: Path) -> str:
    """What identifies a model folder, or the network of an experiment."""
    if is_model(source):
        return open_model(source).digest
    raise UserError(f"{source}: package the experiment first")
