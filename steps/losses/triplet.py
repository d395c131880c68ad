"""Triplet loss with mining in the batch.

Shapes: ``G`` global batch, ``E`` embedding, ``P`` pairs of two different utterances of one speaker,
in both orders.
"""

from typing import Literal

import torch
import torch.nn.functional as F

from steps.losses.batches import BatchLoss
from steps.losses.ge2e import unit
from steps.losses.prototypical import squared_distances


class Triplet(BatchLoss):
    """Mean over mined triplets of max(0, margin + distance to positive - distance to negative).

    Every utterance is an anchor with every other utterance of its speaker.  An utterance is correct
    if the nearest other utterance is of its speaker.

    Parameters
    ----------
    distance : {"cosine", "euclidean"}
        Minus the cosine; or the square root of the sum of squared differences + 1e-4 / E (Deep
        Speaker's published code), without length normalisation.
    mining : {"semi_hard", "hard", "all"}
        ``semi_hard``: of the negatives further than the positive, by less than the margin, the
        nearest; pairs without one are left out.  ``hard``: the nearest negative.  ``all``: every
        negative.  The loss is 0 if no triplet is left.
    margin : float
        Above 0, in units of the distance; a schedule may set the attribute between steps.
    embedding_norm : float or None
        Length that embeddings are scaled to for the Euclidean distance (10 in Deep Speaker's
        published code); None: they are not scaled.

    References
    ----------
    Li et al., "Deep Speaker: an end-to-end neural speaker embedding system", 2017 (cosine, 0.1);
    Schroff et al., "FaceNet", CVPR 2015 (semi-hard).
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        distance: Literal["cosine", "euclidean"] = "cosine",
        mining: Literal["semi_hard", "hard", "all"] = "semi_hard",
        margin: float = 0.1,
        embedding_norm: float | None = None,
    ) -> None:
        super().__init__(embedding_dim, num_speakers)
        if distance not in ("cosine", "euclidean"):
            raise ValueError(f"distance is '{distance}', expected cosine or euclidean")
        if mining not in ("semi_hard", "hard", "all"):
            raise ValueError(f"mining is '{mining}', expected semi_hard, hard or all")
        if margin <= 0:
            raise ValueError(f"margin is {margin}, expected above 0")
        if embedding_norm is not None and (embedding_norm <= 0 or distance == "cosine"):
            raise ValueError(
                f"embedding_norm is {embedding_norm}, expected above 0, "
                "and with the euclidean distance only"
            )
        self.distance, self.mining = distance, mining
        self.margin, self.embedding_norm = margin, embedding_norm

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and whether each utterance is correct."""
        distance_GG = self.distances(embedding_GE)
        is_same_GG = speaker_G[:, None] == speaker_G
        is_self_GG = torch.eye(len(speaker_G), dtype=torch.bool, device=speaker_G.device)
        anchor_P, positive_P = (is_same_GG & ~is_self_GG).nonzero(as_tuple=True)
        # how much nearer the negative is than the positive
        harder_PG = distance_GG[anchor_P, positive_P][:, None] - distance_GG[anchor_P]
        loss = self.mined(harder_PG, ~is_same_GG[anchor_P])
        nearest_G = distance_GG.detach().masked_fill(is_self_GG, torch.inf).argmin(dim=1)
        return loss, speaker_G[nearest_G] == speaker_G

    def distances(self, embedding_GE: torch.Tensor) -> torch.Tensor:
        """Distances between all utterances of the batch, (G, G)."""
        if self.distance == "cosine":
            unit_GE = unit(embedding_GE)
            return -(unit_GE @ unit_GE.T)
        if self.embedding_norm is not None:
            embedding_GE = self.embedding_norm * unit(embedding_GE)
        return (squared_distances(embedding_GE, embedding_GE) + 1e-4 / embedding_GE.shape[1]).sqrt()

    def mined(self, harder_PG: torch.Tensor, is_negative_PG: torch.Tensor) -> torch.Tensor:
        """Mean over the mined triplets.

        ``harder_PG`` is the distance to the pair's positive less the distance to each utterance.
        """
        if self.mining == "all":
            return F.relu(self.margin + harder_PG[is_negative_PG]).mean()
        is_candidate_PG = is_negative_PG
        if self.mining == "semi_hard":
            is_candidate_PG = is_negative_PG & (harder_PG < 0) & (harder_PG > -self.margin)
        hardest_P = harder_PG.masked_fill(~is_candidate_PG, -torch.inf).amax(dim=1)
        has_negative_P = is_candidate_PG.any(dim=1)
        loss_P = F.relu(self.margin + hardest_P[has_negative_P])
        return loss_P.sum() / has_negative_P.sum().clamp(min=1)
