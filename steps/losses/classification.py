"""Classification losses over speakers: softmax, and softmax of cosines with a margin.

Computed in float32, also under autocast.
Shapes: ``B`` batch, ``E`` embedding, ``N`` speakers, ``K`` centres of a speaker.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from steps.losses.batches import full_precision, gather_rows


def _uniform_(weight_NE: torch.Tensor) -> torch.Tensor:
    """Fill weights uniformly between -1 / sqrt(E) and 1 / sqrt(E)."""
    bound = weight_NE.shape[1] ** -0.5
    return nn.init.uniform_(weight_NE, -bound, bound)


INITIALIZERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "orthogonal": nn.init.orthogonal_,
    "he_normal": nn.init.kaiming_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "uniform": _uniform_,
}


class Classification(nn.Module):
    """What the losses share: a weight vector per speaker and online hard example mining.

    ``ohem_keep``, in (0, 1], is the share of the batch of all processes that the loss is the mean
    of: the utterances of lowest probability (with the margin).
    """

    def __init__(self, embedding_dim: int, num_speakers: int, *, ohem_keep: float = 1.0) -> None:
        super().__init__()
        if not 0 < ohem_keep <= 1:
            raise ValueError(f"ohem_keep is {ohem_keep}, expected above 0 and at most 1")
        self.ohem_keep = ohem_keep
        self.weight_NE = nn.Parameter(torch.empty(num_speakers, embedding_dim))

    def forward(
        self, embedding_BE: torch.Tensor, labels_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean loss, and how many utterances score highest for their own speaker.

        The margin counts in the loss only.  Embeddings are not length-normalised; labels are 0 to
        N - 1.
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            scores_BN = self.scores(full_precision(embedding_BE))
            logits_BN = self.logits(scores_BN, labels_B)
            loss_B = F.cross_entropy(logits_BN, labels_B, reduction="none")
            loss = self.mean(loss_B) + self.penalty()
        return loss, (scores_BN.argmax(dim=1) == labels_B).sum()

    def scores(self, embedding_BE: torch.Tensor) -> torch.Tensor:
        """Scores of the speakers without margin or scale, (B, N)."""
        raise NotImplementedError

    def logits(self, scores_BN: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """Input of the cross entropy, (B, N)."""
        raise NotImplementedError

    def mean(self, loss_B: torch.Tensor) -> torch.Tensor:
        """Mean over the hardest utterances."""
        if self.ohem_keep == 1:
            return loss_B.mean()
        loss_G = gather_rows(loss_B)
        number = max(1, round(self.ohem_keep * len(loss_G)))
        return loss_G.topk(number).values.mean()

    def penalty(self) -> torch.Tensor | float:
        """What a subclass adds for its weights."""
        return 0.0


class Softmax(Classification):
    """Cross entropy of a linear layer, by default without bias, and RawNet's speaker-basis loss.

    The speaker-basis loss pushes the speakers' weight vectors apart.  RawNet's published code
    (``code``) takes the mean over all N * N pairs of 5 times the cosine of two different speakers'
    vectors, with 0 for a speaker and itself; the paper (``paper``) the sum of these cosines.

    Parameters
    ----------
    bias : bool
        Whether the layer has a bias, which starts at 0.
    embedding_norm : float or None
        Length that embeddings are scaled to (10 in RawNet's PyTorch port, RawNet2 and Deep
        Speaker); None: they are not scaled.
    initializer : {"orthogonal", "he_normal", "xavier_uniform", "uniform"}
        Of the weights: VGG's; RawNet's; its port's; Deep Speaker's, within 1 / sqrt(E).
    speaker_basis_weight : float
        Factor of the speaker-basis loss (1 in RawNet); 0: without.
    speaker_basis_form : {"code", "paper"}
        Form of the speaker-basis loss, see above.
    **options
        ``ohem_keep``, see :class:`Classification`.

    References
    ----------
    Xie et al., ICASSP 2019; Heo et al., "End-to-end losses based on speaker basis vectors and
    all-speaker hard negative mining for speaker verification", Interspeech 2019; Jung et al.,
    RawNet, Interspeech 2019.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        bias: bool = False,
        embedding_norm: float | None = None,
        initializer: Literal["orthogonal", "he_normal", "xavier_uniform", "uniform"] = "orthogonal",
        speaker_basis_weight: float = 0.0,
        speaker_basis_form: Literal["code", "paper"] = "code",
        **options: float,
    ) -> None:
        super().__init__(embedding_dim, num_speakers, **options)
        if embedding_norm is not None and embedding_norm <= 0:
            raise ValueError(f"embedding_norm is {embedding_norm}, expected above 0")
        if initializer not in INITIALIZERS:
            raise ValueError(
                f"initializer is '{initializer}', expected one of {', '.join(INITIALIZERS)}"
            )
        if speaker_basis_weight < 0:
            raise ValueError(f"speaker_basis_weight is {speaker_basis_weight}, expected 0 or more")
        if speaker_basis_form not in ("code", "paper"):
            raise ValueError(
                f"speaker_basis_form is '{speaker_basis_form}', expected code or paper"
            )
        self.embedding_norm = embedding_norm
        self.speaker_basis_weight = speaker_basis_weight
        self.speaker_basis_form = speaker_basis_form
        INITIALIZERS[initializer](self.weight_NE)
        self.bias_N: nn.Parameter | None = None
        if bias:
            self.bias_N = nn.Parameter(torch.zeros(num_speakers))

    def scores(self, embedding_BE: torch.Tensor) -> torch.Tensor:
        """Linear scores, (B, N)."""
        if self.embedding_norm is not None:
            embedding_BE = self.embedding_norm * F.normalize(embedding_BE, eps=1e-6)
        return F.linear(embedding_BE, self.weight_NE, self.bias_N)

    def logits(self, scores_BN: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """The scores themselves."""
        return scores_BN

    def penalty(self) -> torch.Tensor | float:
        """The weighted speaker-basis loss."""
        if not self.speaker_basis_weight:
            return 0.0
        if self.speaker_basis_form == "code":
            norm_N1 = self.weight_NE.norm(dim=1, keepdim=True)
            basis_NE = self.weight_NE / (norm_N1 / math.sqrt(5) + 1e-4)
            factor = self.speaker_basis_weight / len(basis_NE) ** 2
        else:
            basis_NE, factor = F.normalize(self.weight_NE), self.speaker_basis_weight
        # all pairs less each speaker with itself, without an N x N matrix
        all_pairs = basis_NE.sum(dim=0).square().sum()
        return factor * (all_pairs - basis_NE.square().sum())


class CosineMargin(Classification):
    """Scaled cosines between embeddings and speakers' vectors, with a margin for the own speaker.

    ``margin`` is in [0, 1) and ``scale`` above 0; a schedule may set the attribute ``margin``
    between steps.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        scale: float,
        margin: float,
        **options: float,
    ) -> None:
        super().__init__(embedding_dim, num_speakers, **options)
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
        harder_B1 = self.with_margin(scores_BN.gather(1, own_B1))
        return self.scale * scores_BN.scatter(1, own_B1, harder_B1)

    def with_margin(self, cosine_B1: torch.Tensor) -> torch.Tensor:
        """The labelled speaker's cosine, reduced by the margin."""
        raise NotImplementedError


class AdditiveMarginSoftmax(CosineMargin):
    """The margin is subtracted from the cosine: scale * (cos - margin).

    Parameters
    ----------
    scale : float
        Factor of the cosines, above 0.
    margin : float
        Difference of cosines, in [0, 1).
    **options
        ``ohem_keep``, see :class:`Classification`.

    References
    ----------
    Wang et al., "Additive margin softmax for face verification", IEEE SPL 2018; scale and margin of
    Xie et al., ICASSP 2019.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        scale: float = 30.0,
        margin: float = 0.35,
        **options: float,
    ) -> None:
        super().__init__(embedding_dim, num_speakers, scale=scale, margin=margin, **options)

    def with_margin(self, cosine_B1: torch.Tensor) -> torch.Tensor:
        """cos - margin."""
        return cosine_B1 - self.margin


class AdditiveAngularMarginSoftmax(CosineMargin):
    """The margin is added to the angle: scale * cos(angle + margin).

    Parameters
    ----------
    scale : float
        Factor of the cosines, above 0.
    margin : float
        Angle in radians, in [0, 1).
    easy_margin : bool
        True: angles above 90 degrees get no margin.  False: beyond 180 degrees - margin, where
        cos(angle + margin) would rise again, margin * sin(margin) is subtracted from the cosine.
    sub_centers : int
        K, vectors per speaker; the nearest to the embedding counts.  Rows n * K to n * K + K - 1 of
        the weights are speaker n's.
    **options
        ``ohem_keep``, see :class:`Classification`.

    References
    ----------
    Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019;
    "Sub-center ArcFace", ECCV 2020.
    """

    def __init__(
        self,
        embedding_dim: int,
        num_speakers: int,
        *,
        scale: float = 30.0,
        margin: float = 0.2,
        easy_margin: bool = False,
        sub_centers: int = 1,
        **options: float,
    ) -> None:
        if sub_centers < 1:
            raise ValueError(f"sub_centers is {sub_centers}, expected 1 or more")
        super().__init__(
            embedding_dim, num_speakers * sub_centers, scale=scale, margin=margin, **options
        )
        self.easy_margin, self.sub_centers = easy_margin, sub_centers

    def scores(self, embedding_BE: torch.Tensor) -> torch.Tensor:
        """Cosines with the nearest vector of each speaker, (B, N)."""
        cosine_BNK = super().scores(embedding_BE).unflatten(1, (-1, self.sub_centers))
        return cosine_BNK.amax(dim=2)

    def with_margin(self, cosine_B1: torch.Tensor) -> torch.Tensor:
        """cos(angle + margin), continued so that it falls with the angle."""
        # at 0 the gradient of the sine would be infinite
        sine_B1 = (1 - cosine_B1.square()).clamp(min=1e-7).sqrt()
        harder_B1 = cosine_B1 * math.cos(self.margin) - sine_B1 * math.sin(self.margin)
        if self.easy_margin:
            return torch.where(cosine_B1 > 0, harder_B1, cosine_B1)
        beyond_B1 = cosine_B1 - self.margin * math.sin(self.margin)
        return torch.where(cosine_B1 > -math.cos(self.margin), harder_B1, beyond_B1)
