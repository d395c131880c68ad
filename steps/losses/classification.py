"""Classification losses over speakers: softmax, and softmax of cosines with a margin.

Shapes: ``B`` batch, ``E`` embedding, ``N`` speakers.  Computed in float32 whatever the autocast state.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Classification(nn.Module):
    """What the losses share: a weight vector per speaker and the count of right answers.

    Parameters
    ----------
    embedding_dim, num_speakers : int
        E and N.
    """

    def __init__(self, embedding_dim: int, num_speakers: int) -> None:
        super().__init__()
        self.weight_NE = nn.Parameter(torch.empty(num_speakers, embedding_dim))

    def forward(self, embedding_BE: torch.Tensor, labels_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss, and how many utterances score highest for their own speaker (without the margin).

        Parameters
        ----------
        embedding_BE : (B, E) float tensor
            Not length-normalised.
        labels_B : (B,) int64 tensor
            Speakers, 0 to N - 1.

        Returns
        -------
        loss : () float32 tensor
        num_correct : () int64 tensor
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            scores_BN = self.scores(embedding_BE.float())
            loss = F.cross_entropy(self.logits(scores_BN, labels_B), labels_B)
        return loss, (scores_BN.argmax(dim=1) == labels_B).sum()


class Softmax(Classification):
    """Cross entropy of a linear layer without bias (VGG's prediction layer).

    Parameters
    ----------
    embedding_dim, num_speakers : int
        E and N.
    """

    def __init__(self, embedding_dim: int, num_speakers: int) -> None:
        super().__init__(embedding_dim, num_speakers)
        nn.init.orthogonal_(self.weight_NE)  # Xie et al. 2019, published code

    def scores(self, embedding_BE: torch.Tensor) -> torch.Tensor:
        """Linear scores, (B, N)."""
        return embedding_BE @ self.weight_NE.T

    def logits(self, scores_BN: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """The scores themselves."""
        return scores_BN


class CosineMargin(Classification):
    """Cosines between embeddings and speakers' vectors, times a scale; a subclass makes the labelled speaker's cosine harder to reach.

    Parameters
    ----------
    embedding_dim, num_speakers : int
        E and N.
    scale : float
        Factor of the cosines, above 0.
    margin : float
        In [0, 1); the attribute ``margin`` may be set between steps, by a schedule.
    """

    def __init__(self, embedding_dim: int, num_speakers: int, *, scale: float, margin: float) -> None:
        super().__init__(embedding_dim, num_speakers)
        if scale <= 0:
            raise ValueError(f"scale is {scale}, expected above 0")
        if not 0 <= margin < 1:
            raise ValueError(f"margin is {margin}, expected 0 or more and below 1")
        self.scale, self.margin = scale, margin
        nn.init.xavier_normal_(self.weight_NE)

    def scores(self, embedding_BE: torch.Tensor) -> torch.Tensor:
        """Cosines, (B, N)."""
        return F.normalize(embedding_BE) @ F.normalize(self.weight_NE).T

    def logits(self, scores_BN: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Scaled cosines, the labelled one with the margin."""
        own_B1 = labels_B[:, None]
        return self.scale * scores_BN.scatter(1, own_B1, self.with_margin(scores_BN.gather(1, own_B1)))


class AdditiveMarginSoftmax(CosineMargin):
    """The margin is taken from the cosine: scale * (cos - margin).

    Parameters
    ----------
    embedding_dim, num_speakers : int
        E and N.
    scale, margin : float
        Factor of the cosines; difference of cosines.

    References
    ----------
    Wang et al., "Additive margin softmax for face verification", IEEE SPL 2018; scale and margin of Xie et al., ICASSP 2019.
    """

    def __init__(self, embedding_dim: int, num_speakers: int, *, scale: float = 30.0, margin: float = 0.35) -> None:
        super().__init__(embedding_dim, num_speakers, scale=scale, margin=margin)

    def with_margin(self, cosine_B1: torch.Tensor) -> torch.Tensor:
        """cos - margin."""
        return cosine_B1 - self.margin


class AdditiveAngularMarginSoftmax(CosineMargin):
    """The margin is added to the angle: scale * cos(angle + margin).

    Parameters
    ----------
    embedding_dim, num_speakers : int
        E and N.
    scale, margin : float
        Factor of the cosines; angle in radians.
    easy_margin : bool
        Whether angles above 90 degrees are left without margin; otherwise those above 180 degrees - margin, where cos(angle + margin) would rise
        again, lose margin * sin(margin) from their cosine.

    References
    ----------
    Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.
    """

    def __init__(self, embedding_dim: int, num_speakers: int, *, scale: float = 30.0, margin: float = 0.2, easy_margin: bool = False) -> None:
        super().__init__(embedding_dim, num_speakers, scale=scale, margin=margin)
        self.easy_margin = easy_margin

    def with_margin(self, cosine_B1: torch.Tensor) -> torch.Tensor:
        """cos(angle + margin), continued so that it falls with the angle."""
        sine_B1 = (1 - cosine_B1.square()).clamp(min=1e-7).sqrt()  # at 0 its gradient would be infinite
        harder_B1 = cosine_B1 * math.cos(self.margin) - sine_B1 * math.sin(self.margin)
        if self.easy_margin:
            return torch.where(cosine_B1 > 0, harder_B1, cosine_B1)
        return torch.where(cosine_B1 > -math.cos(self.margin), harder_B1, cosine_B1 - self.margin * math.sin(self.margin))
