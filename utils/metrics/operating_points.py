"""Operating points of detection costs: a prior of targets, and the costs of both errors.

A cost divided by that of the better trivial decision depends on the three numbers only through the
effective prior

    p_target x c_miss / (p_target x c_miss + (1 - p_target) x c_fa),

so every point is a prior with costs of 1 (Brummer and de Villiers, "The BOSARIS toolkit user
guide", 2011).
"""

from collections.abc import Mapping
from types import MappingProxyType

from utils.errors import UserError

# priors at which minDCF is reported: VoxCeleb's papers use both
USUAL: Mapping[str, float] = MappingProxyType({"0.01": 0.01, "0.05": 0.05})


def effective_prior(p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> float:
    """The prior that leads to the same decisions with costs of 1; ValueError if out of range."""
    if not (0 < p_target < 1 and 0 < c_miss < float("inf") and 0 < c_fa < float("inf")):
        raise ValueError(
            f"need 0 < p_target < 1 and positive costs, "
            f"got p_target {p_target:g}, c_miss {c_miss:g}, c_fa {c_fa:g}"
        )
    return p_target * c_miss / (p_target * c_miss + (1 - p_target) * c_fa)


def operating_points(further: str | None) -> dict[str, float]:
    """The usual points and further ones: name -> effective prior, sorted by it.

    ``further`` has points joined by commas, each ``p_target`` or ``p_target:c_miss:c_fa``.
    UserError if one is neither, or out of range.
    """
    points = dict(USUAL)
    texts = []
    if further:
        texts = further.split(",")
    for text in texts:
        try:
            numbers = [float(part) for part in text.split(":")]
            if len(numbers) not in (1, 3):
                raise ValueError(f"{len(numbers)} numbers")
            prior = effective_prior(*numbers)
        except ValueError as error:
            raise UserError(
                f"--operating-points: '{text}' ({error}), expected a prior such as 0.001, or "
                "prior:cost of a miss:cost of a false alarm such as 0.01:10:1"
            ) from None
        points[":".join(f"{number:g}" for number in numbers)] = prior
    return dict(sorted(points.items(), key=lambda point: (point[1], point[0])))
