"""Statistics of cohort scores that are dot products, on a torch device: the same numbers as
utils/scoring/cohort_scores.py, but for rounding.
"""

import numpy as np
import torch

from utils.scoring.cohort_scores import Rows, blocks_of, check_cohort, checked_deviations

SIDES_AT_A_TIME, MEMBERS_AT_A_TIME = 4096, 1 << 16  # 1 GiB of scores


def cohort_statistics_on(
    device: str, sides: np.ndarray, cohort: Rows, top_k: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each side's dot products with the cohort, or with its closest members.

    Parameters
    ----------
    device : str
        Such as ``cuda``.
    sides : (N, D) or (N, R, D) float array
        Transformed embeddings; of a matrix its rows are averaged, since a dot product is linear.
    cohort : (C, D) float array
        Transformed embeddings of other speakers.
    top_k : int or None
        How many of the highest scores count; None: all.

    Returns
    -------
    means, deviations : (N,) float64 arrays

    Raises
    ------
    ValueError
        ``top_k`` is not in [2, C], or the cohort has fewer than two members.
    NoSpread
        Scores of a side do not differ.
    """
    check_cohort(len(cohort), top_k)
    found = np.empty((3, len(sides)))
    for block in blocks_of(len(sides), SIDES_AT_A_TIME):
        some = sides[block] if sides.ndim == 2 else sides[block].mean(axis=1)
        found[:, block] = (
            block_moments(torch.from_numpy(np.ascontiguousarray(some)).to(device), cohort, top_k)
            .cpu()
            .numpy()
        )
    return found[0], checked_deviations(*found)


def block_moments(sides: torch.Tensor, cohort: Rows, top_k: int | None) -> torch.Tensor:
    """Mean, standard deviation and largest absolute value (3, B) of the scores of some sides.

    Parameters
    ----------
    sides : (B, D) tensor
        On the device.
    cohort : (C, D) float array
        Sent there in blocks.
    top_k : int or None
        As above.
    """
    blocks = (
        sides @ torch.from_numpy(cohort[members]).to(sides).T
        for members in blocks_of(len(cohort), MEMBERS_AT_A_TIME)
    )
    if top_k is not None:
        best = next(blocks)
        best = best.topk(min(top_k, best.shape[1])).values
        for block in blocks:
            best = (
                torch.cat([best, block], dim=1)
                .topk(min(top_k, best.shape[1] + block.shape[1]))
                .values
            )
        best = best.double()
        return torch.stack(
            [best.mean(dim=1), best.std(dim=1, correction=0), best.abs().amax(dim=1)]
        )
    total, square, largest = (sides.new_zeros(len(sides), dtype=torch.float64) for _ in range(3))
    for block in blocks:
        block = block.double()
        total, square, largest = (
            total + block.sum(dim=1),
            square + block.square().sum(dim=1),
            torch.maximum(largest, block.abs().amax(dim=1)),
        )
    mean = total / len(cohort)
    return torch.stack([mean, (square / len(cohort) - mean.square()).clamp(min=0).sqrt(), largest])
