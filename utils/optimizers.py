"""Optimisers by name: what the section `optimizer` of a training YAML may ask for.  Torch is imported only to make one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Optimizer:
    """What the optimisers share.

    Parameters
    ----------
    learning_rate : float
        The schedule's peak, above 0.
    weight_decay : float
        0 or more; on weights, not on norms and biases.
    clip_norm : float or None
        Largest norm of the gradient, above 0; None: any.
    """

    def __init__(self, learning_rate: float, weight_decay: float, clip_norm: float | None):
        if learning_rate <= 0:
            raise ValueError(f"learning_rate is {learning_rate}, expected more than 0")
        if weight_decay < 0:
            raise ValueError(f"weight_decay is {weight_decay}, expected 0 or more")
        if clip_norm is not None and clip_norm <= 0:
            raise ValueError(f"clip_norm is {clip_norm}, expected more than 0")
        self.learning_rate, self.weight_decay, self.clip_norm = learning_rate, weight_decay, clip_norm

    def groups(self, objective: "torch.nn.Module") -> list[dict]:
        """Weights with decay; norms and biases (one-dimensional) without.

        Parameters
        ----------
        objective : torch.nn.Module
            Whose parameters are trained.
        """
        weights = [parameter for parameter in objective.parameters() if parameter.ndim > 1]
        others = [parameter for parameter in objective.parameters() if parameter.ndim <= 1]
        return [{"params": weights, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}]


class Adam(Optimizer):
    """Adam; weight decay is an L2 penalty.

    Parameters
    ----------
    learning_rate, weight_decay, clip_norm : float, float, float or None
        See `Optimizer`.
    """

    def __init__(self, *, learning_rate: float = 1e-3, weight_decay: float = 0.0, clip_norm: float | None = None):
        super().__init__(learning_rate, weight_decay, clip_norm)

    def make(self, objective: "torch.nn.Module") -> "torch.optim.Optimizer":
        """The optimiser of a module's parameters."""
        import torch

        return torch.optim.Adam(self.groups(objective), lr=self.learning_rate)


class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    Parameters
    ----------
    learning_rate, weight_decay, clip_norm : float, float, float or None
        See `Optimizer`.
    """

    def __init__(self, *, learning_rate: float = 1e-3, weight_decay: float = 1e-2, clip_norm: float | None = None):
        super().__init__(learning_rate, weight_decay, clip_norm)

    def make(self, objective: "torch.nn.Module") -> "torch.optim.Optimizer":
        """The optimiser of a module's parameters."""
        import torch

        return torch.optim.AdamW(self.groups(objective), lr=self.learning_rate)


class Sgd(Optimizer):
    """SGD with Nesterov momentum; weight decay is an L2 penalty.

    Parameters
    ----------
    learning_rate, weight_decay, clip_norm : float, float, float or None
        See `Optimizer`.
    momentum : float
        From 0 to below 1.
    """

    def __init__(self, *, learning_rate: float = 0.1, momentum: float = 0.9, weight_decay: float = 0.0, clip_norm: float | None = None):
        super().__init__(learning_rate, weight_decay, clip_norm)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}, expected from 0 to below 1")
        self.momentum = momentum

    def make(self, objective: "torch.nn.Module") -> "torch.optim.Optimizer":
        """The optimiser of a module's parameters."""
        import torch

        return torch.optim.SGD(self.groups(objective), lr=self.learning_rate, momentum=self.momentum, nesterov=self.momentum > 0)


OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": Sgd}
