"""What the YAMLs of a training say, and what the training in a folder began with: a comment or another spelling makes no training stale."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from utils.config import resolved_options, shown
from utils.receipts import Values
from utils.training.experiment import claim_of
from utils.training.phases import OF_A_PHASE
from utils.training.settings import Settings

AUGMENTATION = "augmentation"
SECTIONS = (*OF_A_PHASE, "phase")  # of config.yaml: those that a YAML says

# Gives the networks and the losses; called only when values have to be resolved, since that imports torch.
Registries = Callable[[], tuple[Mapping[str, type], Mapping[str, type]]]


def values_of_inputs(
    phases: Sequence[Settings], output: Path, with_augmentation: bool, registries: Registries
) -> dict[str, Values]:
    """What the YAMLs among a training's inputs say, of all its phases together.

    Parameters
    ----------
    phases : sequence of Settings
        Of the whole training.
    output : path
        The experiment.
    with_augmentation : bool
        Whether a YAML of its own stands in for the section of that name.
    registries : callable
        See above.

    Returns
    -------
    dict
        As `utils.receipts.Task` takes them.
    """
    if not with_augmentation:
        return {"input config": _values_of(phases, output, SECTIONS, registries)}
    others = [section for section in SECTIONS if section != AUGMENTATION]
    return {
        "input config": _values_of(phases, output, others, registries),
        "input augmentation": _values_of(phases, output, [AUGMENTATION], registries),
    }


def values_of_options(
    settings: Settings, folder: Path, registries: Registries
) -> dict[str, Values]:
    """What the sections of a phase say that stand among a task's options.

    Parameters
    ----------
    settings : Settings
        The phase.
    folder : path
        Of its training.
    registries : callable
        See above.
    """

    def of_section(section: str) -> Values:
        return Values(
            now=lambda: {section: _now(settings, registries).get(section)},
            before=lambda _: _only(claim_of(folder)["config"], [section]) or None,
            plain={section: settings.sections[section]},
            completed=_completed,
        )

    return {f"option {section}": of_section(section) for section in settings.sections}


def began_with(settings: Settings, folder: Path, registries: Registries) -> bool:
    """Whether the training in a folder began with today's values.

    Parameters
    ----------
    settings : Settings
        The YAML, or a phase of it.
    folder : path
        Of the training.
    registries : callable
        See above.
    """
    recorded = claim_of(folder)["config"]
    values = Values(
        now=lambda: _now(settings, registries),
        plain=_only(settings.sections, SECTIONS),
        completed=_completed,
    )
    return bool(recorded) and not any(values.changes("", _only(recorded, SECTIONS)))


def first_plain_change(settings: Settings, folder: Path) -> str:
    """The first number or word of a YAML that is another one than the training in a folder began with; empty where none is.

    Parameters
    ----------
    settings, folder
        As of `began_with`.
    """
    values = Values(now=dict, plain=_only(settings.sections, SECTIONS))
    for name, old, new in values.plain_differences(claim_of(folder)["config"]):
        return f"{name} was {shown(old)}, is {shown(new)}"
    return ""


def _values_of(
    phases: Sequence[Settings], output: Path, sections: Sequence[str], registries: Registries
) -> Values:
    """What some sections of a YAML say, phase by phase where there are several."""
    if phases[0].phase is None:
        settings, folder = phases[0], phases[0].folder(output)
        return Values(
            now=lambda: _only(_now(settings, registries), sections),
            before=lambda _: _only(claim_of(folder)["config"], sections) or None,
            plain=_only(settings.sections, sections),
            completed=_completed,
        )
    folders = {_title(settings): settings.folder(output) for settings in phases}

    def before(_recorded: object) -> dict | None:
        claims = {title: claim_of(folder)["config"] for title, folder in folders.items()}
        if not all(claims.values()):
            return None
        return {title: _only(claim, sections) for title, claim in claims.items()}

    return Values(
        now=lambda: {
            _title(settings): _only(_now(settings, registries), sections) for settings in phases
        },
        before=before,
        completed=lambda values: {title: _completed(each) for title, each in values.items()},
    )


def _title(settings: Settings) -> str:
    """Number and name of a phase."""
    assert settings.phase is not None, "asked of phases alone"
    return settings.phase.title


def _only(values: Mapping, sections: Sequence[str]) -> dict:
    """Some sections of a configuration."""
    return {section: values[section] for section in sections if section in values}


def _now(settings: Settings, registries: Registries) -> dict:
    """Today's values of a training."""
    return _completed(settings.resolved(*registries()))


def _completed(values: Mapping) -> dict:
    """Values with the defaults of the network's front end, too, which a configuration keeps as it was written."""
    from utils.features.registry import FRONT_ENDS

    model = values.get("model")
    if not isinstance(model, dict):
        return dict(values)
    front_end = model.get("front_end")
    if not isinstance(front_end, dict) or front_end.get("name") not in FRONT_ENDS:
        return dict(values)
    return {**values, "model": model | {"front_end": resolved_options(FRONT_ENDS, front_end)}}
