"""The section `phases` of a training YAML: one training after the other, each starting where the one before has ended, if it says so."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.config import make
from utils.errors import UserError

# A phase that gives one of two such keys takes the other one of the file away.
INSTEAD = {"steps": "epochs", "epochs": "steps", "batch_size": "batches", "batches": "batch_size"}
# Sections that a phase may have of its own.
OF_A_PHASE = (
    "model",
    "loss",
    "optimizer",
    "schedule",
    "crops",
    "augmentation",
    "training",
    "teacher",
)


@dataclass
class Phase:
    """What a phase says of itself.

    Parameters
    ----------
    number : int
        From 1 on.
    is_last : bool
        Whether the experiment ends with it.
    name : str
        Small letters, digits, ``-`` and ``_``: its folder is called after it.
    weights_from : {"random", "previous", "previous_with_loss"}
        First weights; those of the phase before where names are the same: of the network, or also of the loss.
    """

    number: int
    is_last: bool
    name: str
    weights_from: Literal["random", "previous", "previous_with_loss"] = "random"

    def __post_init__(self):
        if not re.fullmatch(r"[a-z0-9_-]+", self.name):
            raise ValueError(
                f"name is '{self.name}', expected small letters, digits, - and _: a folder is called so"
            )
        if self.number == 1 and self.weights_from != "random":
            raise ValueError(
                f"weights_from is {self.weights_from}, and no phase comes before the first"
            )

    @property
    def title(self) -> str:
        """Number and name, for messages."""
        return f"phase {self.number} ({self.name})"


def phases_of(written: Mapping, path: Path) -> Iterator[tuple[Phase | None, dict]]:
    """Each phase with its sections; None where a file has no phases.

    A section of a phase is laid over the file's key by key; one that has a ``name`` stands alone, and an empty one takes the file's away.

    Parameters
    ----------
    written : mapping
        The YAML, its sections known.
    path : path
        For messages.

    Raises
    ------
    UserError
        There are none, two have one name, or one says what a phase cannot.
    """
    common = {
        section: dict(options) if isinstance(options, dict) else options
        for section, options in written.items()
        if section != "phases"
    }
    phases = written.get("phases")
    if phases is None:
        yield None, common
        return
    if not phases:
        raise UserError(
            f"{path}: phases: the list is empty, expected one or more; without phases leave the section out"
        )
    names = [said.get("name") for said in phases]
    for name in names:
        if name is not None and names.count(name) > 1:
            raise UserError(f"{path}: phases: two are called '{name}'")
    for number, said in enumerate(phases, start=1):
        own = {key: value for key, value in said.items() if key not in OF_A_PHASE}
        is_last = number == len(phases)
        phase = make(Phase, own, f"{path}: phase {number}", number=number, is_last=is_last)
        sections = {section: said[section] for section in OF_A_PHASE if section in said}
        for section, options in sections.items():
            if options is not None and not isinstance(options, dict):
                raise UserError(
                    f"{path}: {phase.title}: {section}: found {options!r}, expected a mapping 'key: value'"
                )
            if options is None and section not in ("augmentation", "teacher"):
                raise UserError(
                    f"{path}: {phase.title}: {section}: found nothing, expected a mapping 'key: value'"
                )
        own_sections = {
            section: laid_over(common.get(section), options)
            for section, options in sections.items()
        }
        yield phase, common | own_sections


def laid_over(common: Mapping | None, options: Mapping | None) -> dict | None:
    """A section of a phase with what the file says besides.

    Parameters
    ----------
    common, options : mapping or None
        The file's section, and that of the phase.
    """
    if not common or options is None or "name" in options:
        return None if options is None else dict(options)
    replaced = {INSTEAD.get(key) for key in options}
    return {key: value for key, value in common.items() if key not in replaced} | dict(options)
