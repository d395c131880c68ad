"""A sum of losses."""

import inspect
from typing import Any

import torch
from torch import nn

from steps.losses.parts import PARTS


class WeightedSum(nn.Module):
    """The weighted sum of other losses; the first one counts the correct utterances.

    Its attribute ``margin`` starts at 1: the factor of the parts' own margins, for a schedule.

    Parameters
    ----------
    parts : list of dict
        Two or more: ``name``, options, and ``weight``, above 0 (default 1).
    """

    def __init__(self, embedding_dim: int, num_speakers: int, *, parts: list[dict]) -> None:
        super().__init__()
        if len(parts) < 2:
            raise ValueError(f"parts has {len(parts)} losses, expected 2 or more")
        self.parts = nn.ModuleList()
        self.weights: list[float] = []
        self.margins: list[Any] = []
        self.gradient_scales: dict[str, float] = {}
        for number, options in enumerate(parts):
            options = dict(options)
            self.weights.append(_pop_weight(options))
            part = _build_part(options, embedding_dim, num_speakers)
            self.parts.append(part)
            self.margins.append(getattr(part, "margin", None))
            for name, factor in getattr(part, "gradient_scales", {}).items():
                self.gradient_scales[f"parts.{number}.{name}"] = factor
            if hasattr(part, "batch_shape"):
                self.batch_shape = part.batch_shape
        self._margin = 1.0

    @property
    def margin(self) -> float:
        """The factor of the parts' own margins."""
        return self._margin

    @margin.setter
    def margin(self, value: float) -> None:
        """Set it in all parts."""
        self._margin = value
        for part, margin in zip(self.parts, self.margins, strict=True):
            if margin is not None:
                part.margin = margin * value

    def forward(
        self, embedding_BE: torch.Tensor, labels_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted sum, and the first loss's number of correct utterances."""
        results = [part(embedding_BE, labels_B) for part in self.parts]
        weighted = [weight * loss for weight, (loss, _) in zip(self.weights, results, strict=True)]
        _, num_correct = results[0]
        return sum(weighted), num_correct


def _pop_weight(options: dict) -> float:
    """Take ``weight`` out of a part's options and check it."""
    weight = options.pop("weight", 1.0)
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not is_number or not 0 < weight < float("inf"):
        raise ValueError(
            f"parts: {options.get('name')}: weight is {weight!r}, expected a number above 0"
        )
    return weight


def _build_part(options: dict, embedding_dim: int, num_speakers: int) -> nn.Module:
    """One loss from its options, which must be known and of the type of their defaults."""
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
        _check_type(f"parts: {name}: {key}", value, defaults[key])
    try:
        return PARTS[name](embedding_dim, num_speakers, **options)
    except ValueError as error:
        raise ValueError(f"parts: {name}: {error}") from None


def _check_type(where: str, value: Any, default: object) -> None:
    """Raise ValueError if a value has not its default's type; None stands for a float."""
    if default is None and value is None:
        return
    kind = float if default is None else type(default)
    if isinstance(value, bool):
        is_right = kind is bool
    elif kind is float:
        is_right = isinstance(value, int | float)
    else:
        is_right = isinstance(value, kind)
    if not is_right:
        raise ValueError(f"{where}: found {value!r}, expected {kind.__name__}")


def _defaults(loss: type[nn.Module]) -> dict[str, object]:
    """Options of a loss with their defaults: the keyword-only parameters of its constructors."""
    defaults: dict[str, object] = {}
    for base in loss.__mro__:
        if not issubclass(base, nn.Module) or base is nn.Module or "__init__" not in vars(base):
            continue
        own = {}
        for option in inspect.signature(base).parameters.values():
            if option.kind is option.KEYWORD_ONLY:
                own[option.name] = option.default
        defaults = own | defaults  # a base class has no default where its subclasses choose one
    return defaults
