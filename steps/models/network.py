"""The base class of all networks: waveforms to embeddings, with a front end of the network's own.

Shapes: ``B`` batch, ``S`` samples, ``T`` frames, ``F`` features of a frame, ``E`` embedding.
"""

from collections.abc import Sequence

import torch
from torch import nn

from utils.features.base import FrontEnd
from utils.features.registry import SpecAugment


class EmbeddingNetwork(nn.Module):
    """Front end, SpecAugment in training, and a trunk, which a subclass defines.

    Parameters
    ----------
    front_end : FrontEnd
        Waveforms to features.
    spec_augment : SpecAugment or None
        Masks in training.
    embedding_dim : int
        Size of the embedding.
    min_frames : int
        Fewest frames that the trunk takes.

    Attributes
    ----------
    batching : str
        ``masked``: utterances of any lengths may share a batch; ``equal_length``;
        ``fixed_samples``.
    without_gradient : tuple of str
        Names of parameters that no loss reaches: the published network has them, unused.
    sample_rate_hz : int
        Rate of the waveforms.
    min_samples : int
        Shortest input.
    """

    batching = "masked"
    without_gradient: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        front_end: FrontEnd,
        spec_augment: SpecAugment | None,
        embedding_dim: int,
        min_frames: int,
    ) -> None:
        super().__init__()
        self.front_end, self.spec_augment = front_end, spec_augment
        self.embedding_dim, self.sample_rate_hz = embedding_dim, front_end.sample_rate_hz
        self.min_samples = front_end.min_samples(min_frames)

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        lengths_B: torch.Tensor,
        augment_seeds: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Embeddings of a padded batch.

        Parameters
        ----------
        waveforms_BS : (B, S) float tensor
            Samples in [-1, 1]; the padding is never read.
        lengths_B : (B,) int tensor
            Samples of each utterance, at least ``min_samples``; on the CPU it saves
            synchronisations.
        augment_seeds : B ints
            One per utterance; needed in training if the network has SpecAugment.

        Returns
        -------
        (B, E) float32 tensor
        """
        shortest = int(lengths_B.min())
        if shortest < self.min_samples:
            raise ValueError(
                f"an utterance of {shortest} samples; this network takes {self.min_samples} or more"
            )
        features_BTF, num_frames_B = self.front_end(waveforms_BS, lengths_B)
        if self.training and self.spec_augment is not None:
            if augment_seeds is None:
                raise ValueError(
                    "this network has SpecAugment: training needs a seed per utterance"
                )
            features_BTF = self.spec_augment(features_BTF, augment_seeds)
        return self.trunk(features_BTF, num_frames_B)

    def trunk(self, features_BTF: torch.Tensor, num_frames_B: torch.Tensor) -> torch.Tensor:
        """Features to embeddings.

        Parameters
        ----------
        features_BTF : (B, T, F) float tensor
            Zero in the padding; of a waveform front end F is 1 and T counts samples.
        num_frames_B : (B,) int tensor
            Frames of each utterance; equal in training where the trunk has batch normalisation,
            which would count the padding.

        Returns
        -------
        (B, E) float32 tensor
        """
        raise NotImplementedError
