"""Prototypical losses: one utterance of each speaker, the query, against the means of the others.

Shapes: ``G`` global batch, ``E`` embedding, ``N`` speakers in it.
"""

import torch
import torch.nn.functional as F

from steps.losses.batches import BatchLoss, leave_one_out_centroids
from steps.losses.ge2e import LearnedSimilarity, centroid_cosines, unit


class Prototypical(BatchLoss):
    """Cross entropy over minus the squared distances between each query and all prototypes, mean over the queries; nothing is length-normalised.

    The query is a speaker's first utterance in the batch, the prototype the mean of the others.  An utterance counts as right when, of the
    centroids of all speakers, its own speaker's (taken without it) is the nearest.

    Parameters
    ----------
    embedding_dim, num_speakers : int
        Not needed.

    References
    ----------
    Snell et al., "Prototypical networks for few-shot learning", NeurIPS 2017; Chung et al., "In defence of metric learning for speaker
    recognition", Interspeech 2020, whose distances are here taken over the embedding's axis, whatever the version of torch.
    """

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and which utterances are right."""
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
    """As :class:`Prototypical`, with cosines times a learned scale plus a learned offset in place of the squared distances.

    An utterance counts as right when the centroid of the highest cosine is its own speaker's, taken without it.

    Parameters
    ----------
    embedding_dim, num_speakers : int
        Not needed.
    initial_scale, initial_offset : float
        w, above 0, and b of the paper.

    References
    ----------
    Chung et al., "In defence of metric learning for speaker recognition", Interspeech 2020.
    """

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and which utterances are right."""
        query_NE, prototype_NE = _queries_and_prototypes(embedding_GE, speaker_G, num_utterances)
        loss = _cross_entropy_of_queries(self.similarity(unit(query_NE) @ unit(prototype_NE).T))
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
    """Squared Euclidean distances between the rows of two arrays, (X, Y).

    Parameters
    ----------
    x_XE, y_YE : (X, E) and (Y, E) float tensors
        Vectors.
    """
    # products of matrices would lose small distances
    return torch.cdist(x_XE, y_YE, compute_mode="donot_use_mm_for_euclid_dist").square()


def _cross_entropy_of_queries(score_NN: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy when query n belongs to prototype n."""
    return F.cross_entropy(score_NN, torch.arange(len(score_NN), device=score_NN.device))
