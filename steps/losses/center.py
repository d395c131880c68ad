"""Center loss: a centre per speaker, which follows the speaker's embeddings and attracts them.

Shapes: ``B`` batch, ``G`` global batch, ``E`` embedding, ``N`` speakers.
"""

import torch
from torch import nn

from steps.losses.batches import full_precision, gather_rows, own_rows


class Center(nn.Module):
    """Half the squared distances between embeddings and their speakers' centres, summed.

    The sum is over the batch of all processes, as in RawNet's published code.  The centres are no
    weights: in training each call moves the centre c of every speaker with n embeddings x in the
    batch by ``-update_rate * sum(c - x) / (1 + n)``, after computing the loss.  Use it in a
    ``weighted_sum`` with a classification loss: alone it draws all embeddings to one point.

    Parameters
    ----------
    update_rate : float
        alpha of the paper, in (0, 1].

    References
    ----------
    Wen et al., "A discriminative feature learning approach for deep face recognition", ECCV 2016,
    (4); Jung et al., RawNet, Interspeech 2019.
    """

    center_NE: torch.Tensor

    def __init__(self, embedding_dim: int, num_speakers: int, *, update_rate: float = 0.5) -> None:
        super().__init__()
        if not 0 < update_rate <= 1:
            raise ValueError(f"update_rate is {update_rate}, expected above 0 and at most 1")
        self.update_rate = update_rate
        # RawNet's published code
        first_NE = torch.empty(num_speakers, embedding_dim).uniform_(-0.05, 0.05)
        self.register_buffer("center_NE", first_NE)

    def forward(
        self, embedding_BE: torch.Tensor, labels_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and how many utterances of this process are nearest to their own centre."""
        with torch.autocast(embedding_BE.device.type, enabled=False):
            embedding_GE = gather_rows(full_precision(embedding_BE))
            labels_G = gather_rows(labels_B)
            offset_GE = embedding_GE - self.center_NE[labels_G]
            with torch.no_grad():
                distance_BN = torch.cdist(own_rows(embedding_GE), self.center_NE)
                nearest_B = distance_BN.argmin(dim=1)
                if self.training:
                    self._move_centres(offset_GE, labels_G)
        return 0.5 * offset_GE.square().sum(), (nearest_B == labels_B).sum()

    def _move_centres(self, offset_GE: torch.Tensor, labels_G: torch.Tensor) -> None:
        """Move the centres of the batch's speakers towards their embeddings."""
        count_N = labels_G.bincount(minlength=len(self.center_NE))
        divisor_G = (1 + count_N)[labels_G]
        move_GE = self.update_rate * offset_GE / divisor_G[:, None]
        self.center_NE.index_add_(0, labels_G, move_GE.to(self.center_NE.dtype))
