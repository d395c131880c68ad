"""The YAML of a training: all sections but those of network and loss, checked without torch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from utils.augmentation.augmenter import Augmenter, resolved_augmentation
from utils.config import (
    WITH_OVERRIDE,
    build,
    check_options,
    make,
    override_leaves,
    override_name,
    parse_override,
    read_yaml,
    refusal,
    resolved_options,
    signature_parameters,
)
from utils.embeddings.inputs import takes_features
from utils.errors import UserError, WrongArguments
from utils.training.crops import CropOptions, resolved_crops
from utils.training.optimizers import OPTIMIZERS, Optimizer
from utils.training.phases import (
    Phase,
    apply_override,
    leave_source_to_first,
    overridden_sections,
    override_weights_from,
    refuse_wrong_phases,
    split_phases,
)
from utils.training.schedules import SCHEDULES, Schedule
from utils.training.source import StartOptions, find_source

Precision = Literal["fp32", "bf16", "auto"]


@dataclass(kw_only=True)
class _Sections:
    """The sections of a training YAML."""

    model: dict
    loss: dict
    optimizer: dict
    schedule: dict
    crops: dict
    augmentation: dict | None = None
    training: dict
    teacher: dict | None = None
    start_from: str | dict | None = None
    freeze: list[str] | None = None
    freeze_if_few: list[str] | None = None
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
        Number of last checkpoints whose mean weights the final network has.
    choose_by_dev : bool
        The final network is instead that of the validated checkpoint with the lowest EER on the
        dev trials, the earliest of equals.  The first weights are among them, so that training
        cannot make this EER worse.
    precision : str
        ``fp32``; ``bf16`` for autocast (front ends and losses stay in float32); ``auto``: bf16 if
        the device multiplies it in hardware, else fp32.  An experiment keeps the one that it
        started with.
    """

    steps: int | None = None
    epochs: int | None = None
    validate_every_steps: int = 1000
    checkpoint_every_steps: int = 500
    log_every_steps: int = 10
    average_checkpoints: int = 1
    choose_by_dev: bool = False
    precision: Precision = "fp32"

    def __post_init__(self):
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("steps and epochs: expected one of the two")
        for name, value in vars(self).items():
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")
        if self.choose_by_dev:
            self._check_choice()

    def _check_choice(self) -> None:
        """Refuse options under which a validated network would not be kept, or not be taken."""
        if self.average_checkpoints > 1:
            raise ValueError(
                "choose_by_dev takes one checkpoint, and average_checkpoints is "
                f"{self.average_checkpoints}; set it to 1"
            )
        if self.validate_every_steps % self.checkpoint_every_steps:
            raise ValueError(
                f"choose_by_dev: validate_every_steps is {self.validate_every_steps}, expected a "
                f"multiple of checkpoint_every_steps, {self.checkpoint_every_steps}: a network is "
                "kept where it is validated"
            )

    def total_steps(self, epoch_size: int, batch_size: int) -> int:
        """Length of the training in steps; ValueError if its epochs do not fill one batch."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # one of the two is set
        steps = self.epochs * epoch_size // batch_size
        if not steps:
            raise ValueError(
                f"epochs is {self.epochs}: of {epoch_size} utterances, too few for "
                f"one batch of {batch_size}"
            )
        return steps


@dataclass
class TeacherOptions:
    """The section `teacher`: a trained network on whole crops teaches one that sees a part.

    Parameters
    ----------
    experiment : str
        Folder of the teacher's finished training; ``previous``: the phase before this one.
    student_seconds : float
        Length of the student's part.
    part : {"centre", "random"}
        Position of the part in the crop; ``random``: the same for a whole batch.
    embedding_weight : float
        Weight of the mean of 1 - cosine between the two embeddings.
    output_weight : float
        Weight of the Kullback-Leibler divergence (in nats) of the student's distribution over the
        speakers from the teacher's.
    label_weight : float
        Weight of the loss of the section `loss`.
    checkpoint : str
        The teacher's checkpoint, without ``.pt``.

    References
    ----------
    Jung et al., "Short utterance compensation in speaker verification via cosine-based
    teacher-student learning of speaker embeddings", ASRU 2019.
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
            numbers = ", ".join(str(weight) for weight in weights)
            raise ValueError(
                f"embedding_weight, output_weight, label_weight are {numbers}; "
                "expected 0 or more, and at least one above 0"
            )


@dataclass
class Settings:
    """A training YAML, or a phase of one: its sections, and the objects made from them."""

    path: Path  # of the YAML, for messages
    sections: dict  # of this phase as written, with --steps and --augmentation
    crops: CropOptions
    training: TrainingOptions
    schedule: Schedule
    optimizer: Optimizer
    augmentation: Augmenter  # its bank is not open yet
    teacher: TeacherOptions | None
    augmentation_path: Path | None = None  # of the YAML that replaces the section
    phase: Phase | None = None
    overridden: Collection[str] = ()  # names of the sections that --override changes
    override_name: str = ""  # the part of the experiment's name that --override gives
    start: StartOptions | None = None
    freeze: Sequence[str] = ()  # patterns of names of parameters
    freeze_if_few: Sequence[str] = ()  # the same, of fewer speakers than embedding dimensions
    source: Path | None = None  # folder of the trained network to start from; set by steps.train
    auto_precision: bool = False  # whether the YAML says precision: auto

    def __post_init__(self):
        self.auto_precision = self.training.precision == "auto"

    def set_precision(self, precision: Precision) -> None:
        """Set the precision that ``auto`` stands for; ``auto`` while it is not known."""
        self.training.precision = precision
        self.sections["training"] = self.sections["training"] | {"precision": precision}

    def where(self, section: str) -> str:
        """File, phase and section, for messages."""
        return _where(self.path, self.augmentation_path, self.phase, self.overridden, section)

    @property
    def is_last(self) -> bool:
        """Whether it is the last or only phase."""
        return self.phase is None or self.phase.is_last

    def teacher_folder(self, before: Path | None) -> Path | None:
        """The teacher's experiment if there is a teacher; ``before`` is the phase before."""
        if self.teacher is None:
            return None
        if self.teacher.experiment == "previous":
            return before
        return Path(self.teacher.experiment)

    def find_source(self, experiment: Path) -> None:
        """Set the folder of the trained network to start from, if the YAML names one."""
        if self.start:
            self.source = find_source(self.start.source, self.path, experiment, self.override_name)

    def folder(self, experiment: Path) -> Path:
        """The folder of this training: the experiment, or a folder in it for earlier phases."""
        if self.phase is None or self.phase.is_last:
            return experiment
        return experiment / "phases" / f"{self.phase.number}_{self.phase.name}"

    def open_augmentation(self, bank: Path | None, sample_rate_hz: int) -> Augmenter:
        """The augmentation with its bank open; UserError if the bank does not suffice."""
        try:
            return self.augmentation.open(bank, sample_rate_hz)
        except UserError as error:
            raise UserError(f"{self.where('augmentation')}: {error}") from None

    def resolved(self, models: Mapping[str, Callable], losses: Mapping[str, Callable]) -> dict:
        """All sections with their defaults, for config.yaml; takes the two registries."""
        section = self.sections.get
        resolved: dict[str, dict | list] = {
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
        if self.start:
            resolved["start_from"] = resolved_options(StartOptions, section("start_from"))
        if self.freeze:
            resolved["freeze"] = list(self.freeze)
        if self.freeze_if_few:
            resolved["freeze_if_few"] = list(self.freeze_if_few)
        if self.phase:
            resolved["phase"] = vars(self.phase)
        return resolved


def refuse_to_augment_features(settings: Settings) -> None:
    """Refuse the section `augmentation` if the network reads features."""
    if takes_features(settings.sections["model"]) and settings.sections.get("augmentation"):
        raise UserError(
            f"{settings.where('augmentation')}: it is for waveforms, and this network reads "
            "feats.scp; remove the section (spec_augment of the network is for features), "
            "or augment copies before the features are made"
        )


def refuse_to_choose(phases: Sequence[Settings], has_dev: bool) -> None:
    """Refuse to choose a network by dev trials where there are none."""
    for settings in phases:
        if settings.training.choose_by_dev and not has_dev:
            raise UserError(
                f"{settings.where('training')}: choose_by_dev needs dev trials, and there is no "
                "dev data; name it, or set choose_by_dev: false"
            )


def read_settings(
    path: Path,
    steps: int | None = None,
    augmentation: Path | None = None,
    override: str | None = None,
) -> Settings:
    """Read and check a training YAML; of several phases the last, as `read_phases`."""
    return read_phases(path, steps, augmentation, override)[-1]


def read_phases(
    path: Path,
    steps: int | None = None,
    augmentation: Path | None = None,
    override: str | None = None,
) -> list[Settings]:
    """Read and check a training YAML, phase after phase; without phases, it is one training.

    ``steps`` and the YAML ``augmentation`` replace those of every phase, then ``override``
    (`utils.config.override`) its values.  UserError for an unknown section or key, a wrong type or
    an impossible value; it names file, section and key.
    """
    written = read_yaml(path)
    check_options(_Sections, written, str(path))
    changes: dict = {}
    if override is not None:
        changes = parse_override(override)
        _refuse_steps_twice(changes, steps)
        refuse_wrong_phases(changes, written)
    if changes and written.get("phases"):
        written["phases"] = override_weights_from(written["phases"], changes)
    if steps is not None and steps < 1:
        raise UserError(f"--steps is {steps}, expected 1 or more")
    if augmentation is not None:
        policy = read_yaml(augmentation)
    settings = []
    _write_source_out(written)
    for phase, sections in split_phases(written, path):
        if steps is not None:
            training = dict(sections["training"])
            training.pop("epochs", None)
            sections["training"] = training | {"steps": steps}
        if augmentation is not None:
            sections["augmentation"] = policy
        if changes:
            sections = apply_override(sections, changes, phase)
            leave_source_to_first(sections, phase)
            _refuse_removed(sections)
            check_options(_Sections, sections, f"{path}{WITH_OVERRIDE}")
            _write_source_out(sections)
        settings.append(_settings(path, sections, augmentation, phase, changes))
    return settings


def _write_source_out(sections: dict) -> None:
    """Replace the short form of the section `start_from`, a path alone, by the long one."""
    source = sections.get("start_from")
    if isinstance(source, str):
        sections["start_from"] = {"source": source}


def _refuse_steps_twice(changes: Mapping, steps: int | None) -> None:
    """Refuse --steps beside an override that sets the length of a training, too."""
    for key, _ in override_leaves(changes):
        if steps is not None and key.endswith(("training.steps", "training.epochs")):
            raise WrongArguments(
                f"--override: {key} is given beside --steps; leave one of them out"
            )


def _refuse_removed(sections: Mapping) -> None:
    """Refuse an override that removes a section without a default, which the YAML has."""
    for name, parameter in signature_parameters(_Sections).items():
        if parameter.default is parameter.empty and name not in sections:
            raise WrongArguments(
                f"--override: {name}: found null, and this section has no default; "
                "give its values, or leave it out"
            )


def _settings(
    path: Path,
    sections: dict,
    augmentation: Path | None,
    phase: Phase | None,
    changes: Mapping,
) -> Settings:
    """A training YAML, or a phase of it, from its sections; ``changes`` are in them already."""
    overridden = overridden_sections(changes, phase)

    def where(section: str) -> str:
        return _where(path, augmentation, phase, overridden, section)

    teacher = None
    if sections.get("teacher") is not None:
        teacher = make(TeacherOptions, sections["teacher"], where("teacher"))
    start = None
    if sections.get("start_from") is not None:
        start = make(StartOptions, sections["start_from"], where("start_from"))
    settings = Settings(
        path,
        sections,
        crops=make(CropOptions, sections["crops"], where("crops")),
        training=make(TrainingOptions, sections["training"], where("training")),
        schedule=build(SCHEDULES, sections["schedule"], where("schedule")),
        optimizer=build(OPTIMIZERS, sections["optimizer"], where("optimizer")),
        augmentation=make(Augmenter, sections.get("augmentation"), where("augmentation")),
        teacher=teacher,
        augmentation_path=augmentation,
        phase=phase,
        overridden=overridden,
        override_name=override_name(changes) if changes else "",
        start=start,
        freeze=sections.get("freeze") or (),
        freeze_if_few=sections.get("freeze_if_few") or (),
    )
    is_first = phase is None or phase.number == 1
    if teacher and teacher.experiment == "previous" and is_first:
        raise refusal(
            where("teacher"),
            "experiment is previous, and no phase comes before; "
            "name the folder of a finished training",
        )
    if teacher and teacher.student_seconds > settings.crops.shortest_seconds:
        raise refusal(
            where("teacher"),
            f"student_seconds is {teacher.student_seconds}, "
            f"longer than the crop of {settings.crops.shortest_seconds} s that it is a part of",
        )
    return settings


def _where(
    path: Path,
    augmentation: Path | None,
    phase: Phase | None,
    overridden: Collection[str],
    section: str,
) -> str:
    """File, phase and section, and whether --override changes it, for messages."""
    place = f"{path}: {phase.title}: {section}" if phase else f"{path}: {section}"
    if section == "augmentation" and augmentation:
        place = str(augmentation)
    if any(name in overridden for name in section.split(", ")):
        place += WITH_OVERRIDE
    return place
