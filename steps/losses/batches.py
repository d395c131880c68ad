"""The batch as a loss sees it: all rows of all processes, in full precision, N speakers with M utterances each.

Shapes: ``B`` rows of this process, ``G`` rows of the global batch, ``N`` speakers in it, ``M`` utterances of each, ``E`` embedding.
"""

import torch
from torch import nn


def full_precision(x: torch.Tensor) -> torch.Tensor:
    """The tensor in float32, or in float64 if it is.

    Parameters
    ----------
    x : float tensor
        As autocast left it.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def of_all_processes(x_B: torch.Tensor) -> torch.Tensor:
    """Rows of the global batch, in the order that they have with one process.

    Every process then computes the same loss of the whole batch.  The mean of the processes' gradients is that of one process, since the gradient of
    a process's own rows comes back times the number of processes.

    Parameters
    ----------
    x_B : (B, ...) tensor
        Rows rank, rank + world, ... of the global batch.
    """
    return x_B if _rank_and_world()[1] == 1 else _Gathered.apply(x_B)


def own_rows(x_G: torch.Tensor) -> torch.Tensor:
    """Those rows of the global batch that this process has brought, (B, ...).

    Parameters
    ----------
    x_G : (G, ...) tensor
        As :func:`of_all_processes` gives them.
    """
    rank, world = _rank_and_world()
    return x_G[rank::world]


def _speakers_by_utterances(labels_G: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Which of the batch's N speakers each row belongs to, and M."""
    _, speaker_G, count_N = labels_G.unique(return_inverse=True, return_counts=True)
    counts = count_N.tolist()
    if len(counts) < 2 or min(counts) < 2 or min(counts) != max(counts):
        raise ValueError(
            f"a batch of {len(labels_G)} rows has {len(counts)} speakers with {min(counts, default=0)} to {max(counts, default=0)} "
            "utterances each, expected 2 or more speakers with equally many each, 2 or more: compose batches as speakers x utterances"
        )
    return speaker_G, counts[0]


def leave_one_out_centroids(
    x_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means of all utterances of each speaker; and for each utterance, the mean of its speaker's others.

    Parameters
    ----------
    x_GE : (G, E) float tensor
        Embeddings.
    speaker_G : (G,) int64 tensor
        0 to N - 1.
    num_utterances : int
        M.

    Returns
    -------
    centroid_NE, others_GE : (N, E) and (G, E) float tensors
    """
    zeros_NE = x_GE.new_zeros(len(x_GE) // num_utterances, x_GE.shape[1])
    sum_NE = zeros_NE.index_add(0, speaker_G, x_GE)
    others_GE = (sum_NE[speaker_G] - x_GE) / (num_utterances - 1)
    return sum_NE / num_utterances, others_GE


class BatchLoss(nn.Module):
    """A loss that compares the utterances of a batch with each other, over all processes; a subclass has ``compare``.

    Parameters
    ----------
    embedding_dim, num_speakers : int
        Taken since every loss is built with them; comparing utterances needs neither.
    """

    batch_shape = "speakers_x_utterances"

    def __init__(self, embedding_dim: int, num_speakers: int) -> None:
        super().__init__()

    def forward(
        self, embedding_BE: torch.Tensor, labels_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of the global batch, and how many utterances of this process are nearest to their own speaker, as the subclass says.

        Parameters
        ----------
        embedding_BE : (B, E) float tensor
            As the network gives them.
        labels_B : (B,) int64 tensor
            Speakers; over all processes N >= 2 of them with M >= 2 rows each, in any order.

        Returns
        -------
        loss : () float32 tensor
        num_correct : () int64 tensor

        Raises
        ------
        ValueError
            Another composition of the batch.
        """
        with torch.autocast(embedding_BE.device.type, enabled=False):
            embedding_GE = of_all_processes(full_precision(embedding_BE))
            speaker_G, num_utterances = _speakers_by_utterances(of_all_processes(labels_B))
            loss, is_correct_G = self.compare(embedding_GE, speaker_G, num_utterances)
        return loss, own_rows(is_correct_G).sum()

    def compare(
        self, embedding_GE: torch.Tensor, speaker_G: torch.Tensor, num_utterances: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss, and which utterances are right.

        Parameters
        ----------
        embedding_GE : (G, E) float tensor
            Not length-normalised.
        speaker_G : (G,) int64 tensor
            0 to N - 1.
        num_utterances : int
            M.

        Returns
        -------
        loss : () float tensor
        is_correct_G : (G,) bool tensor
        """
        raise NotImplementedError


class _Gathered(torch.autograd.Function):
    """The rows of all processes in the order of the global batch, with a gradient."""

    @staticmethod
    def forward(ctx, x_B):
        x_B = x_B.contiguous()
        parts = [torch.empty_like(x_B) for _ in range(_rank_and_world()[1])]
        torch.distributed.all_gather(parts, x_B)
        # draws are dealt in turn (utils/training/sampling.py)
        return torch.stack(parts, dim=1).flatten(0, 1)

    @staticmethod
    def backward(ctx, gradient_G):
        return own_rows(gradient_G) * _rank_and_world()[1]


def _rank_and_world() -> tuple[int, int]:
    """Number of this process, from 0 on, and how many there are."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 0, 1
    return torch.distributed.get_rank(), torch.distributed.get_world_size()
