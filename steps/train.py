"""Train an embedding network.

    python -m steps.train data/packed_16000/train data/packed_16000/dev conf/ghostvlad_cpu.yaml exp/ghostvlad_cpu --bank data/packed_16000/bank

The same command goes on where a killed one stopped, mid-epoch, to the same weights.  Several processes: `torchrun --nproc-per-node N -m steps.train`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.config import first_difference
from utils.embeddings.inputs import network_inputs, takes_features
from utils.errors import UserError
from utils.files import read_json_object
from utils.receipts import Task
from utils.training.experiment import BEGUN, begin_experiment, write_first_weights
from utils.training.precision import begun_precision, settle_precision
from utils.training.settings import Settings, read_phases

if TYPE_CHECKING:
    from utils.training.objective import Objective
    from utils.training.sampling import CropDataset

FORMAT = 1
LISTS = ("wav.scp", "utt2spk", "utt2num_samples")
NO_DEV = Path("none")
LEAVES = (
    ".old.tmp",
    "begun.json",
    "config.yaml",
    "checkpoints/*",
    "log/history.jsonl",
    "tensorboard/*",
)  # of an unfinished training too


def train(
    train_data: Path,
    dev_data: Path,
    config: Path,
    output: Path,
    *,
    bank: Path | None = None,
    augmentation: Path | None = None,
    seed: int = 1,
    steps: int | None = None,
    device: Literal["cpu", "cuda"] = "cpu",
    num_threads: int = 2,
    num_workers: int = 0,
    root: Path | None = None,
) -> dict:
    """Train the network that a YAML describes, from the beginning or from its newest checkpoint.

    Parameters
    ----------
    train_data : path
        Packed data directory of the training speakers; one with feats.scp for a network whose front end is ``precomputed``.
    dev_data : path
        Such a directory with the trials that validation scores; never the test set.  The word ``none``: nothing is validated.
    config : path
        YAML with the sections model, loss, optimizer, schedule, crops, augmentation, training, and where they apply teacher and phases.
        Networks: rawnet, rawnet_pretraining, rawnet_port, rawnet2, rawnet2_modified, rawnet3, mr_rawnet, ge2e_lstm, deep_speaker,
        deep_speaker_gru, ghostvlad, ecapa, resnet34.  Losses: softmax, am_softmax, aam_softmax, center, triplet, ge2e, prototypical,
        angular_prototypical, weighted_sum.
    output : path
        Experiment folder.
    bank : path or None
        Noise and room bank made by steps.augment; needed where the YAML's augmentation uses it.
    augmentation : path or None
        YAML of how to augment (conf/augmentation/), instead of the section of that name.
    seed : int
        Of the first weights and of every draw; 0 or more.
    steps : int or None
        Length of the training, and of each phase, instead of the YAML's.
    device : str
        ``cpu`` or ``cuda``.  Like the number of processes it is no part of what makes an experiment: a finished one stays done on another machine.
    num_threads : int
        Threads of the computation; fixed, since sums depend on it.
    num_workers : int
        Processes that make crops; 0: this one.
    root : path or None
        Folder that relative paths in feats.scp start from (a network whose front end is ``precomputed``).

    Returns
    -------
    dict
        Steps, draws, classes, utterances, processes and device.

    Raises
    ------
    UserError
        The YAML is wrong, the folder holds an experiment of another configuration, or the data do not fit.
    """
    phases = read_phases(config, steps, augmentation)
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    options, counts, before = (
        {"seed": seed, "steps": steps, "num_threads": num_threads, "root": root},
        {},
        None,
    )
    for settings in phases:
        model, home = settings.sections["model"], settings.folder(output)
        if takes_features(model) and settings.sections.get("augmentation"):
            raise UserError(
                f"{settings.where('augmentation')}: it is for waveforms, and this network is fed from feats.scp; take the section out "
                "(spec_augment of the network is for features), or augment copies before the features are made"
            )
        data = {
            f"train/{name}": path
            for name, path in network_inputs(train_data, model, *LISTS).items()
        }
        if dev_data != NO_DEV:
            data |= {
                f"dev/{name}": path
                for name, path in network_inputs(
                    dev_data, model, *LISTS, others=("trials",)
                ).items()
            }
        data |= (
            {"bank": bank / "receipts" / "augment.json"}
            if bank and settings.augmentation.uses_bank
            else {}
        )
        data |= {"augmentation": augmentation} if augmentation else {}
        earlier = {"previous": before, "teacher": settings.teacher_folder(before)}
        data |= {
            name: folder / "receipts" / "train.json" for name, folder in earlier.items() if folder
        }
        if settings.auto_precision:
            settings.set_precision(begun_precision(home) or "auto")
        is_last = (
            home == output
        )  # an earlier phase is done whatever becomes of the later ones' sections
        task = Task(
            home,
            "train",
            format=FORMAT,
            inputs=data | ({"config": config} if is_last else {}),
            dear=True,
            options=options if is_last else options | settings.sections,
            leaves=LEAVES,
            says_the_same={
                "config": lambda _, settings=settings, home=home: began_with(settings, home)
            },
        )
        if task.is_done():
            counts = task.counts
        else:
            counts = train_phase(
                settings,
                task,
                data,
                train_data,
                dev_data,
                bank,
                seed,
                device,
                num_threads,
                num_workers,
                root,
                before,
            )
        before = home
    return counts


def train_phase(
    settings: Settings,
    task: Task,
    data: dict[str, Path],
    train_data: Path,
    dev_data: Path,
    bank: Path | None,
    seed: int,
    device: str,
    num_threads: int,
    num_workers: int,
    root: Path | None,
    before: Path | None,
) -> dict:
    """One training from its YAML to its receipt.

    Parameters
    ----------
    settings : Settings
        The YAML, or a phase of it.
    task : Task
        Its receipt, and its folder.
    data : dict
        What it depends on besides the YAML.
    train_data, dev_data, bank, seed, device, num_threads, num_workers, root
        As of `train`.
    before : path or None
        Folder of the phase before.

    Returns
    -------
    dict
        What was counted.
    """
    import torch

    from utils.torch_device import join_processes, rank_and_world, use_device
    from utils.training.setup import length_of_training
    from utils.training.trainer import Trainer

    use_device(device, num_threads)
    if not torch.distributed.is_initialized():
        join_processes(device)
    settle_precision(settings, task.home, device)
    if not settings.is_last:
        task.options["training"] = settings.sections["training"]
    torch.manual_seed(seed)
    objective, dataset, validate, facts = assemble(
        settings, train_data, dev_data, bank, seed, device, root, before
    )
    try:
        optimizer = settings.optimizer.make(objective)
    except ValueError as error:
        raise UserError(f"{settings.where('optimizer')}: {error}") from None
    total_steps, output = length_of_training(settings, dataset.epoch_size), task.home
    written = [output / BEGUN, output / "config.yaml"]
    if rank_and_world()[0] == 0:
        first_weights = facts.pop("first_weights")
        begin_experiment(
            output, resolved(settings, seed, dataset.num_speakers, train_data) | facts, data
        )
        written += write_first_weights(output, first_weights)
    trainer = Trainer(
        objective,
        optimizer,
        settings.schedule,
        dataset,
        batch_size=settings.crops.batch_size,
        total_steps=total_steps,
        options=settings.training,
        folder=output,
        validate=validate,
        clip_norm=settings.optimizer.clip_norm,
        num_workers=num_workers,
    )
    counts = trainer.run()
    if trainer.rank == 0:
        task.finish(
            [*written, output / "log" / "history.jsonl", *sorted(trainer.checkpoints.glob("*.pt"))],
            counts,
        )
    if trainer.world > 1:
        torch.distributed.barrier()  # a later phase begins with what rank 0 has written
    if trainer.world > 1 and settings.is_last:
        torch.distributed.destroy_process_group()
    return counts


def assemble(
    settings: Settings,
    train_data: Path,
    dev_data: Path,
    bank: Path | None,
    seed: int,
    device: str,
    root: Path | None,
    before: Path | None,
) -> tuple["Objective", "CropDataset", Callable | None, dict]:
    """Build every part, those that the YAML can spoil first, then those that open audio.

    Parameters
    ----------
    settings : Settings
        The YAML, or a phase of it.
    train_data, dev_data : path
        Packed data directories.
    bank : path or None
        Noise and room bank.
    seed : int
        Of every draw.
    device : str
        ``cpu`` or ``cuda``.
    root : path or None
        Folder that relative paths in feats.scp start from.
    before : path or None
        Folder of the phase before.

    Returns
    -------
    Objective, CropDataset, callable or None, dict
        Network and loss; crops; the validation, where there is one; what config.yaml has to say of first weights and teacher.
    """
    from steps.backends import BACKENDS
    from utils.data_dir import read_map
    from utils.embeddings.inputs import compare_features, made_features, open_inputs
    from utils.features.precomputed import Precomputed
    from utils.training.sampling import CropDataset, Untouched
    from utils.training.validation import dev_eer

    utt2spk = read_map(train_data / "utt2spk")
    label_of = {speaker: label for label, speaker in enumerate(sorted(set(utt2spk.values())))}
    labels, crops = [label_of[speaker] for speaker in utt2spk.values()], settings.crops
    objective, facts = build_objective(
        settings, len(label_of) * settings.augmentation.classes_per_speaker, before, device
    )
    network = objective.network
    try:
        order = crops.order(labels, seed)
    except ValueError as error:
        raise UserError(f"{settings.where('crops')}: {error}") from None
    if isinstance(network.front_end, Precomputed):
        if dev_data != NO_DEV:
            compare_features(dev_data, made_features(train_data), train_data)
        augment = Untouched()
    else:
        augment = settings.open_augmentation(bank, network.sample_rate_hz)
    keys, reader = open_inputs(train_data, network.front_end, root)
    if keys != list(utt2spk):
        raise UserError(
            f"{train_data}: wav.scp and utt2spk name different utterances; check it with python -m utils.data_dir validate"
        )
    dataset = CropDataset(
        reader,
        labels,
        crops.lengths(network.sample_rate_hz),
        augment,
        seed,
        order=order,
        batch_size=crops.batch_size,
        short_crops=crops.shorter_lengths(network.sample_rate_hz),
    )
    validate = (
        None
        if dev_data == NO_DEV
        else dev_eer(dev_data, network.front_end, BACKENDS["cosine"], root)
    )
    return objective.to(device), dataset, validate, facts


def build_objective(
    settings: Settings, num_classes: int, before: Path | None, device: str
) -> tuple["Objective", dict]:
    """Network and loss with their first weights, and the teacher, where there is one.

    Parameters
    ----------
    settings : Settings
        The YAML, or a phase of it.
    num_classes : int
        Speakers, each once per speed where that makes another speaker.
    before : path or None
        Folder of the phase before.
    device : str
        Where the teacher goes.

    Returns
    -------
    Objective, dict
        ``first_weights``: what was taken, new and left; and where there is a teacher, the digest of its network as ``teacher_weights``.

    Raises
    ------
    UserError
        The sections do not fit each other, or what comes before.
    """
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.config import build
    from utils.training.objective import Objective
    from utils.training.setup import first_weights, fits_crops, taught

    network = build(MODELS, settings.sections["model"], settings.where("model"))
    loss = build(
        LOSSES,
        settings.sections["loss"],
        settings.where("loss"),
        embedding_dim=network.embedding_dim,
        num_speakers=num_classes,
    )
    fits_crops(settings, network, loss)
    facts = {"first_weights": first_weights(settings, network, loss, before)}
    if not settings.teacher:
        return Objective(network, loss), facts
    objective, digest = taught(
        settings, network, loss, settings.teacher_folder(before), device, (MODELS, LOSSES)
    )
    return objective, facts | {"teacher_weights": digest}


def resolved(settings: Settings, seed: int, num_speakers: int, train_data: Path) -> dict:
    """What config.yaml says: every option, enough to rebuild the network.

    Parameters
    ----------
    settings : Settings
        The YAML.
    seed, num_speakers : int
        What is not in the YAML.
    train_data : path
        Where the network is fed from features: what made them, for `steps.extract` to compare.
    """
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.embeddings.inputs import made_features

    made = made_features(train_data) if takes_features(settings.sections["model"]) else None
    return (
        settings.resolved(MODELS, LOSSES)
        | {"num_speakers": num_speakers, "seed": seed}
        | ({"features": made} if made else {})
    )


def began_with(settings: Settings, folder: Path) -> bool:
    """Whether a training began with what the YAML says today, however it is written: values count, not comments or the order of lines.

    Parameters
    ----------
    settings : Settings
        Today's YAML, or a phase of it.
    folder : path
        Of the training.
    """
    if not (folder / BEGUN).exists():
        return False
    recorded = read_json_object(
        folder / BEGUN, mend="choose another --name, or move the folder away"
    )["config"]
    for section, options in settings.sections.items():
        for key, value in (options or {}).items():
            if not isinstance(value, dict | list) and recorded.get(section, {}).get(key) != value:
                return False  # known without the registries, which import torch
    from steps.losses import LOSSES
    from steps.models import MODELS

    now = settings.resolved(MODELS, LOSSES)
    return not first_difference({section: recorded.get(section) for section in now}, now)


if __name__ == "__main__":
    run(train)
