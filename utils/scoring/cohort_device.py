"""Statistics of cohort scores that are dot products, on a torch device.

The same numbers as utils/scoring/cohort_scores.py, but for rounding.
"""

import numpy as np
import torch

from utils.scoring.cohort_scores import Rows, block_slices, check_cohort, checked_deviations

SIDES_AT_A_TIME, MEMBERS_AT_A_TIME = 4096, 1 << 16  # 1 GiB of scores


def cohort_statistics_on(
    device: str, sides: np.ndarray, cohort: Rows, top_k: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """As `cohort_scores.cohort_statistics`, of dot products on a device such as ``cuda``.

    Sides are (N, D), or (N, R, D) whose rows are averaged, since a dot product is linear.
    """
    check_cohort(len(cohort), top_k)
    moments = np.empty((3, len(sides)))
    for block in block_slices(len(sides), SIDES_AT_A_TIME):
        vectors = sides[block]
        if sides.ndim == 3:
            vectors = vectors.mean(axis=1)
        on_device = torch.from_numpy(np.ascontiguousarray(vectors)).to(device)
        moments[:, block] = block_moments(on_device, cohort, top_k).cpu().numpy()
    return moments[0], checked_deviations(*moments)


def block_moments(sides: torch.Tensor, cohort: Rows, top_k: int | None) -> torch.Tensor:
    """Mean, standard deviation and largest absolute value (3, B) of the scores of B sides.

    The sides are on the device; the cohort is copied there in blocks.
    """
    blocks = (
        sides @ torch.from_numpy(cohort[members]).to(sides).T
        for members in block_slices(len(cohort), MEMBERS_AT_A_TIME)
    )
    if top_k is not None:
        best = next(blocks)
        best = best.topk(min(top_k, best.shape[1])).values
        for block in blocks:
            joined = torch.cat([best, block], dim=1)
            best = joined.topk(min(top_k, joined.shape[1])).values
        best = best.double()
        deviation = best.std(dim=1, correction=0)
        return torch.stack([best.mean(dim=1), deviation, best.abs().amax(dim=1)])
    total, square, largest = sides.new_zeros((3, len(sides)), dtype=torch.float64)
    for block in blocks:
        block = block.double()
        total = total + block.sum(dim=1)
        square = square + block.square().sum(dim=1)
        largest = torch.maximum(largest, block.abs().amax(dim=1))
    mean = total / len(cohort)
    deviation = (square / len(cohort) - mean.square()).clamp(min=0).sqrt()
    return torch.stack([mean, deviation, largest])
