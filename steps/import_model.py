"""Make an experiment of a network that somebody else trained, for steps.extract to use.

    python -m steps.import_model rawnet2_best_weights.pt exp/rawnet2_published --kind rawnet2_original

Every tensor of the file is used, or the import fails and names the rest; the file is read without running anything of it.  Which tensor is which
stands in utils/foreign/<kind>.yaml.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.errors import UserError
from utils.foreign.tables import Kind, Table, kinds_of, read_table
from utils.foreign.tensorflow import bundle_files
from utils.receipts import MODE, Task, Values
from utils.training.experiment import claim_of

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from steps.models import EmbeddingNetwork
    from utils.foreign.assign import Sorted

FORMAT = 1


def import_model(
    source: Path,
    output: Path,
    *,
    kind: Kind,
    config: Path | None = None,
    rows: Literal["features", "frames"] | None = None,
) -> dict:
    """Write config.yaml and checkpoints/average.pt from a published file of weights.

    Parameters
    ----------
    source : path
        The file; of a TensorFlow checkpoint the prefix, such as ``model.ckpt-5``.
    output : path
        Experiment folder.
    kind : str
        What wrote the file.  ``rawnet2_original``: RawNet2 as its published weights were trained, with norms that nothing uses;
        ``voxceleb_trainer``: a .model file of RawNet3 or MR-RawNet; ``rawnet_keras``, ``vgg_keras``: weights.h5; ``ge2e_tf``: model.ckpt-K.
    config : path or None
        YAML whose section `model` says which sizes the network has; None: those that were published.
    rows : str or None
        Needed for ``deep_speaker``, whose files do not tell: ``features``: trained before October 2018, on maps whose rows are features and whose
        columns are frames; ``frames``: since then, the other way round.

    Returns
    -------
    dict
        Numbers of tensors and parameters, the loss that the file has weights of, and what was left out.

    Raises
    ------
    UserError
        A key of the file is none of the network's, a shape differs, a tensor is missing, or the file is damaged or hostile.
    """
    tables = {name: read_table(name) for name in kinds_of(kind)}
    if (rows is None) == any(table.rows for table in tables.values()):
        fault = "has no such option" if rows else "needs it: features or frames (see --help)"
        raise UserError(f"--rows: kind {kind} {fault}")
    container = next(iter(tables.values())).container
    files = bundle_files(source) if container == "tensor_bundle" else {"source": source}
    if not MODE.checking and (missing := [path for path in files.values() if not path.exists()]):
        raise UserError(f"{missing[0]}: no such file")
    task = Task(
        output,
        "train",
        format=FORMAT,
        inputs=files | ({"config": config} if config else {}),
        dear=True,
        options={"imported": kind, "rows": rows},
        values=_values(config, output, tables) if config else {},
    )  # named as the step that else makes an experiment: steps.extract asks for its receipt
    if task.is_done():
        return task.counts
    from utils.files import sha256_of
    from utils.training.checkpoints import save_checkpoint
    from utils.training.experiment import BEGUN, begin_experiment

    tensors = _reader_of(container)(source)
    name, found = choose(tensors, tables, source)
    table = tables[name]
    by_rows = table.rows.get(rows, "") if rows else ""
    network, model = _load(tensors, found, table, config, source, by_rows)
    loss, resolved_loss = _load_loss(tensors, found, network.embedding_dim, source)
    resolved = {
        "model": model,
        **resolved_loss,
        "imported": {
            "kind": name,
            "sha256": {label: sha256_of(path) for label, path in files.items()},
        },
    }
    begin_experiment(output, resolved, files)
    weights = {"network": network.state_dict()} | ({"loss": loss.state_dict()} if loss else {})
    save_checkpoint(output / "checkpoints" / "average.pt", {"step": 0} | weights)
    for key, meaning in found.left_out.items():
        print(f"left out: {key} ({meaning})")
    return task.finish(
        [output / BEGUN, output / "config.yaml", output / "checkpoints" / "average.pt"],
        {
            "tensors": len(tensors),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "loss": found.head.loss["name"] if found.head else None,
            "left_out": sorted(found.left_out),
        },
    )


def _values(config: Path, output: Path, tables: Mapping[Kind, Table]) -> dict[str, Values]:
    """What the YAML says of the network; the experiment keeps what it was imported with."""

    def before(_recorded: object) -> dict | None:
        model = claim_of(output)["config"].get("model")
        return {"model": model} if isinstance(model, dict) else None

    def now() -> dict:
        from steps.models import MODELS
        from utils.config import read_yaml, resolved_options

        model = read_yaml(config).get("model")
        imported = claim_of(output)["config"].get("imported") or {}
        table = next((tables[kind] for kind in tables if kind == imported.get("kind")), None)
        if not isinstance(model, dict) or not table or table.model["name"] != model.get("name"):
            return {"model": model}
        return {"model": resolved_options(MODELS, model | table.model)}

    return {"input config": Values(now=now, before=before)}


def _reader_of(container: str) -> "Callable[[Path], dict[str, np.ndarray]]":
    """The function that reads the tensors of a container."""
    from utils.foreign.keras import read_keras
    from utils.foreign.tensorflow import read_bundle
    from utils.foreign.torch_state import read_torch

    return {"torch": read_torch, "keras": read_keras, "tensor_bundle": read_bundle}[container]


def choose(
    tensors: "dict[str, np.ndarray]", tables: Mapping[Kind, Table], source: Path
) -> "tuple[Kind, Sorted]":
    """The kind whose keys are those of the file.

    Parameters
    ----------
    tensors : dict of str to array
        The file's content.
    tables : mapping of Kind to Table
        The kinds that it may be of.
    source : path
        The file, for messages.

    Raises
    ------
    UserError
        It has keys of none of them.
    """
    from utils.foreign.assign import sort_keys

    found = {name: sort_keys(tensors, table, source) for name, table in tables.items()}
    name = min(found, key=lambda name: len(found[name].unknown))
    if unknown := found[name].unknown:
        raise UserError(
            f"{source}: {len(unknown)} of {len(tensors)} keys are none of {name}'s: {', '.join(unknown[:20])}"
            f"{', ...' if unknown[20:] else ''}; is --kind right?"
        )
    return name, found[name]


def _load(
    tensors: "dict[str, np.ndarray]",
    found: "Sorted",
    table: Table,
    config: Path | None,
    source: Path,
    by_rows: str,
) -> "tuple[EmbeddingNetwork, dict]":
    """The network with the weights of the file, and its resolved configuration."""
    import torch

    from steps.models import MODELS
    from utils.config import build, read_yaml, resolved_options
    from utils.foreign.assign import translate

    given, where = read_yaml(config).get("model") if config else table.model, f"{config}: model"
    if not isinstance(given, dict) or given.get("name") != table.model["name"]:
        raise UserError(
            f"{where}: expected a network '{table.model['name']}', which files of this kind hold"
        )
    options = given | table.model
    network = build(MODELS, options, where)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ours = translate(
        tensors,
        found.network,
        {name: tuple(tensor.shape) for name, tensor in state.items()},
        source,
        by_rows,
    )
    network.load_state_dict(state | {name: torch.from_numpy(array) for name, array in ours.items()})
    return network.eval(), resolved_options(MODELS, options)


def _load_loss(
    tensors: "dict[str, np.ndarray]", found: "Sorted", embedding_dim: int, source: Path
) -> "tuple[nn.Module | None, dict]":
    """The loss with the weights of the file, and its resolved configuration; None and nothing where the file has none of them."""
    if found.head is None:
        return None, {}
    import torch

    from steps.losses import LOSSES
    from utils.config import build, resolved_options
    from utils.foreign.assign import translate

    weights = [
        tensors[key]
        for key, match in found.loss.items()
        if any(name.endswith("weight_NE") for name in match.ours)
    ]
    num_speakers = (
        next(
            (size for weight in weights for size in weight.shape if size != embedding_dim),
            embedding_dim,
        )
        if weights
        else 0
    )
    loss = build(
        LOSSES,
        found.head.loss,
        f"{source}: loss",
        embedding_dim=embedding_dim,
        num_speakers=num_speakers,
    )
    shapes = {name: tuple(tensor.shape) for name, tensor in loss.state_dict().items()}
    ours = translate(tensors, found.loss, shapes, source)
    loss.load_state_dict({name: torch.from_numpy(array) for name, array in ours.items()})
    return loss, {
        "loss": resolved_options(LOSSES, found.head.loss, ("embedding_dim", "num_speakers")),
        "num_speakers": num_speakers,
    }


if __name__ == "__main__":
    run(import_model)
