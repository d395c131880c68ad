"""The section `phases` of a training YAML: trainings that follow each other in one experiment.

A phase may start from the weights of the phase before.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.config import make, merge, section_of_override
from utils.errors import UserError, WrongArguments

# a phase that sets one of two such keys removes the other one of the common section
ALTERNATIVES = {
    "steps": "epochs",
    "epochs": "steps",
    "batch_size": "batches",
    "batches": "batch_size",
}
PHASE_SECTIONS = (
    "model",
    "loss",
    "optimizer",
    "schedule",
    "crops",
    "augmentation",
    "training",
    "teacher",
)

FREEZING = ("freeze", "freeze_if_few")  # lists of names, which a phase may have of its own
WEIGHTS_FROM = "weights_from"
OVERRIDABLE = (WEIGHTS_FROM, *FREEZING, *PHASE_SECTIONS)  # keys of a phase, besides its name


@dataclass
class Phase:
    """The options of a phase.

    Parameters
    ----------
    number : int
        Counted from 1.
    is_last : bool
        Whether it is the last phase.
    name : str
        Lower-case letters, digits, ``-`` and ``_``: a part of its folder's name.
    weights_from : {"random", "previous", "previous_with_loss"}
        First weights: random, or those of the phase before that have the same names, in the
        network or also in the loss.
    """

    number: int
    is_last: bool
    name: str
    weights_from: Literal["random", "previous", "previous_with_loss"] = "random"

    def __post_init__(self):
        if not re.fullmatch(r"[a-z0-9_-]+", self.name):
            raise ValueError(
                f"name is '{self.name}', expected lower-case letters, digits, - and _: "
                "it is a part of a folder's name"
            )
        if self.number == 1 and self.weights_from != "random":
            raise ValueError(
                f"weights_from is {self.weights_from}, and no phase comes before the first"
            )

    @property
    def title(self) -> str:
        """Number and name, for messages."""
        return f"phase {self.number} ({self.name})"


def split_phases(written: Mapping, path: Path) -> Iterator[tuple[Phase | None, dict]]:
    """Each phase of a training YAML with its sections; None for a YAML without phases.

    See `override_section` for how a phase's section changes the common one.  UserError if the
    list is empty, two names are the same, or an option is wrong.
    """
    common = dict(written)
    phases = common.pop("phases", None)
    for section, options in common.items():
        if isinstance(options, dict):
            common[section] = dict(options)
    if phases is None:
        yield None, common
        return
    if not phases:
        raise UserError(
            f"{path}: phases: the list is empty, expected one or more; "
            "without phases leave the section out"
        )
    _refuse_equal_names([phase.get("name") for phase in phases], path)
    for number, written_phase in enumerate(phases, start=1):
        own = {key: value for key, value in written_phase.items() if key not in PHASE_SECTIONS}
        is_last = number == len(phases)
        sections = dict(common)
        where = f"{path}: phase {number}"
        for key in FREEZING:
            if key in own:
                sections[key] = _check_patterns(own.pop(key), f"{where}: {key}")
        phase = make(Phase, own, where, number=number, is_last=is_last)
        leave_source_to_first(sections, phase)
        for section in PHASE_SECTIONS:
            if section in written_phase:
                options = written_phase[section]
                _check_section(options, section, f"{path}: {phase.title}: {section}")
                sections[section] = override_section(common.get(section), options)
        yield phase, sections


def leave_source_to_first(sections: dict, phase: Phase | None) -> None:
    """Take the source of the first weights out of later phases, which follow the first."""
    if phase and phase.number > 1:
        sections.pop("start_from", None)


def _refuse_equal_names(names: list, path: Path) -> None:
    """Refuse two phases of one name."""
    for name in names:
        if name is not None and names.count(name) > 1:
            raise UserError(f"{path}: phases: two are called '{name}'")


def _check_section(options: object, section: str, where: str) -> None:
    """Refuse a section of a phase that is not a mapping; two sections may be empty."""
    if options is None and section not in ("augmentation", "teacher"):
        raise UserError(f"{where}: found nothing, expected a mapping 'key: value'")
    if options is not None and not isinstance(options, dict):
        raise UserError(f"{where}: found {options!r}, expected a mapping 'key: value'")


def _check_patterns(patterns: object, where: str) -> list[str]:
    """A list of names to freeze of a phase; nothing stands for an empty one."""
    if patterns is None:
        return []
    if not isinstance(patterns, list) or not all(isinstance(name, str) for name in patterns):
        raise UserError(f"{where}: found {patterns!r}, expected a list of strings")
    return patterns


def override_section(common: Mapping | None, options: Mapping | None) -> dict | None:
    """A section of a phase, merged key by key into the common one.

    A section with a ``name`` replaces the common one; an empty section removes it.
    """
    if options is None:
        return None
    if not common or "name" in options:
        return dict(options)
    return _without_replaced(common, options) | dict(options)


def _without_replaced(section: Mapping, options: Mapping) -> dict:
    """A section without the keys whose alternatives some options set."""
    replaced = {ALTERNATIVES.get(key) for key, value in options.items() if value is not None}
    return {key: value for key, value in section.items() if key not in replaced}


def apply_override(sections: Mapping, changes: Mapping, phase: Phase | None) -> dict:
    """The sections of a phase with the values of an override over them.

    ``phases.NAME.section.key`` changes one phase, ``section.key`` all of them.
    """
    changed = dict(sections)
    for part in _parts(changes, phase):
        for section, options in part.items():
            if isinstance(options, Mapping) and isinstance(changed.get(section), Mapping):
                changed[section] = _without_replaced(changed[section], options)
        changed = merge(changed, part)
    return changed


def _parts(changes: Mapping, phase: Phase | None) -> list[dict]:
    """The sections that an override changes in all phases, and those of one phase."""
    own: Mapping = {}
    if phase:
        own = _of_phase(changes, phase.name)
    return [
        {name: value for name, value in changes.items() if name != "phases"},
        {name: value for name, value in own.items() if name != WEIGHTS_FROM},
    ]


def _of_phase(changes: Mapping, name: str) -> Mapping:
    """What an override has for the phase of a name."""
    return section_of_override(section_of_override(changes, "phases"), name)


def overridden_sections(changes: Mapping, phase: Phase | None) -> frozenset[str]:
    """Names of the sections of a phase, and its ``weights_from``, that an override changes."""
    names = {name for part in _parts(changes, phase) for name in part}
    if phase and WEIGHTS_FROM in _of_phase(changes, phase.name):
        names.add(WEIGHTS_FROM)
    return frozenset(names)


def override_weights_from(phases: list[dict], changes: Mapping) -> list[dict]:
    """The list `phases` of a YAML with the ``weights_from`` of an override."""
    changed = []
    for phase in phases:
        own = _of_phase(changes, phase.get("name", ""))
        changed.append(merge(phase, {key: own[key] for key in own if key == WEIGHTS_FROM}))
    return changed


def refuse_wrong_phases(changes: Mapping, written: Mapping) -> None:
    """Refuse an override of a phase that a YAML does not have, or of a key that no phase has."""
    known = [phase.get("name") for phase in written.get("phases") or ()]
    for name in section_of_override(changes, "phases"):
        if name not in known:
            listed = ", ".join(map(str, known)) or "none"
            raise WrongArguments(f"--override: phases: no phase '{name}'; known: {listed}")
        for key in _of_phase(changes, name):
            if key not in OVERRIDABLE:
                raise WrongArguments(
                    f"--override: phases.{name}: unknown key '{key}'; known: "
                    f"{', '.join(OVERRIDABLE)}"
                )
