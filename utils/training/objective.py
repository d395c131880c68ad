"""Network and loss together, as training sees them."""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel


class Objective(nn.Module):
    """Network and loss as one module, so that gradients of both are averaged over the processes.

    Parameters
    ----------
    network, loss : torch.nn.Module
        Waveforms to embeddings; embeddings and labels to loss and number of right answers.
    """

    def __init__(self, network: nn.Module, loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, waveforms_BS: torch.Tensor, lengths_B: torch.Tensor, labels_B: torch.Tensor, seeds_B: torch.Tensor) -> tuple:
        """Loss (mean over the batch) and number of utterances whose speaker has the highest score."""
        return self.loss(self.network(waveforms_BS, lengths_B, seeds_B), labels_B)

    def scaled_gradients(self) -> list[tuple[nn.Parameter, float]]:
        """Parameters whose gradients network and loss want multiplied after clipping (``gradient_scales``), with the factors.

        Raises
        ------
        ValueError
            A parameter of that name does not exist.
        """
        found = []
        for part in (self.network, self.loss):
            own = dict(part.named_parameters())
            for name, factor in getattr(part, "gradient_scales", {}).items():
                if name not in own:
                    raise ValueError(f"{type(part).__name__} scales the gradient of {name}, which is none of its parameters")
                found += [(own[name], factor)] if own[name].requires_grad else []
        return found


def distributed(objective: Objective) -> DistributedDataParallel:
    """The objective with gradients averaged over the processes.

    Parameters
    ----------
    objective : Objective
        Its network names the weights that no loss reaches in ``without_gradient``; looking for them costs time in every step.
    """
    dead = any(parameter.requires_grad and name in objective.network.without_gradient for name, parameter in objective.network.named_parameters())
    return DistributedDataParallel(objective, find_unused_parameters=dead)
