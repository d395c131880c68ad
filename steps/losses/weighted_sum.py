"""A sum of losses."""

import inspect

import torch
from torch import nn

from steps.losses.parts import PARTS


class WeightedSum(nn.Module):
    """The sum of other losses, each times its weight; the first one's right answers count.

    Its attribute ``margin`` is 1, and may be set by a schedule: the part of their own margins that the losses apply.

    Parameters
    ----------
    embedding_dim, num_speakers : int
        For the parts.
    parts : list of dict
        Two or more: ``name``, options, and ``weight``, above 0 (1 where not given).
    """

    def __init__(self, embedding_dim: int, num_speakers: int, *, parts: list[dict]) -> None:
        super().__init__()
        if len(parts) < 2:
            raise ValueError(f"parts has {len(parts)} losses, expected 2 or more")
        self.parts, self.weights = nn.ModuleList(), []
        for options in parts:
            options = dict(options)
            weight = options.pop("weight", 1.0)
            if (
                isinstance(weight, bool)
                or not isinstance(weight, int | float)
                or not 0 < weight < float("inf")
            ):
                raise ValueError(
                    f"parts: {options.get('name')}: weight is {weight!r}, expected a number above 0"
                )
            self.parts.append(_part(options, embedding_dim, num_speakers))
            self.weights.append(weight)
        self.margins = [getattr(part, "margin", None) for part in self.parts]
        self.gradient_scales = {
            f"parts.{number}.{name}": factor
            for number, part in enumerate(self.parts)
            for name, factor in getattr(part, "gradient_scales", {}).items()
        }
        if shapes := [part.batch_shape for part in self.parts if hasattr(part, "batch_shape")]:
            self.batch_shape = shapes[0]
        self._margin = 1.0

    @property
    def margin(self) -> float:
        """The part of their own margins that the losses apply."""
        return self._margin

    @margin.setter
    def margin(self, value: float) -> None:
        """Set it, for all parts.

        Parameters
        ----------
        value : float
            0 or more.
        """
        self._margin = value
        for part, margin in zip(self.parts, self.margins, strict=True):
            if margin is not None:
                part.margin = margin * value

    def forward(
        self, embedding_BE: torch.Tensor, labels_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum, and the first loss's number of right answers.

        Parameters
        ----------
        embedding_BE : (B, E) float tensor
            As the network gives them.
        labels_B : (B,) int64 tensor
            Speakers.

        Returns
        -------
        loss : () float32 tensor
        num_correct : () int64 tensor
        """
        results = [part(embedding_BE, labels_B) for part in self.parts]
        weighted = [weight * loss for weight, (loss, _) in zip(self.weights, results, strict=True)]
        _, num_correct = results[0]
        return sum(weighted), num_correct


def _part(options: dict, embedding_dim: int, num_speakers: int) -> nn.Module:
    """One loss from its options, every one of which it must know, of the kind of its default."""
    name = options.pop("name", None)
    known = sorted(PARTS)
    if name not in known:
        raise ValueError(f"parts: name: found {name!r}, expected one of {', '.join(known)}")
    defaults = _defaults(PARTS[name])
    for key, value in options.items():
        if key not in defaults:
            raise ValueError(
                f"parts: {name}: unknown key '{key}'; known: {', '.join(defaults) or 'none'}"
            )
        kind = float if defaults[key] is None else type(defaults[key])
        if value is None and defaults[key] is None:
            continue
        if not isinstance(value, (int, float) if kind is float else kind) or (
            isinstance(value, bool) and kind is not bool
        ):
            raise ValueError(f"parts: {name}: {key}: found {value!r}, expected {kind.__name__}")
    try:
        return PARTS[name](embedding_dim, num_speakers, **options)
    except ValueError as error:
        raise ValueError(f"parts: {name}: {error}") from None


def _defaults(loss: type[nn.Module]) -> dict[str, object]:
    """Options of a loss with their defaults: the keyword-only parameters of its constructors."""
    defaults: dict[str, object] = {}
    for base in loss.__mro__:
        if issubclass(base, nn.Module) and base is not nn.Module and "__init__" in vars(base):
            own = {
                option.name: option.default
                for option in inspect.signature(base).parameters.values()
                if option.kind is option.KEYWORD_ONLY
            }
            defaults = own | defaults  # a base class has no default where its subclasses choose one
    return defaults
