"""Resolved values of the YAMLs of a training: a comment or another spelling makes none stale.

Today's values are compared with those that the training in a folder started with.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from utils.augmentation.augmenter import resolved_augmentation
from utils.config import resolved_options, shown
from utils.receipts import Values
from utils.training.crops import resolved_crops
from utils.training.experiment import read_claim
from utils.training.optimizers import OPTIMIZERS
from utils.training.phases import FREEZING, PHASE_SECTIONS
from utils.training.progress import INTERRUPTED, describe_progress
from utils.training.schedules import SCHEDULES
from utils.training.settings import Settings, TeacherOptions, TrainingOptions
from utils.training.source import StartOptions

AUGMENTATION = "augmentation"
SECTIONS = (
    *PHASE_SECTIONS,
    "start_from",
    *FREEZING,
    "phase",
)  # of config.yaml, those that come from a YAML

# gives networks and losses; called only to resolve values, since it imports torch
Registries = Callable[[], tuple[Mapping[str, type], Mapping[str, type]]]


def input_values(
    phases: Sequence[Settings], output: Path, with_augmentation: bool, registries: Registries
) -> dict[str, Values]:
    """The values of the YAMLs among a training's inputs, of all phases, for its Task.

    ``with_augmentation``: a separate YAML replaces the section `augmentation`.
    """
    if not with_augmentation:
        return {"input config": _values_of_sections(phases, output, SECTIONS, registries)}
    others = [section for section in SECTIONS if section != AUGMENTATION]
    return {
        "input config": _values_of_sections(phases, output, others, registries),
        "input augmentation": _values_of_sections(phases, output, [AUGMENTATION], registries),
    }


def option_values(settings: Settings, folder: Path, registries: Registries) -> dict[str, Values]:
    """The values of a phase's sections, which are options of its Task."""

    def of_section(section: str) -> Values:
        return Values(
            now=lambda: {section: _now(settings, registries).get(section)},
            before=lambda _: _select(read_claim(folder)["config"], [section]) or None,
            plain={section: settings.sections[section]},
            completed=completed,
        )

    return {f"option {section}": of_section(section) for section in settings.sections}


def began_with(settings: Settings, folder: Path, registries: Registries) -> bool:
    """Whether the training in a folder started with today's values."""
    recorded = read_claim(folder)["config"]
    values = Values(
        now=lambda: _now(settings, registries),
        plain=_select(settings.sections, SECTIONS),
        completed=completed,
    )
    return bool(recorded) and not any(values.changes("", _select(recorded, SECTIONS)))


def progress_note(settings: Settings, folder: Path) -> str:
    """The progress of an unfinished training, with its phase if there are several."""
    training = read_claim(folder)["config"].get("training")
    total_steps = training.get("steps") if isinstance(training, dict) else None
    description = describe_progress(folder, total_steps)
    if description and settings.phase:
        description += f"; {settings.phase.title}"
    if description.startswith(INTERRUPTED):
        change = _first_plain_change(settings, folder)
        if change:
            description += f"; of another configuration: {change}"
    return description


def _first_plain_change(settings: Settings, folder: Path) -> str:
    """The first scalar of a YAML that differs from what a folder's training started with.

    Empty if none differs; does not import torch.
    """
    values = Values(now=dict, plain=_select(settings.sections, SECTIONS))
    for name, old, new in values.plain_differences(read_claim(folder)["config"]):
        return f"{name} was {shown(old)}, is {shown(new)}"
    return ""


def _values_of_sections(
    phases: Sequence[Settings], output: Path, sections: Sequence[str], registries: Registries
) -> Values:
    """The values of some sections of a YAML, phase by phase if there are several."""
    if phases[0].phase is None:
        settings, folder = phases[0], phases[0].folder(output)
        return Values(
            now=lambda: _select(_now(settings, registries), sections),
            before=lambda _: _select(read_claim(folder)["config"], sections) or None,
            plain=_select(settings.sections, sections),
            completed=completed,
        )
    folders = {_title(settings): settings.folder(output) for settings in phases}

    def before(_recorded: object) -> dict | None:
        values = {}
        for title, folder in folders.items():
            config = read_claim(folder)["config"]
            if not config:
                return None
            values[title] = _select(config, sections)
        return values

    return Values(
        now=lambda: {
            _title(settings): _select(_now(settings, registries), sections) for settings in phases
        },
        before=before,
        completed=lambda values: {title: completed(each) for title, each in values.items()},
    )


def _title(settings: Settings) -> str:
    """Number and name of a phase."""
    assert settings.phase is not None
    return settings.phase.title


def _select(values: Mapping, sections: Sequence[str]) -> dict:
    """Some sections of a configuration."""
    return {section: values[section] for section in sections if section in values}


def _now(settings: Settings, registries: Registries) -> dict:
    """Today's values of a training."""
    return completed(settings.resolved(*registries()))


def completed(values: Mapping) -> dict:
    """Values with defaults that config.yaml lacks.

    These are options of the front end, which it keeps as written, and those of the training that
    are newer than the file.
    """
    from utils.features.registry import FRONT_ENDS

    filled = dict(values)
    training = values.get("training")
    if isinstance(training, dict):
        filled["training"] = resolved_options(TrainingOptions, training)
    model = values.get("model")
    if not isinstance(model, dict):
        return filled
    front_end = model.get("front_end")
    if isinstance(front_end, dict) and front_end.get("name") in FRONT_ENDS:
        filled["model"] = model | {"front_end": resolved_options(FRONT_ENDS, front_end)}
    return filled


def completed_sections(values: Mapping, registries: Registries) -> dict:
    """Values with the defaults of all options that config.yaml lacks, in every section.

    A section whose class is not known here, under its name, stays as it is.
    """
    from utils.features.registry import SpecAugment

    models, losses = registries()
    fill: dict[str, Callable[[dict], dict]] = {
        "model": partial(resolved_options, models),
        "loss": partial(_resolved_loss, losses),
        "optimizer": partial(resolved_options, OPTIMIZERS),
        "schedule": partial(resolved_options, SCHEDULES),
        "crops": resolved_crops,
        "augmentation": resolved_augmentation,
        "teacher": partial(resolved_options, TeacherOptions),
        "start_from": partial(resolved_options, StartOptions),
    }
    families = {"model": models, "loss": losses, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    filled = completed(values)
    for section, options in filled.items():
        if section not in fill or not isinstance(options, dict):
            continue
        if section in families and options.get("name") not in families[section]:
            continue
        filled[section] = fill[section](options)
    model = filled.get("model")
    if isinstance(model, dict) and isinstance(model.get("spec_augment"), dict):
        masks = resolved_options(SpecAugment, model["spec_augment"])
        filled["model"] = model | {"spec_augment": masks}
    return filled


def _resolved_loss(losses: Mapping[str, type], options: dict) -> dict:
    """The section `loss` with its defaults, and those of its parts."""
    resolved = resolved_options(losses, options)
    if "parts" in resolved:
        resolved["parts"] = [resolved_options(losses, part) for part in resolved["parts"]]
    return resolved
