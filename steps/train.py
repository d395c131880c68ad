"""Train an embedding network.

    python -m steps.train data/full/packed_16000/train data/full/packed_16000/dev conf/ghostvlad_cpu.yaml exp/ghostvlad_cpu --bank data/full/packed_16000/bank

The same command goes on where a killed one stopped, mid-epoch, to the same weights.  Several processes: `torchrun --nproc-per-node N -m steps.train ...`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from utils.cli import run
from utils.config import check_options, read_yaml
from utils.errors import UserError
from utils.files import atomic_write, sha256_of
from utils.receipts import Task, data_dir_inputs

FORMAT = 1
SECTIONS = ("model", "loss", "optimizer", "schedule", "crops", "augmentation", "training")
LISTS = ("wav.scp", "utt2spk", "utt2dur")


def train(train_data: Path, dev_data: Path, config: Path, output: Path, *, bank: Path | None = None, seed: int = 1, steps: int | None = None,
          device: str = "cpu", num_threads: int = 2, num_workers: int = 0) -> dict:
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
        Of the first weights and of every draw.
    steps : int or None
        Length of the training instead of the YAML's.
    device : str
        ``cpu`` or ``cuda``.
    num_threads : int
        Threads of the computation; fixed, since sums depend on it.
    num_workers : int
        Processes that make crops; 0: this one.

    Returns
    -------
    dict
        Steps, draws, classes and utterances.

    Raises
    ------
    UserError
        The YAML is wrong, the folder holds an experiment of another configuration, or the data do not fit.
    """
    inputs = {f"train/{name}": path for name, path in data_dir_inputs(train_data, *LISTS).items()}
    inputs |= {f"dev/{name}": path for name, path in data_dir_inputs(dev_data, "wav.scp", "trials").items()}
    inputs |= {"config": config} | ({"bank": bank / "receipts" / "augment.json"} if bank else {})
    task = Task(output, "train", format=FORMAT, inputs=inputs, dear=True, options={
        "seed": seed, "steps": steps, "device": device, "num_threads": num_threads, "processes": int(os.environ.get("WORLD_SIZE", 1))})
    if task.is_done():
        return task.counts
    import torch

    torch.set_num_threads(num_threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(device == "cpu")
    rank = start_processes(device)
    settings = read_settings(config, steps)
    trainer, resolved = assemble(settings, config, train_data, dev_data, output, bank, seed, device, num_workers)
    if rank == 0:
        keep_config(output / "config.yaml", resolved)
    counts = trainer.run()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if rank:
        return counts
    kept = [output / "config.yaml", output / "log" / "history.jsonl", *sorted((output / "checkpoints").glob("*.pt"))]
    return task.finish(kept, counts)


def start_processes(device: str) -> int:
    """Join the processes that torchrun started; returns this one's rank."""
    import torch

    if "WORLD_SIZE" not in os.environ:
        return 0
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    return torch.distributed.get_rank()


def read_settings(config: Path, steps: int | None = None) -> dict:
    """The sections of a YAML, with names checked."""
    settings = read_yaml(config)
    check_options(sections, settings, str(config))
    if steps is not None:
        settings["training"] = {key: value for key, value in (settings.get("training") or {}).items() if key != "epochs"} | {"steps": steps}
    return settings


def sections(*, model: dict, loss: dict, optimizer: dict, schedule: dict, crops: dict, augmentation: dict | None = None, training: dict) -> None:
    """What a training YAML may hold; only the signature is used."""


@dataclass
class CropOptions:
    """The `crops:` section.

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


def assemble(settings, config, train_data, dev_data, output, bank, seed, device, num_workers):
    """Build every part before the first audio file is opened: the trainer, and the resolved configuration."""
    from steps.losses import LOSSES
    from steps.models import MODELS
    from utils.augmentation import Augmenter
    from utils.config import build, make, resolved_options
    from utils.data_dir import read_map
    from utils.inference import open_packed
    from utils.sampling import CropDataset
    from utils.schedules import SCHEDULES
    from utils.trainer import Objective, Trainer, TrainingOptions

    def where(section):
        return f"{config}: {section}"

    crops = make(CropOptions, settings["crops"], where("crops"))
    options = make(TrainingOptions, settings["training"], where("training"))
    schedule = build(SCHEDULES, settings["schedule"], where("schedule"))
    network = build(MODELS, settings["model"], where("model"))
    augment = make(Augmenter, settings.get("augmentation"), where("augmentation"), bank=bank, sample_rate_hz=network.sample_rate_hz)
    utt2spk = read_map(train_data / "utt2spk")
    speakers = {speaker: label for label, speaker in enumerate(sorted(set(utt2spk.values())))}
    classes = len(speakers) * len(augment.speed_factors)
    loss = build(LOSSES, settings["loss"], where("loss"), embedding_dim=network.embedding_dim, num_speakers=classes)
    crop_samples = round(crops.crop_seconds * network.sample_rate_hz)
    if crop_samples < network.min_samples:
        raise UserError(f"{where('crops')}: crop_seconds {crops.crop_seconds} are {crop_samples} samples; this network takes {network.min_samples} or more")
    objective = Objective(network, loss).to(device)
    optimizer, clip_norm = build(OPTIMIZERS, settings["optimizer"], where("optimizer"), objective=objective)
    keys, reader = open_packed(train_data, network.sample_rate_hz)
    dataset = CropDataset(reader, [speakers[utt2spk[key]] for key in keys], crop_samples, augment, seed)
    trainer = Trainer(objective, optimizer, schedule, dataset, batch_size=crops.batch_size, options=options, folder=output, clip_norm=clip_norm,
                      validate=dev_eer(dev_data, network.sample_rate_hz), num_workers=num_workers)
    parts = {"model": MODELS, "loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "crops": CropOptions, "augmentation": Augmenter,
             "training": TrainingOptions}
    resolved = {name: resolved_options(part, settings.get(name), ("objective", "bank", "sample_rate_hz")) for name, part in parts.items()}
    return trainer, resolved | {"num_speakers": len(speakers), "seed": seed, "speakers_sha256": sha256_of(train_data / "spk2utt")}


def dev_eer(dev_data: Path, sample_rate_hz: int):
    """A function of the network: its EER in percent on the dev trials, by cosine after subtraction of the dev mean."""
    from steps.backends import BACKENDS
    from utils.data_dir import read_trials
    from utils.inference import embed_utterances, open_packed
    from utils.metrics import equal_error_rate

    keys, reader = open_packed(dev_data, sample_rate_hz)
    enrol, test, is_target = read_trials(dev_data / "trials")
    place = {key: row for row, key in enumerate(keys)}
    rows = [[place[key] for key in side] for side in (enrol, test)]

    def validate(network) -> float:
        embeddings = embed_utterances(network, reader, range(len(keys)))
        backend = BACKENDS["cosine"]().fit(embeddings, None)
        scores = backend.score(embeddings[rows[0]], embeddings[rows[1]])
        return 100 * equal_error_rate(scores[is_target], scores[~is_target])

    return validate


def keep_config(path: Path, resolved: dict) -> None:
    """Write the resolved configuration, or refuse to train over another one's experiment."""
    import yaml

    text = yaml.safe_dump(resolved, sort_keys=False)
    if path.exists() and path.read_text() != text and os.environ.get("SV_FORCE") != "1":
        raise UserError(f"{path}: this unfinished experiment has another configuration; choose another --name, or remove {path.parent}")
    with atomic_write(path) as file:
        file.write(text)


def adam(*, objective, learning_rate: float = 1e-3, weight_decay: float = 0.0, clip_norm: float | None = None):
    """Adam; weight decay is L2 on every weight but those of norms and biases."""
    import torch

    return torch.optim.Adam(parameter_groups(objective, weight_decay), lr=learning_rate), clip_norm


def adamw(*, objective, learning_rate: float = 1e-3, weight_decay: float = 1e-2, clip_norm: float | None = None):
    """AdamW: Adam with decoupled weight decay, not on norms and biases."""
    import torch

    return torch.optim.AdamW(parameter_groups(objective, weight_decay), lr=learning_rate), clip_norm


def sgd(*, objective, learning_rate: float = 0.1, momentum: float = 0.9, weight_decay: float = 0.0, clip_norm: float | None = None):
    """SGD with Nesterov momentum."""
    import torch

    return torch.optim.SGD(parameter_groups(objective, weight_decay), lr=learning_rate, momentum=momentum, nesterov=momentum > 0), clip_norm


OPTIMIZERS = {"adam": adam, "adamw": adamw, "sgd": sgd}


def parameter_groups(objective, weight_decay: float) -> list[dict]:
    """Weights with decay; norms and biases (one-dimensional) without."""
    weights = [parameter for parameter in objective.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in objective.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


if __name__ == "__main__":
    run(train)
