"""Train an embedding network.

    python -m steps.train data/packed_16000/train data/packed_16000/dev conf/ghostvlad_cpu.yaml exp/ghostvlad_cpu --bank data/packed_16000/bank

The same command goes on where a killed one stopped, mid-epoch, to the same weights.  Several processes: `torchrun --nproc-per-node N -m steps.train`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.errors import UserError
from utils.network_inputs import network_inputs, takes_features
from utils.receipts import Task
from utils.training_settings import Settings, read_settings

if TYPE_CHECKING:
    import torch

    from utils.features import FrontEnd
    from utils.sampling import CropDataset
    from utils.trainer import Objective

FORMAT = 1
LISTS = ("wav.scp", "utt2spk", "utt2num_samples")


def train(train_data: Path, dev_data: Path, config: Path, output: Path, *, bank: Path | None = None, augmentation: Path | None = None, seed: int = 1,
          steps: int | None = None, device: Literal["cpu", "cuda"] = "cpu", num_threads: int = 2, num_workers: int = 0,
          root: Path | None = None) -> dict:
    """Train the network that a YAML describes, from the beginning or from its newest checkpoint.

    Parameters
    ----------
    train_data : path
        Packed data directory of the training speakers; one with feats.scp for a network whose front end is ``precomputed``.
    dev_data : path
        Such a directory with the trials that validation scores; never the test set.
    config : path
        YAML with the sections model, loss, optimizer, schedule, crops, augmentation and training.
    output : path
        Experiment folder.
    bank : path or None
        Noise and room bank made by steps.augment; needed where the YAML's augmentation uses it.
    augmentation : path or None
        YAML of how to augment (conf/augmentation/), instead of the section of that name.
    seed : int
        Of the first weights and of every draw; 0 or more.
    steps : int or None
        Length of the training instead of the YAML's.
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
    settings = read_settings(config, steps, augmentation)
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    model = settings.sections["model"]
    if takes_features(model) and settings.sections.get("augmentation"):
        raise UserError(f"{settings.where('augmentation')}: it is for waveforms, and this network is fed from feats.scp; take the section out "
                        "(spec_augment of the network is for features), or augment copies before the features are made")
    data = {f"train/{name}": path for name, path in network_inputs(train_data, model, *LISTS).items()}
    data |= {f"dev/{name}": path for name, path in network_inputs(dev_data, model, *LISTS, others=("trials",)).items()}
    data |= {"bank": bank / "receipts" / "augment.json"} if bank and settings.augmentation.uses_bank else {}
    data |= {"augmentation": augmentation} if augmentation else {}
    task = Task(output, "train", format=FORMAT, inputs=data | {"config": config}, dear=True,
                options={"seed": seed, "steps": steps, "num_threads": num_threads, "root": root})
    if task.is_done():
        return task.counts
    import torch

    from utils.experiment import BEGUN, begin_experiment
    from utils.processes import join_processes, rank_and_world, use_device
    from utils.trainer import Trainer

    use_device(device, num_threads)
    join_processes(device)
    torch.manual_seed(seed)
    objective, dataset, validate = assemble(settings, train_data, dev_data, bank, seed, device, root)
    total_steps = length_of_training(settings, dataset.epoch_size)
    if rank_and_world()[0] == 0:
        begin_experiment(output, resolved(settings, seed, dataset.num_speakers, train_data), data)
    trainer = Trainer(objective, settings.optimizer.make(objective), settings.schedule, dataset, batch_size=settings.crops.batch_size,
                      total_steps=total_steps, options=settings.training, folder=output, validate=validate, clip_norm=settings.optimizer.clip_norm,
                      num_workers=num_workers)
    counts = trainer.run()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if trainer.rank:
        return counts
    written = [output / BEGUN, output / "config.yaml", output / "log" / "history.jsonl", *sorted(trainer.checkpoints.glob("*.pt"))]
    return task.finish(written, counts)


def assemble(settings: Settings, train_data: Path, dev_data: Path, bank: Path | None, seed: int, device: str,
             root: Path | None) -> tuple["Objective", "CropDataset", Callable]:
    """Build every part, those that the YAML can spoil first, then those that open audio.

    Parameters
    ----------
    settings : Settings
        The YAML.
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

    Returns
    -------
    Objective, CropDataset, callable
        Network and loss; crops; the validation.
    """
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.config import build
    from utils.data_dir import read_map
    from utils.features import Precomputed
    from utils.network_inputs import compare_features, made_features, open_inputs
    from utils.sampling import CropDataset, Untouched
    from utils.trainer import Objective

    network = build(MODELS, settings.sections["model"], settings.where("model"))
    utt2spk = read_map(train_data / "utt2spk")
    label_of = {speaker: label for label, speaker in enumerate(sorted(set(utt2spk.values())))}
    loss = build(LOSSES, settings.sections["loss"], settings.where("loss"), embedding_dim=network.embedding_dim,
                 num_speakers=len(label_of) * settings.augmentation.classes_per_speaker)
    crop_samples = round(settings.crops.crop_seconds * network.sample_rate_hz)
    if crop_samples < network.min_samples:
        raise UserError(f"{settings.where('crops')}: crop_seconds {settings.crops.crop_seconds} are {crop_samples} samples; "
                        f"this network takes {network.min_samples} or more")
    if isinstance(network.front_end, Precomputed):
        compare_features(dev_data, made_features(train_data), train_data)
        augment = Untouched()
    else:
        augment = settings.open_augmentation(bank, network.sample_rate_hz)
    keys, reader = open_inputs(train_data, network.front_end, root)
    if keys != list(utt2spk):
        raise UserError(f"{train_data}: wav.scp and utt2spk name different utterances; check it with python -m utils.data_dir validate")
    dataset = CropDataset(reader, [label_of[speaker] for speaker in utt2spk.values()], crop_samples, augment, seed)
    return Objective(network, loss).to(device), dataset, dev_eer(dev_data, network.front_end, root)


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
    from utils.network_inputs import made_features

    made = made_features(train_data) if takes_features(settings.sections["model"]) else None
    return settings.resolved(MODELS, LOSSES) | {"num_speakers": num_speakers, "seed": seed} | ({"features": made} if made else {})


def length_of_training(settings: Settings, epoch_size: int) -> int:
    """Number of steps.

    Parameters
    ----------
    settings : Settings
        The YAML.
    epoch_size : int
        Utterances.

    Raises
    ------
    UserError
        Not one step, or batches that the processes cannot share evenly.
    """
    from utils.processes import rank_and_world

    batch_size, world = settings.crops.batch_size, rank_and_world()[1]
    if batch_size % world or batch_size < 2 * world:
        raise UserError(f"{settings.where('crops')}: batch_size {batch_size} gives {world} processes no equal shares of 2 or more")
    try:
        return settings.training.total_steps(epoch_size, batch_size)
    except ValueError as error:
        raise UserError(f"{settings.where('training')}: {error}") from None


def dev_eer(dev_data: Path, front_end: "FrontEnd", root: Path | None = None) -> "Callable[[torch.nn.Module], float]":
    """A function of the network: its EER in percent on the dev trials, by cosine after subtraction of the dev mean.

    Parameters
    ----------
    dev_data : path
        Data directory with trials.
    front_end : FrontEnd
        That of the network.
    root : path or None
        Folder that relative paths in feats.scp start from.

    Raises
    ------
    UserError
        A trial names an utterance that is not there.
    """
    import numpy as np

    from steps.backends import BACKENDS
    from utils.data_dir import read_trials
    from utils.inference import embed_utterances
    from utils.metrics import equal_error_rate
    from utils.network_inputs import open_inputs
    from utils.processes import rank_and_world, sum_over_processes

    enrol, test, is_target = read_trials(dev_data / "trials")
    keys, reader = open_inputs(dev_data, front_end, root)
    place = {key: row for row, key in enumerate(keys)}
    for line, sides in enumerate(zip(enrol, test, strict=True), start=1):
        if absent := [key for key in sides if key not in place]:
            raise UserError(f"{dev_data}/trials:{line}: '{absent[0]}' is not in {dev_data}/wav.scp; validation wants every side of the dev trials")
    enrol_rows, test_rows = ([place[key] for key in side] for side in (enrol, test))

    def validate(network) -> float:
        embeddings = embed_utterances(network, reader, range(len(keys)), share=rank_and_world())
        embeddings = sum_over_processes(embeddings, next(network.parameters()).device)
        if not np.isfinite(embeddings).all():
            raise UserError(f"{dev_data}: the network's embeddings are not finite; lower optimizer.learning_rate, or train in fp32")
        backend = BACKENDS["cosine"]().fit(embeddings)
        unit = backend.transform(embeddings)
        scores = np.nan_to_num(backend.score(unit[enrol_rows], unit[test_rows]))  # a row that is the mean itself has no direction: 0
        return 100 * equal_error_rate(scores[is_target], scores[~is_target])

    return validate


if __name__ == "__main__":
    run(train)
