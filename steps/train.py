"""Train an embedding network.

    python -m steps.train data/packed_16000/train data/packed_16000/dev conf/ghostvlad_cpu.yaml exp/ghostvlad_cpu --bank data/packed_16000/bank

The same command goes on where a killed one stopped, mid-epoch, to the same weights.  Several processes: `torchrun --nproc-per-node N -m steps.train`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.cli import run
from utils.errors import UserError
from utils.receipts import Task, data_dir_inputs
from utils.training_settings import Settings, read_settings

if TYPE_CHECKING:
    import torch

    from utils.sampling import CropDataset
    from utils.trainer import Objective

FORMAT = 1
LISTS = ("wav.scp", "utt2spk", "utt2num_samples")


def train(train_data: Path, dev_data: Path, config: Path, output: Path, *, bank: Path | None = None, seed: int = 1, steps: int | None = None,
          device: Literal["cpu", "cuda"] = "cpu", num_threads: int = 2, num_workers: int = 0) -> dict:
    """Train the network that a YAML describes, from the beginning or from its newest checkpoint.

    Parameters
    ----------
    train_data : path
        Packed data directory of the training speakers.
    dev_data : path
        Packed data directory with the trials that validation scores; never the test set.
    config : path
        YAML with the sections model, loss, optimizer, schedule, crops, augmentation and training.
    output : path
        Experiment folder.
    bank : path or None
        Noise and room bank made by steps.augment; needed where the YAML's augmentation uses it.
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

    Returns
    -------
    dict
        Steps, draws, classes, utterances, processes and device.

    Raises
    ------
    UserError
        The YAML is wrong, the folder holds an experiment of another configuration, or the data do not fit.
    """
    settings = read_settings(config, steps)
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    data = {f"train/{name}": path for name, path in data_dir_inputs(train_data, *LISTS).items()}
    data |= {f"dev/{name}": path for name, path in data_dir_inputs(dev_data, *LISTS, "trials").items()}
    data |= {"bank": bank / "receipts" / "augment.json"} if bank and settings.uses_bank else {}
    task = Task(output, "train", format=FORMAT, inputs=data | {"config": config}, dear=True,
                options={"seed": seed, "steps": steps, "num_threads": num_threads})
    if task.is_done():
        return task.counts
    import torch

    from utils.experiment import BEGUN, begin_experiment
    from utils.processes import join_processes, rank_and_world, use_device
    from utils.trainer import Trainer

    use_device(device, num_threads)
    join_processes(device)
    torch.manual_seed(seed)
    objective, dataset, validate = assemble(settings, train_data, dev_data, bank, seed, device)
    total_steps = length_of_training(settings, dataset.epoch_size)
    if rank_and_world()[0] == 0:
        begin_experiment(output, resolved(settings, seed, dataset.num_speakers), data)
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


def assemble(settings: Settings, train_data: Path, dev_data: Path, bank: Path | None, seed: int,
             device: str) -> tuple["Objective", "CropDataset", Callable]:
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

    Returns
    -------
    Objective, CropDataset, callable
        Network and loss; crops; the validation.
    """
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.augmentation import Augmenter
    from utils.config import build, make
    from utils.data_dir import read_map
    from utils.inference import open_packed
    from utils.sampling import CropDataset
    from utils.trainer import Objective

    network = build(MODELS, settings.sections["model"], settings.where("model"))
    utt2spk = read_map(train_data / "utt2spk")
    label_of = {speaker: label for label, speaker in enumerate(sorted(set(utt2spk.values())))}
    loss = build(LOSSES, settings.sections["loss"], settings.where("loss"), embedding_dim=network.embedding_dim,
                 num_speakers=len(label_of) * len(settings.augmentation["speed_factors"]))
    crop_samples = round(settings.crops.crop_seconds * network.sample_rate_hz)
    if crop_samples < network.min_samples:
        raise UserError(f"{settings.where('crops')}: crop_seconds {settings.crops.crop_seconds} are {crop_samples} samples; "
                        f"this network takes {network.min_samples} or more")
    augment = make(Augmenter, settings.sections.get("augmentation"), settings.where("augmentation"), bank=bank, sample_rate_hz=network.sample_rate_hz)
    keys, reader = open_packed(train_data, network.sample_rate_hz)
    if keys != list(utt2spk):
        raise UserError(f"{train_data}: wav.scp and utt2spk name different utterances; check it with python -m utils.data_dir validate")
    dataset = CropDataset(reader, [label_of[speaker] for speaker in utt2spk.values()], crop_samples, augment, seed)
    return Objective(network, loss).to(device), dataset, dev_eer(dev_data, network.sample_rate_hz)


def resolved(settings: Settings, seed: int, num_speakers: int) -> dict:
    """What config.yaml says: every option, enough to rebuild the network.

    Parameters
    ----------
    settings : Settings
        The YAML.
    seed, num_speakers : int
        What is not in the YAML.
    """
    from steps.losses import LOSSES
    from steps.models import MODELS

    return settings.resolved(MODELS, LOSSES) | {"num_speakers": num_speakers, "seed": seed}


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


def dev_eer(dev_data: Path, sample_rate_hz: int) -> "Callable[[torch.nn.Module], float]":
    """A function of the network: its EER in percent on the dev trials, by cosine after subtraction of the dev mean.

    Parameters
    ----------
    dev_data : path
        Packed data directory with trials.
    sample_rate_hz : int
        Rate that the network takes.

    Raises
    ------
    UserError
        A trial names an utterance that is not there.
    """
    import numpy as np

    from steps.backends import BACKENDS
    from utils.data_dir import read_trials
    from utils.inference import embed_utterances, open_packed
    from utils.metrics import equal_error_rate
    from utils.processes import rank_and_world, sum_over_processes

    enrol, test, is_target = read_trials(dev_data / "trials")
    keys, reader = open_packed(dev_data, sample_rate_hz)
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
