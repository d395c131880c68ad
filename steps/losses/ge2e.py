"""Generalized end-to-end loss, and the learned scale and offset of cosines that others share.

Shapes: ``G`` global batch, ``E`` embedding, ``N`` speakers in it.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.losses.batches import BatchLoss, leave_one_out_centroids

# Shorter vectors are not scaled to length 1: gradients stay finite where vectors cancel.
SMALLEST_NORM = 1e-6


class LearnedSimilarity(BatchLoss):
    """Cosines times a learned scale plus a learned offset: w, first above 0, and b of the papers.

    The absolute value of the scale counts (Speaker_Verification's published code): it never
    reverses the order of cosines and always has a gradient.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        initial_scale: float = 10.0,
        initial_offset: float = -5.0,
    ) -> None:
        super().__init__(embedding_dim, num_speakers)
        if initial_scale <= 0:
            raise ValueError(f"initial_scale is {initial_scale}, expected above 0")
        self.scale = nn.Parameter(torch.tensor(initial_scale))
        self.offset = nn.Parameter(torch.tensor(initial_offset))

    def similarity(self, cosine: torch.Tensor) -> torch.Tensor:
        """The absolute scale times the cosine, plus the offset."""
        return self.scale.abs() * cosine + self.offset


class GeneralizedEndToEnd(LearnedSimilarity):
    """Each utterance against the centroids of all speakers of the batch; summed over the batch.

    Its own speaker's centroid is computed without the utterance.  An utterance is correct if that
    centroid has the highest cosine.

    Parameters
    ----------
    form : {"softmax", "contrast"}
        Cross entropy over the centroids; or one minus the sigmoid for the own centroid, plus the
        highest sigmoid for another.
    gradient_scale : float
        Factor of the gradients of scale and offset, above 0; the trainer applies it.
    **options
        ``initial_scale``, above 0, and ``initial_offset`` of the cosines: 10 and -5.

    References
    ----------
    Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018, (5) to (9).
    The softmax form is the paper's: the published TensorFlow code adds 1e-6 inside its logarithm.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        form: Literal["softmax", "contrast"] = "softmax",
        gradient_scale: float = 0.01,
        **options: float,
    ) -> None:
        super().__init__(embedding_dim, num_speakers, **options)
        if form not in ("softmax", "contrast"):
            raise ValueError(f"form is '{form}', expected softmax or contrast")
        if gradient_scale <= 0:
            raise ValueError(f"gradient_scale is {gradient_scale}, expected above 0")
        self.form, self.gradient_scales = form, {"scale": gradient_scale, "offset": gradient_scale}

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and whether each utterance is correct."""
        cosine_GN = centroid_cosines(embedding_GE, speaker_G, num_utterances)
        similarity_GN = self.similarity(cosine_GN)
        if self.form == "softmax":
            loss = F.cross_entropy(similarity_GN, speaker_G, reduction="sum")
        else:
            likeness_GN, own_G1 = similarity_GN.sigmoid(), speaker_G[:, None]
            own_G = likeness_GN.gather(1, own_G1)[:, 0]
            other_G = likeness_GN.scatter(1, own_G1, -1.0).amax(dim=1)
            loss = (1 - own_G + other_G).sum()
        return loss, cosine_GN.argmax(dim=1) == speaker_G


def centroid_cosines(
    embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
) -> torch.Tensor:
    """Cosines between utterances and centroids of length-normalised utterances, (G, N).

    The centroid of an utterance's own speaker is computed without the utterance.
    """
    unit_GE = unit(embedding_GE)
    centroid_NE, others_GE = leave_one_out_centroids(unit_GE, speaker_G, num_utterances)
    own_G1 = (unit_GE * unit(others_GE)).sum(dim=1, keepdim=True)
    cosine_GN = unit_GE @ unit(centroid_NE).T
    return cosine_GN.scatter(1, speaker_G[:, None], own_G1)


def unit(x_GE: torch.Tensor) -> torch.Tensor:
    """Vectors divided by their length, or by SMALLEST_NORM if they are shorter."""
    return F.normalize(x_GE, eps=SMALLEST_NORM)
