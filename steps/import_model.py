r"""Make an experiment of a network that somebody else trained, for steps.extract to use.

    python -m steps.import_model rawnet2_best_weights.pt exp/rawnet2_published \
        --kind rawnet2_original

Every tensor of the file is used, or the import fails and names the rest; the file is read without
running anything of it (utils/foreign/sandbox.py).  utils/foreign/<kind>.yaml says which tensor of
the file is which of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.errors import UserError, WrongArguments
from utils.foreign.tables import Kind, Table, possible_kinds, read_table
from utils.foreign.tensorflow import bundle_files
from utils.pretrained import refuse_model
from utils.receipts import MODE, Task, Values
from utils.training.experiment import read_claim

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from steps.models import EmbeddingNetwork
    from utils.foreign.assign import SortedKeys

FORMAT = 1
MOST_NAMES = 20  # of unknown keys in a message


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
        What wrote the file.  ``rawnet2_original``: RawNet2 as its published weights were trained,
        with norms that nothing uses; ``voxceleb_trainer``: a .model file of RawNet3 or MR-RawNet;
        ``rawnet_keras``, ``vgg_keras``: weights.h5; ``ge2e_tf``: model.ckpt-K;
        ``speechbrain_ecapa``: embedding_model.ckpt; ``resemblyzer``: pretrained.pt.
    config : path or None
        YAML whose section `model` has the sizes of the network; None: the published ones.
    rows : str or None
        Needed for ``deep_speaker``, whose files do not contain it.  ``features``: trained before
        October 2018, on maps with features as rows and frames as columns; ``frames``: since then,
        with frames as rows.

    Returns
    -------
    dict
        Numbers of tensors and parameters, the loss that the file has weights of, and what was left
        out.

    Raises
    ------
    UserError
        A key of the file is unknown, a shape differs, a tensor is missing, or the
        file is damaged or hostile.
    """
    refuse_model(output)
    tables = {name: read_table(name) for name in possible_kinds(kind)}
    _check_rows(rows, kind, tables)
    container = next(iter(tables.values())).container
    files = bundle_files(source) if container == "tensor_bundle" else {"source": source}
    if not MODE.checking:
        for path in files.values():
            if not path.exists():
                raise UserError(f"{path}: no such file")
    task = _make_task(output, files, config, {"imported": kind, "rows": rows}, tables)
    if task.is_done():
        return task.counts
    from utils.files import file_sha256
    from utils.training.checkpoints import save_checkpoint
    from utils.training.experiment import BEGUN, begin_experiment

    read = read_network(source, kind, config, rows)
    network, keys = read.network, read.keys
    loss, loss_options = _load_loss(read.tensors, keys, network.embedding_dim, source)
    digests = {label: file_sha256(path) for label, path in files.items()}
    imported = {"kind": read.kind, "sha256": digests}
    resolved = {"model": read.model, **loss_options, "imported": imported}
    begin_experiment(output, resolved, files)
    weights = {"step": 0, "network": network.state_dict()}
    if loss:
        weights["loss"] = loss.state_dict()
    save_checkpoint(output / "checkpoints" / "average.pt", weights)
    for key, meaning in keys.left_out.items():
        print(f"left out: {key} ({meaning})")
    return task.finish(
        [output / BEGUN, output / "config.yaml", output / "checkpoints" / "average.pt"],
        {
            "tensors": len(read.tensors),
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "loss": keys.head.loss["name"] if keys.head else None,
            "left_out": sorted(keys.left_out),
        },
    )


@dataclass
class ImportedNetwork:
    """A network with the weights of a published file, and what was read."""

    network: "EmbeddingNetwork"  # in evaluation mode
    model: dict  # section `model` of its resolved configuration
    kind: Kind
    tensors: "dict[str, np.ndarray]"
    keys: "SortedKeys"


def read_network(
    source: Path,
    kind: Kind,
    config: Path | None = None,
    rows: Literal["features", "frames"] | None = None,
) -> ImportedNetwork:
    """The network of a published file; arguments and errors as for `import_model`."""
    tables = {name: read_table(name) for name in possible_kinds(kind)}
    container = next(iter(tables.values())).container
    tensors = _read_tensors(container, source)
    name, keys = _choose_kind(tensors, tables, source)
    table = tables[name]
    by_rows = table.rows.get(rows, "") if rows else ""
    network, model = _load_network(tensors, keys, table, config, source, by_rows)
    return ImportedNetwork(network, model, name, tensors, keys)


def _check_rows(rows: str | None, kind: Kind, tables: Mapping[Kind, Table]) -> None:
    """Refuse --rows for kinds that do not have it, and its absence where it is needed."""
    is_needed = any(table.rows for table in tables.values())
    if rows and not is_needed:
        raise WrongArguments(f"--rows: kind {kind} has no such option")
    if is_needed and not rows:
        raise WrongArguments(f"--rows: kind {kind} needs it: features or frames (see --help)")


def _make_task(
    output: Path,
    files: Mapping[str, Path],
    config: Path | None,
    options: Mapping,
    tables: Mapping[Kind, Table],
) -> Task:
    """The task, which has the name of training: steps.extract asks for the receipt of that step."""
    inputs, values = dict(files), {}
    if config:
        inputs["config"] = config
        values = _config_values(config, output, tables)
    return Task(
        output,
        "train",
        format=FORMAT,
        inputs=inputs,
        expensive=True,
        options=options,
        values=values,
    )


def _config_values(config: Path, output: Path, tables: Mapping[Kind, Table]) -> dict[str, Values]:
    """The values of --config that count, its section model, and those of the experiment."""

    def before(_recorded: object) -> dict | None:
        model = read_claim(output)["config"].get("model")
        return {"model": model} if isinstance(model, dict) else None

    def now() -> dict:
        from steps.models import MODELS
        from utils.config import read_yaml, resolved_options

        model = read_yaml(config).get("model")
        imported = read_claim(output)["config"].get("imported") or {}
        table = None
        for kind, candidate in tables.items():
            if kind == imported.get("kind"):
                table = candidate
        if not isinstance(model, dict) or not table or table.model["name"] != model.get("name"):
            return {"model": model}
        return {"model": resolved_options(MODELS, model | table.model)}

    return {"input config": Values(now=now, before=before)}


def _read_tensors(container: str, source: Path) -> "dict[str, np.ndarray]":
    """The tensors of a file by key."""
    if container == "torch":
        from utils.foreign.torch_state import read_torch

        return read_torch(source)
    if container == "keras":
        from utils.foreign.keras import read_keras

        return read_keras(source)
    from utils.foreign.tensorflow import read_bundle

    return read_bundle(source)


def _choose_kind(
    tensors: "dict[str, np.ndarray]", tables: Mapping[Kind, Table], source: Path
) -> "tuple[Kind, SortedKeys]":
    """The kind that knows the keys of the file; UserError where none knows them all."""
    from utils.foreign.assign import sort_keys

    sorted_keys = {name: sort_keys(tensors, table, source) for name, table in tables.items()}
    name = min(sorted_keys, key=lambda name: len(sorted_keys[name].unknown))
    unknown = sorted_keys[name].unknown
    if unknown:
        names = ", ".join(unknown[:MOST_NAMES])
        if len(unknown) > MOST_NAMES:
            names += ", ..."
        raise UserError(
            f"{source}: {len(unknown)} of {len(tensors)} keys are unknown to {name}: {names}; "
            "is --kind right?"
        )
    return name, sorted_keys[name]


def _load_network(
    tensors: "dict[str, np.ndarray]",
    keys: "SortedKeys",
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

    where = f"{config}: model"
    given = read_yaml(config).get("model") if config else table.model
    if not isinstance(given, dict) or given.get("name") != table.model["name"]:
        raise UserError(
            f"{where}: expected a network '{table.model['name']}', which files of this kind hold"
        )
    options = given | table.model
    network = build(MODELS, options, where)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name, array in translate(tensors, keys.network, shapes, source, by_rows).items():
        state[name] = torch.from_numpy(array)
    network.load_state_dict(state)
    return network.eval(), resolved_options(MODELS, options)


def _load_loss(
    tensors: "dict[str, np.ndarray]", keys: "SortedKeys", embedding_dim: int, source: Path
) -> "tuple[nn.Module | None, dict]":
    """The loss with the weights of the file, and its options; None where the file has none."""
    if keys.head is None:
        return None, {}
    import torch

    from steps.losses import LOSSES
    from utils.config import build, resolved_options
    from utils.foreign.assign import translate

    num_speakers = _count_speakers(tensors, keys, embedding_dim)
    sizes = {"embedding_dim": embedding_dim, "num_speakers": num_speakers}
    loss = build(LOSSES, keys.head.loss, f"{source}: loss", **sizes)
    shapes = {name: tuple(tensor.shape) for name, tensor in loss.state_dict().items()}
    ours = translate(tensors, keys.loss, shapes, source)
    loss.load_state_dict({name: torch.from_numpy(array) for name, array in ours.items()})
    options = resolved_options(LOSSES, keys.head.loss, tuple(sizes))
    return loss, {"loss": options, "num_speakers": num_speakers}


def _count_speakers(
    tensors: "dict[str, np.ndarray]", keys: "SortedKeys", embedding_dim: int
) -> int:
    """The size of the loss's weights that is not the embedding's; 0 where it has no weights."""
    weights = []
    for key, match in keys.loss.items():
        if any(name.endswith("weight_NE") for name in match.ours):
            weights.append(tensors[key])
    for weight in weights:
        for size in weight.shape:
            if size != embedding_dim:
                return size
    return embedding_dim if weights else 0


if __name__ == "__main__":
    run(import_model)
