"""Print the YAML that fine-tunes a network, and the override that makes it start from there.

python -m steps.plan_fine_tuning models/campplus
"""

import json
from collections.abc import Mapping
from pathlib import Path

from utils.cli import run
from utils.config import differences, parse_override, read_yaml, shown
from utils.errors import WrongArguments
from utils.pretrained.folder import PROTOCOL
from utils.pretrained.published import PUBLISHED

FORMAT = 1
PAGE = "docs/train.md"
CONFIG = "conf/{}_finetune.yaml"  # of the name of a network


def plan_fine_tuning(
    model: Path, config: Path | None = None, *, override: str | None = None
) -> None:
    """Print two lines: the YAML for a network, and the override that makes it start there.

    Parameters
    ----------
    model : path
        Model folder or experiment; a published network may not be fetched yet.
    config : path or None
        The YAML to fine-tune with; None: the one in ``conf/`` for the network.
    override : str or None
        Further values in place of the YAML's; the override that is printed has them, too.

    Raises
    ------
    WrongArguments
        There is no YAML for the network, it is for another one, the network has a test protocol
        that a training does not keep, or the override names a network to start from.
    """
    lines = [str(fine_tuning_config(model, config)), start_override(model, override)]
    print("\n".join(lines))


def fine_tuning_config(model: Path, config: Path | None = None) -> Path:
    """The YAML for a network, which may be a published one that is not fetched yet.

    ``config`` is the YAML that the user asks for.  UserError: there is none for the network, it is
    for another one, or the network has a test protocol that a training does not keep.
    """
    if has_protocol(model):
        raise WrongArguments(
            f"--fine-tune: {model} has a test protocol of its own (level, trimming, windows), that "
            "training here does not keep, and the two could not be compared; leave --fine-tune "
            "out, or take another network"
        )
    section = model_section(model)
    name = section.get("name", model.name)
    if config is None:
        config = Path(CONFIG.format(name))
        if not config.exists():
            raise WrongArguments(
                f"--fine-tune: conf/ has no YAML for {name}, the network of {model}; give "
                f"--config, a YAML with start_from and the model of {model}/config.yaml ({PAGE})"
            )
    refuse_other_network(section, config, model)
    return config


def has_protocol(model: Path) -> bool:
    """Whether a network brings a test protocol, also one that is not fetched yet."""
    if (model / "config.yaml").exists():
        return (model / PROTOCOL).exists()
    return model.name in PUBLISHED and bool(PUBLISHED[model.name].protocol)


def model_section(model: Path) -> dict:
    """The section `model` of a network's configuration; empty if it is not fetched yet."""
    config = model / "config.yaml"
    if not config.exists():
        return {}
    return read_yaml(config)["model"]


def refuse_other_network(section: Mapping, config: Path, model: Path) -> None:
    """Refuse a YAML that says of its network what a model has otherwise; SpecAugment may differ.

    The training compares the defaults, too.  An empty ``section`` fits.
    """
    written = read_yaml(config).get("model", {})
    for name, old, new in differences(section, written, "model"):
        if not section or new is None or name.startswith("model.spec_augment"):
            continue
        raise WrongArguments(
            f"--fine-tune: {model} has another network than {config}: {name} is {shown(old)} "
            f"there, {shown(new)} in the YAML; give --config, a YAML with start_from and the model "
            f"of {model}/config.yaml ({PAGE})"
        )


def start_override(model: Path, override: str | None = None) -> str:
    """The override that makes a YAML start from a network, wherever this lies, with another one."""
    source = str(model)
    if "/" not in source:
        source = f"./{source}"
    start = f"start_from.source={json.dumps(source, ensure_ascii=False)}"
    if override is None:
        return start
    section = parse_override(override).get("start_from", {})
    if not isinstance(section, Mapping) or "source" in section:
        raise WrongArguments(
            f"--override: start_from: with --fine-tune, training starts from --model {model}; "
            "leave it out (start_from.head may be given)"
        )
    return f"{start},{override}"


if __name__ == "__main__":
    run(plan_fine_tuning)
