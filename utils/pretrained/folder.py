"""The folder of a model: its files, their digests, and what identifies it.

``manifest.json`` has size and SHA-256 of every other file.  ``model.json`` has the digests of
configuration, weights and test protocol only: its own digest identifies the model, so that
embeddings stay valid when a calibration or a threshold is added.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from utils.config import read_yaml
from utils.errors import UserError
from utils.files import atomic_write, file_sha256, naming, read_json_object
from utils.locks.run_lock import locked

FORMAT = 1
MANIFEST, IDENTITY = "manifest.json", "model.json"
WEIGHTS, CONFIG, PROTOCOL = "weights.safetensors", "config.yaml", "protocol.yaml"
IDENTIFYING = (CONFIG, WEIGHTS, PROTOCOL)
PROVENANCE = "provenance.json"
Contents = Mapping[str, bytes | Path]  # name in the folder -> content, or the file that has it


@dataclass(frozen=True)
class Model:
    """An opened model folder, whose files have the digests of its manifest."""

    folder: Path
    files: Mapping[str, Mapping[str, Any]]  # name -> bytes and sha256
    digest: str  # of configuration, weights and protocol

    @cached_property
    def config(self) -> dict:
        """The resolved configuration."""
        return read_yaml(self.folder / CONFIG)

    @cached_property
    def provenance(self) -> dict:
        """Network, front end, rate, licences and training data."""
        return read_json_object(self.folder / PROVENANCE)

    @cached_property
    def protocol_options(self) -> dict | None:
        """Options of the test protocol that the model names; None: its network's natural one."""
        if PROTOCOL not in self.files:
            return None
        return read_yaml(self.folder / PROTOCOL)


def is_model(path: Path) -> bool:
    """Whether a folder is a model folder, and not an experiment."""
    return (path / MANIFEST).exists()


def open_model(folder: Path) -> Model:
    """A model folder.

    UserError: it is none, has a newer format, or a file is missing, changed or unexpected.
    """
    manifest = _read_manifest(folder)
    files = manifest["files"]
    for name in IDENTIFYING[:2] + (IDENTITY, PROVENANCE):
        if name not in files:
            raise UserError(f"{folder / MANIFEST}: does not list {name}; {_remedy()}")
    for name, facts in files.items():
        _check_file(folder / name, facts)
    identity = read_json_object(folder / IDENTITY, {"files": dict})
    for name, digest in identity["files"].items():
        if files.get(name, {}).get("sha256") != digest:
            raise UserError(f"{folder / name}: not the one that {IDENTITY} names; {_remedy()}")
    return Model(folder, files, files[IDENTITY]["sha256"])


def _read_manifest(folder: Path) -> dict:
    """The manifest, of a format that is known here."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected a model folder or an experiment")
    try:
        manifest = read_json_object(
            folder / MANIFEST, {"format": int, "files": dict}, "a manifest", _remedy()
        )
    except FileNotFoundError:
        raise UserError(f"{folder}: no {MANIFEST} in it, expected a model folder") from None
    if manifest["format"] > FORMAT:
        raise UserError(
            f"{folder}: a model folder of format {manifest['format']}, this version reads up to "
            f"{FORMAT}; update the checkout"
        )
    return manifest


def _check_file(path: Path, facts: Mapping) -> None:
    """Refuse a file that is not as the manifest describes it."""
    if ".." in path.parts:
        raise UserError(f"{path}: outside of the model folder; {_remedy()}")
    if not path.is_file():
        raise UserError(f"{path}: missing; {_remedy()}")
    size = path.stat().st_size
    if size != facts.get("bytes"):
        raise UserError(f"{path}: {size:,} bytes, expected {facts.get('bytes'):,}; {_remedy()}")
    if file_sha256(path) != facts.get("sha256"):
        raise UserError(f"{path}: its bytes have changed; {_remedy()}")


def _remedy() -> str:
    return "copy the model folder again, or make it again"


def model_input(path: Path) -> Path:
    """The file that stands for a model folder or an experiment in a receipt."""
    if is_model(path):
        return path / IDENTITY
    return path / "receipts" / "train.json"


def refuse_model(*folders: Path) -> None:
    """Refuse model folders where an experiment, or a folder in one, is expected."""
    for folder in folders:
        if is_model(folder):
            raise UserError(
                f"{folder}: a model folder, which only steps.extract, steps.score, "
                "steps.export_kaldi and commands that use a network take; give the experiment that "
                "it was made from, or the folder in it that is meant"
            )


def write_model(folder: Path, contents: Contents) -> Model:
    """Write a model folder, which appears whole; the same one again changes nothing.

    UserError: the folder exists and is another one, or is being written.
    """
    staging = folder.with_name(f".{folder.name}.tmp")
    with locked([folder]):
        if staging.exists():  # of a run that was killed
            shutil.rmtree(staging)
        staging.mkdir(parents=True)
        try:
            _write_files(staging, contents)
            _publish(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return open_model(folder)


def _write_files(staging: Path, contents: Contents) -> None:
    """Write the files with their manifest."""
    for name, content in contents.items():
        _write_file(staging / name, content)
    files = {name: _describe(staging / name) for name in sorted(contents)}
    with atomic_write(staging / IDENTITY, "wb") as file:
        file.write(_identity({name: facts["sha256"] for name, facts in files.items()}))
    files[IDENTITY] = _describe(staging / IDENTITY)
    _write_json(staging / MANIFEST, {"format": FORMAT, "files": files})


def model_digest(contents: Contents) -> str:
    """The digest that a model of these contents will have."""
    digests = {}
    for name in IDENTIFYING:
        content = contents.get(name)
        if isinstance(content, Path):
            digests[name] = file_sha256(content)
        elif content is not None:
            digests[name] = hashlib.sha256(content).hexdigest()
    return hashlib.sha256(_identity(digests)).hexdigest()


def _identity(digests: Mapping[str, str]) -> bytes:
    """The file model.json, from digests of files by name."""
    files = {name: digests[name] for name in IDENTIFYING if name in digests}
    return (json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n").encode()


def _publish(staging: Path, folder: Path) -> None:
    """Rename a whole folder to its name."""
    if folder.exists():
        known = is_model(folder) and file_sha256(folder / MANIFEST)
        if known == file_sha256(staging / MANIFEST):
            return
        if not folder.is_dir() or any(folder.iterdir()):
            raise UserError(
                f"{folder}: exists, and is not this model; give another folder, or remove it"
            )
    staging.rename(folder)


def add_to_model(folder: Path, contents: Contents) -> None:
    """Add files to a model folder, or replace them; its digest stays.

    ValueError for a file that identifies the model.
    """
    fixed = {*IDENTIFYING, IDENTITY, MANIFEST} & contents.keys()
    if fixed:
        raise ValueError(f"{min(fixed)} identifies the model and cannot be replaced")
    with locked([folder]):
        manifest = _read_manifest(folder)
        for name, content in contents.items():
            _write_file(folder / name, content)
            manifest["files"][name] = _describe(folder / name)
        _write_json(folder / MANIFEST, manifest)


def _write_file(path: Path, content: bytes | Path) -> None:
    """Write bytes, or copy a file."""
    with atomic_write(path, "wb") as target:
        if isinstance(content, bytes):
            target.write(content)
            return
        with naming(content), open(content, "rb") as source:
            shutil.copyfileobj(source, target)


def _describe(path: Path) -> dict[str, Any]:
    """Size and digest of a file."""
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _write_json(path: Path, content: Mapping) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=1) + "\n")


def hashed_speaker(name: str) -> str:
    """A speaker's name as a model folder keeps it: 16 hexadecimal digits of a SHA-256."""
    return hashlib.sha256(f"speaker:{name}".encode()).hexdigest()[:16]
