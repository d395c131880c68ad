r"""Train an embedding network.

    python -m steps.train data/packed_16000/train data/packed_16000/dev conf/ghostvlad_cpu.yaml \
        exp/ghostvlad_cpu --bank data/packed_16000/bank

The same command resumes a training that was killed, even within an epoch, and ends with the same
weights.  Several processes: `torchrun --nproc-per-node N -m steps.train`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.config import override_option
from utils.embeddings.inputs import network_inputs, takes_features
from utils.errors import UserError
from utils.pretrained import model_input, refuse_model
from utils.pretrained.planned import will_be_fetched
from utils.receipts import MODE, Task
from utils.training.experiment import (
    BEGUN,
    begin_experiment,
    has_inputs,
    write_first_weights,
)
from utils.training.planned import check_planned_training
from utils.training.precision import begun_precision, print_once, settle_precision
from utils.training.settings import (
    Settings,
    read_phases,
    refuse_to_augment_features,
    refuse_to_choose,
)
from utils.training.source import refuse_unusable
from utils.training.values import (
    began_with,
    input_values,
    option_values,
    progress_note,
)

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.features.base import FrontEnd
    from utils.features.reader import FeatureReader
    from utils.packed.reader import PackedReader
    from utils.training.objective import Objective
    from utils.training.sampling import CropDataset
    from utils.training.validation import DevTrials

FORMAT = 1
LISTS = ("wav.scp", "utt2spk", "utt2num_samples")
NO_DEV = Path("none")
LEFTOVER_PATTERNS = (
    ".old.tmp",
    "begun.json",
    "config.yaml",
    "checkpoints/*",
    "log/history.jsonl",
    "log/progress.json",
    "tensorboard/*",
)  # also of an unfinished training


def train(
    train_data: Path,
    dev_data: Path,
    config: Path,
    output: Path,
    *,
    bank: Path | None = None,
    augmentation: Path | None = None,
    override: str | None = None,
    centred_as: Path | None = None,
    seed: int = 1,
    steps: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 2,
    num_workers: int = 0,
    root: Path | None = None,
) -> dict:
    """Train the network that a YAML describes, from the start or from its newest checkpoint.

    Parameters
    ----------
    train_data : path
        Packed data directory of the training speakers; one with feats.scp for a network with the
        front end ``precomputed``.
    dev_data : path
        Such a directory of the dev speakers, with the trials for validation; never the test set.
        ``none``: no validation.
    config : path
        YAML with the sections model, loss, optimizer, schedule, crops, augmentation, training, and
        perhaps teacher and phases; or ``base: NAME`` of a YAML beside it, and what differs.
        conf/ has one of every system; steps/models/__init__.py and steps/losses/parts.py list the
        names of networks and losses.
    output : path
        Experiment folder.
    bank : path or None
        Noise bank made by steps.augment; needed if the augmentation uses it.
    augmentation : path or None
        Augmentation policy (conf/augmentation/), instead of the section of that name.
    override : str or None
        Values instead of the YAML's: ``optimizer.learning_rate=1e-3,loss.margin=0.3``.  They
        replace its values as a YAML based on it would; ``null`` stands for the default.  Of a YAML
        with phases, ``loss.margin`` changes all of them and ``phases.NAME.loss.margin`` one.
    centred_as : path or None
        YAML of a back end, or folder of a trained one: validation subtracts a mean if that one
        does; None: it does.  The mean is that of at most 2,000 random training utterances.  Like
        ``device``, the option does not make another experiment.
    seed : int
        Seed of the first weights and of all random draws; 0 or more.
    steps : int or None
        Length of the training, and of each phase, instead of the YAML's.
    device : str
        ``cpu`` or ``cuda``.  Device and number of processes do not make another experiment: a
        finished one stays done on another machine.  With BatchNorm, the number of processes
        changes the network: each process normalises by its own share of the batch, and the receipt
        says so.
    num_threads : int
        Threads of the computation; a fixed number, since sums depend on it.
    num_workers : int
        Processes that make crops; 0: this one.
    root : path or None
        Folder of relative paths in feats.scp (front end ``precomputed``).

    Returns
    -------
    dict
        Steps, draws, classes, utterances, processes, device and the network's parameters.

    Raises
    ------
    UserError
        The YAML is wrong, the folder holds another experiment, or the data do not fit.
    """
    refuse_model(output)
    phases = read_phases(config, steps, augmentation, override)
    refuse_to_choose(phases, dev_data != NO_DEV)
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    arguments = Arguments(
        train_data=train_data,
        dev_data=dev_data,
        bank=bank,
        augmentation=augmentation,
        override=override,
        centred_as=centred_as,
        root=root,
        seed=seed,
        steps=steps,
        device=device,
        num_threads=num_threads,
        num_workers=num_workers,
    )
    counts: dict = {}
    before: Path | None = None
    print_once.cache_clear()
    auto_folders: list[Path] = []  # of this phase and earlier ones, if they say precision: auto
    for number, settings in enumerate(phases):
        refuse_to_augment_features(settings)
        settings.find_source(output)
        home = settings.folder(output)
        keeps_status = MODE.checking and (home / "receipts" / "train.json").exists()
        if settings.source and not keeps_status and not will_be_fetched(settings.source):
            refuse_unusable(settings.source, settings.where("start_from"))
        inputs = _inputs(settings, arguments, before)
        if settings.auto_precision:
            auto_folders.insert(0, home)
            settings.set_precision(begun_precision(auto_folders) or "auto")
        task = _task(settings, arguments, home, inputs, phases, output)
        check_planned_training(task, phases[number:], train_data, bank, seed, registries)
        if task.is_done():
            counts = task.counts
        else:
            _prepare_device(settings, task, inputs, auto_folders, arguments)
            counts = _train_phase(settings, task, inputs, arguments, before)
        before = home
    return counts


@dataclass(frozen=True)
class Arguments:
    """Options of the command line besides the YAML, the same for all phases; see `train`."""

    train_data: Path
    dev_data: Path
    bank: Path | None
    augmentation: Path | None
    override: str | None
    centred_as: Path | None
    root: Path | None
    seed: int
    steps: int | None
    device: Literal["cpu", "cuda"]
    num_threads: int
    num_workers: int

    @property
    def validates(self) -> bool:
        """Whether there are dev data."""
        return self.dev_data != NO_DEV


def _inputs(settings: Settings, arguments: Arguments, before: Path | None) -> dict[str, Path]:
    """The inputs of a training besides its YAML, by label."""
    model = settings.sections["model"]
    train_inputs = network_inputs(arguments.train_data, model, *LISTS)
    inputs = {f"train/{name}": path for name, path in train_inputs.items()}
    if arguments.validates:
        dev_inputs = network_inputs(arguments.dev_data, model, *LISTS, others=("trials",))
        inputs |= {f"dev/{name}": path for name, path in dev_inputs.items()}
    if arguments.bank and settings.augmentation.uses_bank:
        inputs["bank"] = arguments.bank / "receipts" / "augment.json"
    if arguments.augmentation:
        inputs["augmentation"] = arguments.augmentation
    earlier = {"previous": before, "teacher": settings.teacher_folder(before)}
    for name, folder in earlier.items():
        if folder:
            inputs[name] = folder / "receipts" / "train.json"
    if settings.source:
        inputs["start_from"] = model_input(settings.source)
    return inputs


def _task(
    settings: Settings,
    arguments: Arguments,
    home: Path,
    inputs: dict[str, Path],
    phases: Sequence[Settings],
    output: Path,
) -> Task:
    """The Task of a training in its folder; YAMLs are compared by their resolved values."""
    options: dict[str, object] = {
        "seed": arguments.seed,
        "steps": arguments.steps,
        "num_threads": arguments.num_threads,
        "root": arguments.root,
    }
    # an earlier phase depends on its own sections only
    if settings.is_last:
        inputs = inputs | {"config": settings.path}
        options |= override_option(arguments.override)
        values = input_values(phases, output, arguments.augmentation is not None, registries)
    else:
        options |= settings.sections
        values = option_values(settings, home, registries)
    return Task(
        home,
        "train",
        format=FORMAT,
        inputs=inputs,
        expensive=True,
        options=options,
        leftover_patterns=LEFTOVER_PATTERNS,
        values=values,
        describe_progress=partial(progress_note, settings, home),
    )


def _prepare_device(
    settings: Settings,
    task: Task,
    inputs: dict[str, Path],
    auto_folders: Sequence[Path],
    arguments: Arguments,
) -> None:
    """Set up the device, join the processes, and choose the precision.

    Comes after `Task.is_done`, which moves aside what --force starts again.
    """
    import torch

    from utils.torch_device import join_processes, use_device

    use_device(arguments.device, arguments.num_threads)
    if not torch.distributed.is_initialized():
        join_processes(arguments.device)
    folders = list(auto_folders)
    if os.environ.get("SV_FORCE") == "1" and not _resumes(settings, task.home, inputs):
        folders = [folder for folder in folders if folder != task.home]
    settle_precision(settings, begun_precision(folders), arguments.device)
    if not settings.is_last:
        task.options["training"] = settings.sections["training"]


def _resumes(settings: Settings, folder: Path, inputs: dict[str, Path]) -> bool:
    """Whether a folder's training has these values and inputs, and resumes even with --force."""
    return began_with(settings, folder, registries) and has_inputs(folder, inputs)


def _train_phase(
    settings: Settings,
    task: Task,
    inputs: dict[str, Path],
    arguments: Arguments,
    before: Path | None,
) -> dict:
    """One training from its YAML to its receipt."""
    import torch

    from utils.torch_device import rank_and_world
    from utils.training.setup import length_of_training, make_optimizer
    from utils.training.trainer import Trainer

    output = task.home
    torch.manual_seed(arguments.seed)
    parts = assemble(settings, arguments, before)
    optimizer = make_optimizer(settings, parts.objective)
    total_steps = length_of_training(settings, parts.dataset.epoch_size)
    written = [output / BEGUN, output / "config.yaml"]
    if rank_and_world()[0] == 0:
        num_speakers = parts.dataset.num_speakers
        config = _resolved(settings, arguments.seed, num_speakers, arguments.train_data)
        begin_experiment(output, config | parts.facts, inputs)
        written += write_first_weights(output, parts.first_weights)
    trainer = Trainer(
        parts.objective,
        optimizer,
        settings.schedule,
        parts.dataset,
        batch_size=settings.crops.rows_per_batch,
        total_steps=total_steps,
        options=settings.training,
        folder=output,
        validate=parts.validate,
        clip_norm=settings.optimizer.clip_norm,
        num_workers=arguments.num_workers,
    )
    counts = trainer.run()
    if trainer.rank == 0:
        written += [output / "log" / "history.jsonl", *sorted(trainer.checkpoints.glob("*.pt"))]
        task.finish(written, counts)
    if trainer.world > 1:
        torch.distributed.barrier()  # the next phase reads what rank 0 has written
    if trainer.world > 1 and settings.is_last:
        torch.distributed.destroy_process_group()
    return counts


@dataclass(frozen=True)
class Parts:
    """The parts of a training."""

    objective: "Objective"  # on the device
    dataset: "CropDataset"
    validate: "Callable[[EmbeddingNetwork], dict[str, float]] | None"  # network -> its dev EER
    first_weights: dict[str, dict]  # see utils.training.setup.first_weights
    facts: dict[str, str]  # for config.yaml, besides the options


def assemble(settings: Settings, arguments: Arguments, before: Path | None) -> Parts:
    """Build every part: first those that show faults of the YAML, then those that open audio."""
    from utils.data_dir import read_map
    from utils.embeddings.inputs import open_inputs
    from utils.training.fine_tuning import TrainingSet, start
    from utils.training.sampling import CropDataset
    from utils.training.setup import freeze, open_augmentation

    train_data, crops = arguments.train_data, settings.crops
    utt2spk = read_map(train_data / "utt2spk")
    speakers = sorted(set(utt2spk.values()))
    label_by_speaker = {speaker: label for label, speaker in enumerate(speakers)}
    labels = [label_by_speaker[speaker] for speaker in utt2spk.values()]
    objective, weights, facts = _objective(settings, len(speakers), before, arguments.device)
    network = objective.network
    try:
        order = crops.order(labels, arguments.seed)
    except ValueError as error:
        raise UserError(f"{settings.where('crops')}: {error}") from None
    dev_data = arguments.dev_data if arguments.validates else None
    augment = open_augmentation(settings, network, train_data, dev_data, arguments.bank)
    keys, reader = open_inputs(train_data, network.front_end, arguments.root)
    if keys != list(utt2spk):
        raise UserError(
            f"{train_data}: wav.scp and utt2spk name different utterances; "
            "check it with python -m utils.data_dir validate"
        )
    objective.to(arguments.device)
    freeze(settings, objective, len(speakers))
    if settings.source:
        training_set = TrainingSet(train_data, reader, speakers, labels)
        weights = start(settings, objective, training_set, registries()[0])
    dataset = CropDataset(
        reader,
        labels,
        crops.lengths(network.sample_rate_hz),
        augment,
        arguments.seed,
        order=order,
        batch_size=crops.rows_per_batch,
        short_crops=crops.shorter_lengths(network.sample_rate_hz),
    )
    validate = None
    if arguments.validates and objective.trains_network():
        validate = _validation(arguments, network.front_end, keys, reader)
    return Parts(objective, dataset, validate, weights, facts)


def _validation(
    arguments: Arguments,
    front_end: "FrontEnd",
    keys: list[str],
    reader: "PackedReader | FeatureReader",
) -> "DevTrials":
    """The EER of the dev trials, centred by random training utterances if the back end is."""
    from steps.backends import BACKENDS, FAMILIES
    from utils.scoring.centring import takes_mean
    from utils.training.validation import DevTrials, draw_centre

    centre = None
    if arguments.centred_as is None or takes_mean(arguments.centred_as, FAMILIES):
        centre = draw_centre(keys, reader, arguments.seed)
    return DevTrials(arguments.dev_data, front_end, BACKENDS["cosine"], centre, arguments.root)


def _objective(
    settings: Settings, num_speakers: int, before: Path | None, device: str
) -> tuple["Objective", dict[str, dict], dict[str, str]]:
    """Network and loss with their first weights, and the teacher if there is one."""
    from utils.training.setup import add_teacher, build_objective, first_weights

    objective = build_objective(settings, num_speakers, registries())
    network, loss = objective.network, objective.loss
    weights = first_weights(settings, network, loss, before)
    teacher = settings.teacher_folder(before)
    if teacher is None:
        return objective, weights, {}
    student, digest = add_teacher(settings, network, loss, teacher, device, registries())
    return student, weights, {"teacher_weights": digest}


def _resolved(settings: Settings, seed: int, num_speakers: int, train_data: Path) -> dict:
    """The content of config.yaml: every option, enough to rebuild the network."""
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.embeddings.inputs import made_features

    config = settings.resolved(MODELS, LOSSES) | {"num_speakers": num_speakers, "seed": seed}
    if takes_features(settings.sections["model"]):
        features = made_features(train_data)
        if features:
            config["features"] = features
    return config


def registries() -> tuple[Mapping[str, type], Mapping[str, type]]:
    """The registries of networks and losses, which import torch."""
    from steps.losses import LOSSES
    from steps.models import MODELS

    return MODELS, LOSSES


if __name__ == "__main__":
    run(train)
