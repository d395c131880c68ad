"""Optimisers by name, for the section `optimizer` of a training YAML.

Torch is imported only to make one.
"""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch


class Optimizer:
    """Options that all optimisers share; a subclass wraps the class ``kind`` of torch.optim.

    Parameters
    ----------
    learning_rate : float
        The schedule's peak, above 0.
    weight_decay : float
        0 or more.
    without_decay : {"norms_and_biases", "norms", "nothing"}
        Parameters without weight decay: those with less than two dimensions; those of torch's
        normalisation layers; or none.
    learning_rate_factors : dict of str to float
        Factors of the learning rate, above 0, by prefix of the parameter's name (``network.``,
        ``loss.`` and so on); the longest prefix counts.
    weight_decay_factors : dict of str to float
        Factors of the weight decay, 0 or more, in the same way.
    clip_norm : float or None
        Largest norm of the gradient, above 0; None: no limit.
    """

    kind: str

    def __init__(
        self,
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        without_decay: Literal["norms_and_biases", "norms", "nothing"] = "norms_and_biases",
        learning_rate_factors: dict[str, float] | None = None,
        weight_decay_factors: dict[str, float] | None = None,
        clip_norm: float | None = None,
    ):
        if learning_rate <= 0:
            raise ValueError(f"learning_rate is {learning_rate}, expected more than 0")
        if weight_decay < 0:
            raise ValueError(f"weight_decay is {weight_decay}, expected 0 or more")
        if clip_norm is not None and clip_norm <= 0:
            raise ValueError(f"clip_norm is {clip_norm}, expected more than 0")
        self.factors = {
            "learning_rate_factors": learning_rate_factors or {},
            "weight_decay_factors": weight_decay_factors or {},
        }
        for prefix, factor in self.factors["learning_rate_factors"].items():
            if factor <= 0:
                raise ValueError(f"learning_rate_factors: {prefix}: {factor}, expected more than 0")
        for prefix, factor in self.factors["weight_decay_factors"].items():
            if factor < 0:
                raise ValueError(f"weight_decay_factors: {prefix}: {factor}, expected 0 or more")
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.without_decay, self.clip_norm = without_decay, clip_norm

    def options(self) -> dict:
        """Further arguments of the class of torch.optim."""
        return {}

    def make(self, objective: "torch.nn.Module") -> "torch.optim.Optimizer":
        """The optimiser of a module's parameters; ValueError for a prefix without parameters."""
        import torch

        kind = getattr(torch.optim, self.kind)
        return kind(self.groups(objective), lr=self.learning_rate, **self.options())

    def groups(self, objective: "torch.nn.Module") -> list[dict]:
        """Parameter groups by their factors of learning rate and weight decay."""
        self._check_prefixes([name for name, _ in objective.named_parameters()])
        without_decay = self._names_without_decay(objective)
        by_factors: dict[tuple[float, float], list[torch.nn.Parameter]]
        by_factors = {(1.0, 1.0): [], (1.0, 0.0): []}  # of learning rate and weight decay
        for name, parameter in objective.named_parameters():
            if not parameter.requires_grad:  # frozen
                continue
            rate = _factor_by_prefix(name, self.factors["learning_rate_factors"])
            decay = _factor_by_prefix(name, self.factors["weight_decay_factors"])
            if name in without_decay:
                decay = 0.0
            by_factors.setdefault((rate, decay), []).append(parameter)
        groups: list[dict[str, Any]] = []
        for (rate, decay), parameters in by_factors.items():
            groups.append({"params": parameters, "weight_decay": decay * self.weight_decay})
            if rate != 1:
                groups[-1]["lr"] = rate * self.learning_rate
        return groups

    def _check_prefixes(self, names: list[str]) -> None:
        """Refuse a prefix that no parameter's name has."""
        for option, factors in self.factors.items():
            for prefix in factors:
                if not any(name.startswith(prefix) for name in names):
                    raise ValueError(
                        f"{option}: no parameter's name begins with '{prefix}'; "
                        f"names are like {names[0]} and {names[-1]}"
                    )

    def _names_without_decay(self, objective: "torch.nn.Module") -> set[str]:
        """Names of the parameters without weight decay."""
        if self.without_decay == "nothing":
            return set()
        if self.without_decay == "norms_and_biases":
            return {name for name, parameter in objective.named_parameters() if parameter.ndim <= 1}
        from torch.nn import GroupNorm, LayerNorm
        from torch.nn.modules.batchnorm import _NormBase

        names = set()
        for path, module in objective.named_modules():
            if isinstance(module, _NormBase | GroupNorm | LayerNorm):
                names |= {f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)}
        return names


class Adam(Optimizer):
    """Adam; weight decay is an L2 penalty.

    Parameters
    ----------
    learning_rate : float
        The schedule's peak.
    betas : tuple of float
        Decay of the means of gradient and squared gradient, from 0 to below 1.
    epsilon : float
        Added to the denominator, above 0.
    amsgrad : bool
        Whether the largest mean of squared gradients so far is used.
    **options
        See `Optimizer`.
    """

    kind = "Adam"

    def __init__(
        self,
        *,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        **options: Any,
    ):
        super().__init__(learning_rate=learning_rate, **options)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {list(betas)}, expected numbers from 0 to below 1")
        if epsilon <= 0:
            raise ValueError(f"epsilon is {epsilon}, expected more than 0")
        self.betas, self.epsilon, self.amsgrad = tuple(betas), epsilon, amsgrad

    def options(self) -> dict:
        """Arguments of torch.optim.Adam."""
        return {"betas": self.betas, "eps": self.epsilon, "amsgrad": self.amsgrad}


class AdamW(Adam):
    """Adam with decoupled weight decay.

    Parameters
    ----------
    weight_decay : float
        See `Optimizer`.
    **options
        See `Adam`.
    """

    kind = "AdamW"

    def __init__(self, *, weight_decay: float = 1e-2, **options: Any):
        super().__init__(weight_decay=weight_decay, **options)


class Sgd(Optimizer):
    """SGD with momentum; weight decay is an L2 penalty.

    Parameters
    ----------
    learning_rate : float
        The schedule's peak.
    momentum : float
        From 0 to below 1.
    nesterov : bool
        Whether the momentum, if there is one, is Nesterov's.
    dampening : float
        Share of the gradient that is kept out of the momentum, from 0 to below 1; not with
        Nesterov's.
    **options
        See `Optimizer`.
    """

    kind = "SGD"

    def __init__(
        self,
        *,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        nesterov: bool = True,
        dampening: float = 0.0,
        **options: Any,
    ):
        super().__init__(learning_rate=learning_rate, **options)
        for name, value in (("momentum", momentum), ("dampening", dampening)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is {value}, expected from 0 to below 1")
        if dampening and nesterov:
            raise ValueError(
                f"dampening is {dampening}, expected 0 with Nesterov's momentum; "
                "or set nesterov: false"
            )
        self.momentum, self.dampening = momentum, dampening
        self.nesterov = nesterov and momentum > 0

    def options(self) -> dict:
        """Arguments of torch.optim.SGD."""
        return {"momentum": self.momentum, "nesterov": self.nesterov, "dampening": self.dampening}


class Adagrad(Optimizer):
    """Adagrad, with a time decay of its own besides the schedule; weight decay is an L2 penalty.

    Parameters
    ----------
    learning_rate : float
        The schedule's peak.
    lr_decay : float
        The rate is divided by 1 + lr_decay * steps, 0 or more.
    **options
        See `Optimizer`.
    """

    kind = "Adagrad"

    def __init__(self, *, learning_rate: float = 1e-2, lr_decay: float = 0.0, **options: Any):
        super().__init__(learning_rate=learning_rate, **options)
        if lr_decay < 0:
            raise ValueError(f"lr_decay is {lr_decay}, expected 0 or more")
        self.lr_decay = lr_decay

    def options(self) -> dict:
        """Arguments of torch.optim.Adagrad."""
        return {"lr_decay": self.lr_decay}


class RmsProp(Optimizer):
    """RMSprop; weight decay is an L2 penalty.

    Parameters
    ----------
    learning_rate : float
        The schedule's peak.
    smoothing : float
        Decay of the mean of squared gradients, from 0 to below 1.
    momentum : float
        From 0 to below 1.
    **options
        See `Optimizer`.
    """

    kind = "RMSprop"

    def __init__(
        self,
        *,
        learning_rate: float = 1e-3,
        smoothing: float = 0.9,
        momentum: float = 0.0,
        **options: Any,
    ):
        super().__init__(learning_rate=learning_rate, **options)
        for name, value in (("smoothing", smoothing), ("momentum", momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name} is {value}, expected from 0 to below 1")
        self.smoothing, self.momentum = smoothing, momentum

    def options(self) -> dict:
        """Arguments of torch.optim.RMSprop."""
        return {"alpha": self.smoothing, "momentum": self.momentum}


def _factor_by_prefix(name: str, factors: dict[str, float]) -> float:
    """The factor of the longest prefix of a parameter's name; 1 if none matches."""
    prefixes = [prefix for prefix in factors if name.startswith(prefix)]
    return factors[max(prefixes, key=len)] if prefixes else 1.0


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RmsProp,
    "sgd": Sgd,
}
