"""The YAML of a training, checked as far as that goes without torch: every section but those of the network and the loss."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from utils.augmentation import Augmenter, resolved_augmentation
from utils.config import build, check_options, make, read_yaml, resolved_options
from utils.errors import UserError
from utils.optimizers import OPTIMIZERS, Optimizer
from utils.schedules import SCHEDULES


@dataclass
class CropOptions:
    """The section `crops`.

    Parameters
    ----------
    crop_seconds : float
        Length of a training crop.
    batch_size : int
        Crops in a step, over all processes.
    """

    crop_seconds: float = 2.0
    batch_size: int = 64

    def __post_init__(self):
        if self.crop_seconds <= 0:
            raise ValueError(f"crop_seconds is {self.crop_seconds}, expected more than 0")
        if self.batch_size < 2:
            raise ValueError(f"batch_size is {self.batch_size}, expected 2 or more")


@dataclass
class TrainingOptions:
    """The section `training`.

    Parameters
    ----------
    steps, epochs : int or None
        Length of the training: one of the two.
    validate_every_steps : int
        Steps between validations by EER on the dev trials.
    checkpoint_every_steps : int
        Steps between checkpoints.
    log_every_steps : int
        Steps between entries of the log.
    average_checkpoints : int
        The final network is the mean of the weights of so many last checkpoints.
    precision : str
        ``fp32``, or ``bf16`` for autocast (front ends and losses stay in float32).
    """

    steps: int | None = None
    epochs: int | None = None
    validate_every_steps: int = 1000
    checkpoint_every_steps: int = 500
    log_every_steps: int = 10
    average_checkpoints: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"

    def __post_init__(self):
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps and epochs: expected one of the two")
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")

    def total_steps(self, epoch_size: int, batch_size: int) -> int:
        """Length of the training.

        Parameters
        ----------
        epoch_size, batch_size : int
            Draws in an epoch and in a step.

        Raises
        ------
        ValueError
            The epochs do not make one step.
        """
        steps = self.steps or self.epochs * epoch_size // batch_size
        if not steps:
            raise ValueError(f"epochs is {self.epochs}: of {epoch_size} utterances they do not fill one batch of {batch_size}")
        return steps


@dataclass
class Settings:
    """A training YAML.

    Attributes
    ----------
    path : path
        The file, for messages.
    sections : dict
        As written, with the length of the training from the command line.
    crops, training, schedule, optimizer : CropOptions, TrainingOptions, an entry of SCHEDULES, Optimizer
        Made from their sections.
    augmentation : Augmenter
        Made from its section, its bank not yet opened.
    augmentation_path : path or None
        The file that stands in for the YAML's section.
    """

    path: Path
    sections: dict
    crops: CropOptions
    training: TrainingOptions
    schedule: Any
    optimizer: Optimizer
    augmentation: Augmenter
    augmentation_path: Path | None = None

    def where(self, section: str) -> str:
        """File and section, for messages."""
        return _where(self.path, self.augmentation_path, section)

    def open_augmentation(self, bank: Path | None, sample_rate_hz: int) -> Augmenter:
        """The augmentation with its bank.

        Parameters
        ----------
        bank : path or None
            Folder made by steps.augment.
        sample_rate_hz : int
            What its rate must be.

        Raises
        ------
        UserError
            The bank has not what is wanted.
        """
        try:
            return self.augmentation.open(bank, sample_rate_hz)
        except UserError as error:
            raise UserError(f"{self.where('augmentation')}: {error}") from None

    def resolved(self, models: dict, losses: dict) -> dict:
        """Every section with its defaults filled in, as config.yaml keeps it.

        Parameters
        ----------
        models, losses : dict
            The registries.
        """
        parts = {"model": models, "loss": losses, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "crops": CropOptions, "augmentation": Augmenter,
                 "training": TrainingOptions}
        return {name: (resolved_augmentation if part is Augmenter else partial(resolved_options, part))(self.sections.get(name))
                for name, part in parts.items()}


def read_settings(path: Path, steps: int | None = None, augmentation: Path | None = None) -> Settings:
    """Read and check a training YAML.

    Parameters
    ----------
    path : path
        The YAML.
    steps : int or None
        Length of the training instead of the YAML's.
    augmentation : path or None
        YAML that holds the content of the section `augmentation`, instead of the one that stands there.

    Raises
    ------
    UserError
        An unknown section or key, a wrong type, an impossible value: names file, section and key.
    """
    sections = read_yaml(path)
    check_options(_sections, sections, str(path))
    if steps is not None:
        if steps < 1:
            raise UserError(f"--steps is {steps}, expected 1 or more")
        sections["training"] = {key: value for key, value in sections["training"].items() if key != "epochs"} | {"steps": steps}

    if augmentation is not None:
        sections["augmentation"] = read_yaml(augmentation)

    def where(section):
        return _where(path, augmentation, section)

    return Settings(
        path, sections, crops=make(CropOptions, sections["crops"], where("crops")),
        training=make(TrainingOptions, sections["training"], where("training")),
        schedule=build(SCHEDULES, sections["schedule"], where("schedule")),
        optimizer=build(OPTIMIZERS, sections["optimizer"], where("optimizer")),
        augmentation=make(Augmenter, sections.get("augmentation"), where("augmentation")), augmentation_path=augmentation)


def _where(path: Path, augmentation: Path | None, section: str) -> str:
    return str(augmentation) if section == "augmentation" and augmentation else f"{path}: {section}"


def _sections(*, model: dict, loss: dict, optimizer: dict, schedule: dict, crops: dict, augmentation: dict | None = None, training: dict) -> None:
    """What a training YAML holds; only the signature is used."""
