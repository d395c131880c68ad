"""The training loop: steps, checkpoints, validation, log.  Any network, any loss; which ones is steps/train.py's business.

Everything that a step depends on is the weights, the optimiser's state and the step's number, all three in the checkpoint: a run that was killed and
resumed ends with the same weights as an undisturbed one, bit for bit on a CPU.
"""

import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from utils.checkpoints import average_weights, checkpoint_path, load_newest, save_checkpoint, saved_steps
from utils.errors import UserError
from utils.files import atomic_write
from utils.sampling import DealtDraws

KEPT_CHECKPOINTS = 2  # the newest ones, beside step 0 and those that the average needs


@dataclass
class TrainingOptions:
    """The `training:` section of a YAML.

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
            raise ValueError("needs either steps or epochs")
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name} is {value}, expected 1 or more")


class Objective(nn.Module):
    """Network and loss as one module, so that gradients of both are averaged over the processes.

    Parameters
    ----------
    network, loss : torch.nn.Module
        Waveforms to embeddings; embeddings and labels to loss and logits.
    """

    def __init__(self, network: nn.Module, loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, waveforms_BS, lengths_B, labels_B, seeds_B):
        """Loss (mean over the batch) and number of utterances whose speaker has the highest logit."""
        embeddings_BE = self.network(waveforms_BS, lengths_B, seeds_B)
        with torch.autocast(embeddings_BE.device.type, enabled=False):
            return self.loss(embeddings_BE.float(), labels_B)


class Trainer:
    """Train an objective on the draws of a dataset.

    Parameters
    ----------
    objective : Objective
        On its device.
    optimizer : torch.optim.Optimizer
        Its learning rate is the schedule's peak.
    schedule : utils.schedules
        ``rate(progress)`` and ``margin(progress)``.
    dataset : utils.sampling.CropDataset
        Crops by draw index.
    batch_size : int
        Of the global batch.
    options : TrainingOptions
        The `training:` section.
    folder : path
        ``exp/<name>``.
    validate : callable
        Network -> EER in percent on the dev trials.
    clip_norm : float or None
        Largest norm of the gradient.
    num_workers : int
        Processes that make crops; 0: this one.
    """

    def __init__(self, objective: Objective, optimizer: torch.optim.Optimizer, schedule, dataset, *, batch_size: int, options: TrainingOptions,
                 folder: Path, validate: Callable[[nn.Module], float], clip_norm: float | None, num_workers: int):
        self.objective, self.optimizer, self.schedule, self.dataset = objective, optimizer, schedule, dataset
        self.batch_size, self.options, self.folder, self.validate = batch_size, options, Path(folder), validate
        self.clip_norm, self.num_workers = clip_norm, num_workers
        distributed = torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if distributed else 0
        self.world = torch.distributed.get_world_size() if distributed else 1
        self.device = next(objective.parameters()).device
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self.margin = getattr(objective.loss, "margin", None)
        self.total_steps = options.steps or options.epochs * dataset.epoch_size // batch_size
        self.step = 0
        self.stop_signal = None
        unused = bool(objective.network.without_gradient)
        self.model = DistributedDataParallel(objective, find_unused_parameters=unused) if distributed else objective

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    def run(self) -> dict:
        """Train to the end, from the newest checkpoint on; returns what was counted.

        Raises
        ------
        UserError
            The loss is not finite, or a signal asked to stop (the state is saved: the same command goes on).
        """
        self._restore()
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._note_signal)
        if self.step == 0 and self.rank == 0:
            self._save()
        loader = torch.utils.data.DataLoader(
            self.dataset, num_workers=self.num_workers,
            batch_sampler=DealtDraws(self.batch_size, self.rank, self.world, self.step, self.total_steps))
        with Log(self.folder, self.step, self.total_steps, active=self.rank == 0) as log:
            before = time.perf_counter()
            for batch in loader:
                waited = time.perf_counter() - before
                entry = self._train_step(*(part.to(self.device, non_blocking=True) for part in batch))
                self._after_step(entry, log, waited / (time.perf_counter() - before))
                before = time.perf_counter()
        return self._finish()

    def _train_step(self, waveforms_BS, labels_B, seeds_B) -> dict:
        progress = self.step / self.total_steps
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * self.schedule.rate(progress)
        if self.margin is not None:
            self.objective.loss.margin = self.margin * self.schedule.margin(progress)
        self.model.train()
        lengths_B = torch.full((len(waveforms_BS),), waveforms_BS.shape[1])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            loss, correct = self.model(waveforms_BS, lengths_B, labels_B, seeds_B)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_norm:
            nn.utils.clip_grad_norm_(self.objective.parameters(), self.clip_norm)
        self.optimizer.step()
        self.step += 1
        return {"loss": loss.detach(), "accuracy": correct / len(labels_B), "learning_rate": self.optimizer.param_groups[0]["lr"]}

    def _after_step(self, entry: dict, log: "Log", wait_fraction: float) -> None:
        last = self.step == self.total_steps
        stop = self._agreed_to_stop()
        if self.step % self.options.log_every_steps == 0 or last:
            entry = {"step": self.step} | {name: float(value) for name, value in entry.items()}
            if not abs(entry["loss"]) < float("inf"):
                raise UserError(f"{self.folder}: the loss is {entry['loss']} at step {self.step}; lower optimizer.learning_rate, or train in fp32")
            log.add(entry, wait_fraction)
        log.advance()
        if self.rank == 0:
            if self.step % self.options.validate_every_steps == 0 or last:
                log.add({"step": self.step, "dev_eer_percent": self.validate(self.objective.network)})
            if self.step % self.options.checkpoint_every_steps == 0 or last or stop:
                log.flush()
                self._save()
        if self.world > 1:
            torch.distributed.barrier()
        if stop and not last:
            raise UserError(f"{self.folder}: stopped by {signal.Signals(stop).name} after step {self.step}; the state is saved: the same command goes on")

    def _note_signal(self, number, _) -> None:
        self.stop_signal = number

    def _agreed_to_stop(self) -> int:
        if self.world == 1:
            return self.stop_signal or 0
        flag = torch.tensor(self.stop_signal or 0, device=self.device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return int(flag)

    def _restore(self) -> None:
        state = load_newest(self.checkpoints)
        if state is None:
            return
        self.objective.network.load_state_dict(state["network"])
        self.objective.loss.load_state_dict(state["loss"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        if self.rank == 0 and self.step:
            print(f"   going on from step {self.step} of {self.total_steps}", file=sys.stderr)

    def _save(self) -> None:
        save_checkpoint(checkpoint_path(self.checkpoints, self.step), {
            "step": self.step, "network": self.objective.network.state_dict(), "loss": self.objective.loss.state_dict(),
            "optimizer": self.optimizer.state_dict()})
        for step in saved_steps(self.checkpoints)[1:-max(KEPT_CHECKPOINTS, self.options.average_checkpoints)]:
            checkpoint_path(self.checkpoints, step).unlink()

    def _finish(self) -> dict:
        if self.rank == 0:
            averaged = saved_steps(self.checkpoints)[1:][-self.options.average_checkpoints:]
            weights = average_weights([checkpoint_path(self.checkpoints, step) for step in averaged])
            save_checkpoint(self.checkpoints / "average.pt", {"step": self.step, "averaged_steps": averaged, "network": weights})
        return {"steps": self.step, "draws": self.step * self.batch_size, "classes": self.dataset.num_classes, "utterances": self.dataset.epoch_size}


class Log:
    """What training says: a progress bar, TensorBoard, and the same entries in ``log/history.jsonl`` for the report.

    Parameters
    ----------
    folder : path
        ``exp/<name>``.
    step : int
        Steps done: later entries, of a run that died behind its last checkpoint, are dropped.
    total_steps : int
        For the progress bar.
    active : bool
        False on ranks that keep silent.
    """

    def __init__(self, folder: Path, step: int, total_steps: int, active: bool):
        self.path, self.step, self.total_steps, self.active = folder / "log" / "history.jsonl", step, total_steps, active
        self.entries: list[dict] = []

    def __enter__(self) -> "Log":
        if self.active:
            from torch.utils.tensorboard import SummaryWriter
            from tqdm import tqdm

            if self.path.exists():
                self.entries = [entry for line in self.path.read_text().splitlines() if (entry := json.loads(line))["step"] <= self.step]
            self.writer = SummaryWriter(self.path.parent.parent / "tensorboard", purge_step=self.step + 1)
            self.bar = tqdm(total=self.total_steps, initial=self.step, unit="step", mininterval=1 if sys.stderr.isatty() else 15)
        return self

    def __exit__(self, *_) -> None:
        if self.active:
            self.flush()
            self.bar.close()
            self.writer.close()

    def add(self, entry: dict, wait_fraction: float | None = None) -> None:
        """Log an entry.

        Parameters
        ----------
        entry : dict
            ``step`` and numbers.
        wait_fraction : float or None
            Part of the step that was spent waiting for data; shown, not kept.
        """
        if not self.active:
            return
        self.entries.append(entry)
        for name, value in entry.items():
            if name != "step":
                self.writer.add_scalar(name, value, entry["step"])
        if wait_fraction is not None:
            self.bar.set_postfix_str(f"loss {entry['loss']:.3f}, accuracy {entry['accuracy']:.2f}, data wait {wait_fraction:.0%}", refresh=False)
        else:
            self.bar.write(f"   step {entry['step']}: dev EER {entry['dev_eer_percent']:.2f} %", file=sys.stderr)

    def advance(self) -> None:
        """Move the progress bar by one step."""
        if self.active:
            self.bar.update()

    def flush(self) -> None:
        """Write the history, whole."""
        with atomic_write(self.path) as file:
            file.writelines(json.dumps(entry) + "\n" for entry in self.entries)
