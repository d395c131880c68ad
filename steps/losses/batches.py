"""The batch as a loss sees it: the rows of all processes, N speakers with M utterances each.

Shapes: ``B`` rows of this process, ``G`` rows of the global batch, ``N`` speakers in it,
``M`` utterances of each, ``E`` embedding.
"""

import torch
from torch import nn


def full_precision(x: torch.Tensor) -> torch.Tensor:
    """The tensor in float32, or in float64 if it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def gather_rows(x_B: torch.Tensor) -> torch.Tensor:
    """Rows of the global batch, in the order that they have with one process.

    Every process then computes the same loss of the whole batch.  The gradient of a process's own
    rows comes back times the number of processes: the mean over the processes is that of one.
    """
    _, world = _rank_and_world()
    if world == 1:
        return x_B
    return _Gathered.apply(x_B)


def own_rows(x_G: torch.Tensor) -> torch.Tensor:
    """This process's rows of the global batch, (B, ...): rank, rank + world, ..."""
    rank, world = _rank_and_world()
    return x_G[rank::world]


def _speakers_by_utterances(labels_G: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Number of each row's speaker, from 0 to N - 1, and M."""
    _, speaker_G, count_N = labels_G.unique(return_inverse=True, return_counts=True)
    counts = count_N.tolist()
    fewest, most = min(counts, default=0), max(counts, default=0)
    if len(counts) < 2 or fewest < 2 or fewest != most:
        raise ValueError(
            f"a batch of {len(labels_G)} rows has {len(counts)} speakers with {fewest} to {most} "
            "utterances each, expected 2 or more speakers with equally many each, 2 or more: "
            "compose batches as speakers x utterances"
        )
    return speaker_G, fewest


def leave_one_out_centroids(
    x_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean of each speaker, (N, E), and for each utterance the mean of the others, (G, E)."""
    zeros_NE = x_GE.new_zeros(len(x_GE) // num_utterances, x_GE.shape[1])
    sum_NE = zeros_NE.index_add(0, speaker_G, x_GE)
    others_GE = (sum_NE[speaker_G] - x_GE) / (num_utterances - 1)
    return sum_NE / num_utterances, others_GE


class BatchLoss(nn.Module):
    """A loss that compares the utterances of a batch, over all processes, by ``compare``.

    Every loss is built with ``embedding_dim`` and ``num_speakers``; this kind ignores them.
    """

    batch_shape = "speakers_x_utterances"

    def __init__(self, embedding_dim: int, num_speakers: int) -> None:
        super().__init__()

    def forward(
        self, embedding_BE: torch.Tensor, labels_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of the global batch, and this process's number of correct utterances.

        Over all processes there are N >= 2 speakers with M >= 2 rows each, in any order; raises
        ValueError for another batch.
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            embedding_GE = gather_rows(full_precision(embedding_BE))
            speaker_G, num_utterances = _speakers_by_utterances(gather_rows(labels_B))
            loss, is_correct_G = self.compare(embedding_GE, speaker_G, num_utterances)
        return loss, own_rows(is_correct_G).sum()

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and whether each utterance is correct, (G,).

        Embeddings are not length-normalised; speakers are 0 to N - 1, with M utterances each.
        """
        raise NotImplementedError


class _Gathered(torch.autograd.Function):
    """The rows of all processes in the order of the global batch, with a gradient."""

    @staticmethod
    def forward(ctx, x_B):
        _, world = _rank_and_world()
        x_B = x_B.contiguous()
        parts = [torch.empty_like(x_B) for _ in range(world)]
        torch.distributed.all_gather(parts, x_B)
        # row r of the batch belongs to process r modulo world (utils/training/sampling.py)
        return torch.stack(parts, dim=1).flatten(0, 1)

    @staticmethod
    def backward(ctx, gradient_G):
        _, world = _rank_and_world()
        return own_rows(gradient_G) * world


def _rank_and_world() -> tuple[int, int]:
    """Number of this process, from 0, and how many there are."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
