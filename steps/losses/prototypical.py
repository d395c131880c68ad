"""Prototypical losses: one utterance of each speaker, the query, against the means of the others.

Shapes: ``G`` global batch, ``E`` embedding, ``N`` speakers in it.
"""

import torch
import torch.nn.functional as F

from steps.losses.batches import BatchLoss, leave_one_out_centroids
from steps.losses.ge2e import LearnedSimilarity, centroid_cosines, unit


class Prototypical(BatchLoss):
    """Cross entropy of minus the squared distances between queries and prototypes, their mean.

    The query is a speaker's first utterance in the batch, the prototype the mean of the others;
    nothing is length-normalised.  An utterance is correct if its own speaker's centroid, computed
    without it, is the nearest centroid.

    References
    ----------
    Snell et al., "Prototypical networks for few-shot learning", NeurIPS 2017; Chung et al., "In
    defence of metric learning for speaker recognition", Interspeech 2020.  The distances are over
    the embedding's axis, which in the published code of the latter depends on the version of torch.
    """

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and whether each utterance is correct."""
        query_NE, prototype_NE = _queries_and_prototypes(embedding_GE, speaker_G, num_utterances)
        loss = _cross_entropy_of_queries(-squared_distances(query_NE, prototype_NE))
        with torch.no_grad():
            centroid_NE, others_GE = leave_one_out_centroids(
                embedding_GE, speaker_G, num_utterances
            )
            own_G1 = (embedding_GE - others_GE).square().sum(dim=1, keepdim=True)
            distance_GN = squared_distances(embedding_GE, centroid_NE)
            distance_GN = distance_GN.scatter(1, speaker_G[:, None], own_G1)
        return loss, distance_GN.argmin(dim=1) == speaker_G


class AngularPrototypical(LearnedSimilarity):
    """As :class:`Prototypical`, with scaled cosines instead of squared distances.

    The cosines get a learned scale and offset.  An utterance is correct if its own speaker's
    centroid, computed without it, has the highest cosine.

    Parameters
    ----------
    initial_scale, initial_offset : float
        First scale, above 0, and offset of the cosines: w and b of the paper.

    References
    ----------
    Chung et al., "In defence of metric learning for speaker recognition", Interspeech 2020.
    """

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and whether each utterance is correct."""
        query_NE, prototype_NE = _queries_and_prototypes(embedding_GE, speaker_G, num_utterances)
        cosine_NN = unit(query_NE) @ unit(prototype_NE).T
        loss = _cross_entropy_of_queries(self.similarity(cosine_NN))
        with torch.no_grad():
            cosine_GN = centroid_cosines(embedding_GE, speaker_G, num_utterances)
        return loss, cosine_GN.argmax(dim=1) == speaker_G


def _queries_and_prototypes(
    embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first utterance of each speaker, and the mean of the speaker's others, both (N, E)."""
    first_N = speaker_G.argsort(stable=True)[::num_utterances]
    _, others_GE = leave_one_out_centroids(embedding_GE, speaker_G, num_utterances)
    return embedding_GE[first_N], others_GE[first_N]


def squared_distances(x_XE: torch.Tensor, y_YE: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances between the rows of two arrays, (X, Y)."""
    # products of matrices would lose small distances
    return torch.cdist(x_XE, y_YE, compute_mode="donot_use_mm_for_euclid_dist").square()


def _cross_entropy_of_queries(score_NN: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy if query n belongs to prototype n."""
    return F.cross_entropy(score_NN, torch.arange(len(score_NN), device=score_NN.device))
