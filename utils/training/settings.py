"""The YAML of a training, checked as far as that goes without torch: every section but those of the network and the loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.augmentation.augmenter import Augmenter, resolved_augmentation
from utils.config import build, check_options, make, read_yaml, resolved_options
from utils.errors import UserError
from utils.training.crops import CropOptions, resolved_crops
from utils.training.optimizers import OPTIMIZERS, Optimizer
from utils.training.phases import Phase, phases_of
from utils.training.schedules import SCHEDULES, Schedule

Precision = Literal["fp32", "bf16", "auto"]


@dataclass(kw_only=True)
class _Sections:
    """What a training YAML holds: its sections are checked against these fields."""

    model: dict
    loss: dict
    optimizer: dict
    schedule: dict
    crops: dict
    augmentation: dict | None = None
    training: dict
    teacher: dict | None = None
    phases: list[dict] | None = None


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
        ``fp32``; ``bf16`` for autocast (front ends and losses stay in float32); ``auto``: bf16 where the device multiplies it in hardware, else
        fp32.  An experiment goes on in the one that it began with.
    """

    steps: int | None = None
    epochs: int | None = None
    validate_every_steps: int = 1000
    checkpoint_every_steps: int = 500
    log_every_steps: int = 10
    average_checkpoints: int = 1
    precision: Precision = "fp32"

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
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # one of the two is given
        steps = self.epochs * epoch_size // batch_size
        if not steps:
            raise ValueError(
                f"epochs is {self.epochs}: of {epoch_size} utterances they do not fill one batch of {batch_size}"
            )
        return steps


@dataclass
class TeacherOptions:
    """The section `teacher`: a trained network that hears the whole crop shows the one in training, which hears a part, what to say.

    Parameters
    ----------
    experiment : str
        Folder of the finished training whose network and loss teach; ``previous``: the phase before this one.
    student_seconds : float
        Length of the part.
    part : {"centre", "random"}
        Where in the crop it lies; ``random``: at one place for a batch.
    embedding_weight : float
        Of the mean of 1 - cosine between the two embeddings.
    output_weight : float
        Of the divergence (Kullback-Leibler, in nats) of the student's distribution over the speakers from the teacher's.
    label_weight : float
        Of the loss of the section `loss`.
    checkpoint : str
        Of the teacher, without ``.pt``.

    References
    ----------
    Jung et al., "Short utterance compensation in speaker verification via cosine-based teacher-student learning of speaker embeddings", ASRU 2019.
    """

    experiment: str
    student_seconds: float
    part: Literal["centre", "random"] = "centre"
    embedding_weight: float = 1.0
    output_weight: float = 1.0
    label_weight: float = 0.0
    checkpoint: str = "average"

    def __post_init__(self):
        if self.student_seconds <= 0:
            raise ValueError(f"student_seconds is {self.student_seconds}, expected more than 0")
        weights = (self.embedding_weight, self.output_weight, self.label_weight)
        if min(weights) < 0 or not any(weights):
            raise ValueError(
                f"embedding_weight, output_weight, label_weight are {', '.join(map(str, weights))}; "
                "expected 0 or more, one above"
            )


@dataclass
class Settings:
    """A training YAML, or a phase of one.

    Attributes
    ----------
    path : path
        The file, for messages.
    sections : dict
        As written, with the length of the training from the command line; of a phase: with what it says laid over that.
    crops, training, schedule, optimizer : CropOptions, TrainingOptions, an entry of SCHEDULES, Optimizer
        Made from their sections.
    augmentation : Augmenter
        Made from its section, its bank not yet opened.
    teacher : TeacherOptions or None
        Made from its section.
    augmentation_path : path or None
        The file that stands in for the YAML's section.
    phase : Phase or None
        Which phase it is.
    auto_precision : bool
        Whether the YAML leaves the precision to the device.
    """

    path: Path
    sections: dict
    crops: CropOptions
    training: TrainingOptions
    schedule: Schedule
    optimizer: Optimizer
    augmentation: Augmenter
    teacher: TeacherOptions | None
    augmentation_path: Path | None = None
    phase: Phase | None = None
    auto_precision: bool = False

    def __post_init__(self):
        self.auto_precision = self.training.precision == "auto"

    def set_precision(self, precision: Precision) -> None:
        """Put what ``auto`` stands for in its place.

        Parameters
        ----------
        precision : str
            ``fp32``, ``bf16``, or ``auto`` while it is not known.
        """
        self.training.precision = precision
        self.sections["training"] = self.sections["training"] | {"precision": precision}

    def where(self, section: str) -> str:
        """File, phase and section, for messages."""
        return _where(self.path, self.augmentation_path, self.phase, section)

    @property
    def is_last(self) -> bool:
        """Whether the experiment ends with it."""
        return self.phase is None or self.phase.is_last

    def teacher_folder(self, before: Path | None) -> Path | None:
        """The teacher's experiment, where there is a teacher.

        Parameters
        ----------
        before : path or None
            Folder of the phase before.
        """
        if self.teacher is None:
            return None
        return before if self.teacher.experiment == "previous" else Path(self.teacher.experiment)

    def folder(self, experiment: Path) -> Path:
        """Where this training lies: the experiment itself, or a folder in it for each phase but the last.

        Parameters
        ----------
        experiment : path
            ``exp/<name>``.
        """
        if self.phase is None or self.phase.is_last:
            return experiment
        return experiment / "phases" / f"{self.phase.number}_{self.phase.name}"

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

    def resolved(self, models: Mapping[str, Callable], losses: Mapping[str, Callable]) -> dict:
        """Every section with its defaults filled in, as config.yaml keeps it.

        Parameters
        ----------
        models, losses : mapping
            The registries.
        """
        section = self.sections.get
        resolved = {
            "model": resolved_options(models, section("model")),
            "loss": resolved_options(losses, section("loss")),
            "optimizer": resolved_options(OPTIMIZERS, section("optimizer")),
            "schedule": resolved_options(SCHEDULES, section("schedule")),
            "crops": resolved_crops(section("crops")),
            "augmentation": resolved_augmentation(section("augmentation")),
            "training": resolved_options(TrainingOptions, section("training")),
        }
        if self.teacher:
            resolved["teacher"] = resolved_options(TeacherOptions, section("teacher"))
        if self.phase:
            resolved["phase"] = vars(self.phase)
        return resolved


def read_settings(
    path: Path, steps: int | None = None, augmentation: Path | None = None
) -> Settings:
    """Read and check a training YAML; of one with phases: the last, whose network the experiment ends with.

    Parameters
    ----------
    path, steps, augmentation
        As of :func:`read_phases`.
    """
    return read_phases(path, steps, augmentation)[-1]


def read_phases(
    path: Path, steps: int | None = None, augmentation: Path | None = None
) -> list[Settings]:
    """Read and check a training YAML, phase after phase; one without the section `phases` is one training.

    Parameters
    ----------
    path : path
        The YAML.
    steps : int or None
        Length of the training, and of each phase, instead of the YAML's.
    augmentation : path or None
        YAML that holds the content of the section `augmentation`, instead of the one that stands there.

    Raises
    ------
    UserError
        An unknown section or key, a wrong type, an impossible value: names file, section and key.
    """
    written = read_yaml(path)
    check_options(_Sections, written, str(path))
    if steps is not None and steps < 1:
        raise UserError(f"--steps is {steps}, expected 1 or more")
    instead = None if augmentation is None else read_yaml(augmentation)
    found = []
    for phase, sections in phases_of(written, path):
        if steps is not None:
            training = dict(sections["training"])
            training.pop("epochs", None)
            sections["training"] = training | {"steps": steps}
        if augmentation is not None:
            sections["augmentation"] = instead
        found.append(_settings(path, sections, augmentation, phase))
    return found


def _settings(
    path: Path, sections: dict, augmentation: Path | None, phase: Phase | None
) -> Settings:
    """A training YAML, or a phase of it, from its sections."""

    def where(section: str) -> str:
        return _where(path, augmentation, phase, section)

    settings = Settings(
        path,
        sections,
        crops=make(CropOptions, sections["crops"], where("crops")),
        training=make(TrainingOptions, sections["training"], where("training")),
        schedule=build(SCHEDULES, sections["schedule"], where("schedule")),
        optimizer=build(OPTIMIZERS, sections["optimizer"], where("optimizer")),
        augmentation=make(Augmenter, sections.get("augmentation"), where("augmentation")),
        teacher=make(TeacherOptions, sections["teacher"], where("teacher"))
        if sections.get("teacher") is not None
        else None,
        augmentation_path=augmentation,
        phase=phase,
    )
    teacher = settings.teacher
    if teacher and teacher.experiment == "previous" and (phase is None or phase.number == 1):
        raise UserError(
            f"{where('teacher')}: experiment is previous, and no phase comes before; name the folder of a finished training"
        )
    if teacher and teacher.student_seconds > settings.crops.shortest_seconds:
        raise UserError(
            f"{where('teacher')}: student_seconds is {teacher.student_seconds}, longer than the crop of "
            f"{settings.crops.shortest_seconds} s that it is a part of"
        )
    return settings


def _where(path: Path, augmentation: Path | None, phase: Phase | None, section: str) -> str:
    """File, phase and section, for messages."""
    if section == "augmentation" and augmentation:
        return str(augmentation)
    return f"{path}: {phase.title}: {section}" if phase else f"{path}: {section}"
