"""The file of a gallery: names and vectors of enrolled people, of one model.

A JSON object of format 1:

format   1
model    digest of the model that the vectors are of
people   {"name", "enrolled": time in UTC, "vectors": base64 of float32, one vector per recording}
sha256   of the people, so that a changed byte is noticed

These are personal data.  The file, its temporary name and its lock have mode 0600 from the first
byte.  It is replaced by a rename, without a backup, and what a killed process has left is removed
before anything else.

Shapes: ``N`` recordings of a person, ``E`` embedding.
"""

import base64
import fcntl
import hashlib
import json
import os
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from utils.errors import UserError
from utils.files import atomic_write, make_folder, naming, read_json_object, temporary_path

FORMAT = 1
PARTS: Mapping[str, type] = {"format": int, "model": str, "people": list, "sha256": str}
WAIT_SECONDS = 5.0  # for another writer, which is at work for milliseconds
GLANCE_SECONDS = 0.05
VECTORS = np.dtype("<f4")
JOINERS = "\u200c\u200d"  # within names in Persian and in Indian scripts
REMEDY = "restore it from a copy, or enrol the people again into another file"


@dataclass(frozen=True)
class Person:
    """An enrolled person: vectors (N, E) float32 of N recordings, and when the last one came."""

    name: str
    vectors: np.ndarray
    enrolled: str

    @property
    def num_files(self) -> int:
        """Recordings of the person."""
        return len(self.vectors)


@dataclass(frozen=True)
class Gallery:
    """People by name, and the digest of the model that their vectors are of."""

    model: str
    people: Mapping[str, Person] = field(default_factory=dict)

    def with_person(self, person: Person) -> "Gallery":
        """The gallery with a person, in place of an earlier one of the same name."""
        return Gallery(self.model, {**self.people, person.name: person})

    def without(self, name: str) -> "Gallery":
        """The gallery without a person."""
        kept = {other: person for other, person in self.people.items() if other != name}
        return Gallery(self.model, kept)

    def require(self, name: str, path: Path) -> Person:
        """An enrolled person; UserError if there is none of that name."""
        if name not in self.people:
            raise UserError(f"{path}: nobody called '{name}' is enrolled; see steps.enrol --list")
        return self.people[name]


def now() -> str:
    """The time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def checked_name(name: str) -> str:
    """A person's name, in the one spelling that Unicode calls composed.

    It is text and never part of a path.  UserError: it is empty, has blanks at an end, or
    characters that cannot be printed in one line.
    """
    composed = unicodedata.normalize("NFC", name)
    shown = composed
    for joiner in JOINERS:
        shown = shown.replace(joiner, "")
    if not shown or composed != composed.strip() or not shown.isprintable():
        raise UserError(
            f"name {name!a}: expected printable characters in one line, without blanks at the ends"
        )
    return composed


def read_gallery(path: Path, model: str | None = None) -> Gallery:
    """The gallery of a file; ``model`` is the digest that it has to be of.

    UserError: it is missing, damaged, of a newer format or of another model.
    """
    try:
        content = read_json_object(path, {"format": int}, "a gallery", REMEDY)
        if content["format"] > FORMAT:
            raise UserError(
                f"{path}: a gallery of format {content['format']}, this version reads up to "
                f"{FORMAT}; update the checkout"
            )
        content = read_json_object(path, PARTS, "a gallery", REMEDY)
    except FileNotFoundError:
        raise UserError(f"{path}: no such gallery; enrol a person by steps.enrol") from None
    if _digest(content["people"]) != content["sha256"]:
        raise UserError(f"{path}: its content has changed since it was written; {REMEDY}")
    if model is not None and content["model"] != model:
        raise UserError(
            f"{path}: a gallery of model {content['model'][:12]}, this one is {model[:12]}; give "
            "its model, or make another one of it by steps.enrol --rebuild"
        )
    people = [_person(entry) for entry in content["people"]]
    return Gallery(content["model"], {person.name: person for person in people})


def read_or_new(path: Path, model: str) -> Gallery:
    """The gallery of a file, which has to be of a model; an empty one if there is no file."""
    if path.exists():
        return read_gallery(path, model)
    return Gallery(model)


def _person(entry: Mapping[str, Any]) -> Person:
    """A person of a file whose digest is right."""
    values = np.frombuffer(base64.b64decode(entry["vectors"]), VECTORS)
    vectors = values.reshape(entry["files"], -1).astype(np.float32)
    return Person(entry["name"], vectors, entry["enrolled"])


def _entry(person: Person) -> dict[str, Any]:
    """A person as the file has it."""
    return {
        "name": person.name,
        "enrolled": person.enrolled,
        "files": person.num_files,
        "vectors": base64.b64encode(person.vectors.astype(VECTORS).tobytes()).decode(),
    }


def _digest(people: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(people, sort_keys=True).encode()).hexdigest()


def update_gallery(
    path: Path, change: Callable[[Gallery], Gallery], model: str | None = None
) -> Gallery:
    """Change the gallery of a file, alone; with a ``model``, a missing file is an empty gallery.

    UserError: another process is writing it, or it cannot be read as `read_gallery` does.
    """
    path = path.resolve()  # the target of a link is replaced, so that nothing stays behind there
    if model is None and not path.exists():
        read_gallery(path)
    with _locked(path):
        temporary_path(path).unlink(missing_ok=True)  # of a process that was killed
        if model is None:
            gallery = read_gallery(path)
        else:
            gallery = read_or_new(path, model)
        changed = change(gallery)
        _refuse_other_names(path)
        _write(path, changed)
    return changed


def remove_person(path: Path, name: str) -> Gallery:
    """Remove a person with all vectors; UserError if the name is unknown."""
    name = checked_name(name)

    def change(gallery: Gallery) -> Gallery:
        gallery.require(name, path)
        return gallery.without(name)

    return update_gallery(path, change)


def _write(path: Path, gallery: Gallery) -> None:
    people = [_entry(gallery.people[name]) for name in sorted(gallery.people)]
    content = {
        "format": FORMAT,
        "model": gallery.model,
        "people": people,
        "sha256": _digest(people),
    }
    with atomic_write(path, private=True) as file:
        file.write(json.dumps(content, indent=1) + "\n")


def _refuse_other_names(path: Path) -> None:
    """Refuse a file that has a second name, under which everything would stay."""
    if path.exists() and path.stat().st_nlink > 1:
        raise UserError(
            f"{path}: {path.stat().st_nlink} names (hard links) for one file, under the others of "
            "which removed people would stay; remove these"
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a gallery; the kernel releases that of a process that dies."""
    make_folder(path.parent)
    lock = path.with_name(f".{path.name}.lock")
    deadline = time.monotonic() + WAIT_SECONDS
    descriptor = _try_lock(lock)
    while descriptor is None:
        if time.monotonic() > deadline:
            raise UserError(
                f"{path}: another process is writing this gallery; wait for it, and run the same "
                "command again"
            )
        time.sleep(GLANCE_SECONDS)
        descriptor = _try_lock(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _try_lock(lock: Path) -> int | None:
    """A descriptor that holds the lock; None if another process does."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        with naming(lock), suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # else its holder has removed it since, and another process may hold the next one
            if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
