"""What a network has to have so that its embeddings can be taken; the networks of steps/models do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from utils.features.base import FrontEnd


class EmbeddingNetwork(Protocol):
    """A module of PyTorch that turns waveforms, or stored features, into embeddings.

    Attributes
    ----------
    front_end : FrontEnd
        Waveforms to features.
    batching : str
        ``masked``, ``equal_length`` or ``fixed_samples``.
    sample_rate_hz, min_samples, embedding_dim : int
        Rate of the waveforms, shortest legal input, size of the embedding.
    training : bool
        Whether it is in training mode.
    """

    front_end: "FrontEnd"
    batching: str
    sample_rate_hz: int
    min_samples: int
    embedding_dim: int
    training: bool

    def __call__(self, *inputs: "torch.Tensor") -> "torch.Tensor":
        """Embeddings of a padded batch and its lengths."""

    def train(self, mode: bool = True) -> Any:
        """Switch training mode on or off."""

    def eval(self) -> Any:
        """Switch training mode off."""

    def parameters(self) -> Iterator["torch.nn.Parameter"]:
        """Its weights."""
