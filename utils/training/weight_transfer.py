"""First weights from another training: what has the same name is taken, and all that is taken, new or left behind is said."""

from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import UserError
from utils.training.checkpoints import checkpoint_path, load_checkpoint, saved_steps

if TYPE_CHECKING:
    import torch


def take_weights(module: "torch.nn.Module", state: dict) -> dict[str, list[str]]:
    """Load weights and statistics of the same names; a module with ``load_from(state)``, which returns the names that it took, does it its own way.

    Parameters
    ----------
    module : torch.nn.Module
        Which takes them.
    state : dict of str to tensor
        State of the other module.

    Returns
    -------
    dict of str to list of str
        ``taken``; ``new``: the module's own that stay as they were made; ``left``: the other's that are not used.

    Raises
    ------
    ValueError
        Something has the same name and another shape, or nothing has the same name.
    """
    own = module.state_dict()
    if hasattr(module, "load_from"):
        taken = list(module.load_from(state))
    else:
        taken = [name for name in own if name in state]
        for name in taken:
            if own[name].shape != state[name].shape:
                raise ValueError(f"{name} is {tuple(state[name].shape)} there and {tuple(own[name].shape)} here")
        module.load_state_dict({name: state[name] for name in taken}, strict=False)
    if own and not taken:
        raise ValueError(f"no name is the same: {next(iter(state), 'nothing')} there, {next(iter(own))} here")
    return {"taken": taken, "new": [name for name in own if name not in taken], "left": [name for name in state if name not in taken]}


def trained_weights(experiment: Path, checkpoint: str = "average") -> tuple[dict, dict]:
    """Weights of the network and of the loss that a training ended with.

    Parameters
    ----------
    experiment : path
        Finished training.
    checkpoint : str
        Of the network, without ``.pt``; the loss, of which no average is kept, is that of this checkpoint or else of the last one.

    Raises
    ------
    UserError
        They are not there.
    """
    folder = Path(experiment) / "checkpoints"
    state = load_checkpoint(folder / f"{checkpoint}.pt")
    steps = saved_steps(folder)
    if "loss" not in state and not steps:
        raise UserError(f"{folder}: no step-*.pt, which the weights of the loss are in; train it again")
    return state["network"], state["loss"] if "loss" in state else load_checkpoint(checkpoint_path(folder, steps[-1]))["loss"]
