"""The training loop for any network and loss: steps, checkpoints, validation, log.

A step depends only on the weights, the optimiser's state and the number of the step, which are all
in the checkpoint: a run that was killed and resumed ends with the same weights as an uninterrupted
run, bit for bit on a CPU.
"""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import torch
from torch import nn

from utils.augmentation.augmenter import Augmenter
from utils.errors import UserError
from utils.torch_device import rank_and_world
from utils.training.checkpoints import (
    average_weights,
    checkpoint_path,
    load_checkpoint,
    load_newest,
    save_checkpoint,
    saved_steps,
)
from utils.training.log import Pace, TrainingLog
from utils.training.objective import Objective, distributed, normalises_batches
from utils.training.sampling import CropDataset, RankBatchSampler
from utils.training.schedules import Moment, Schedule
from utils.training.settings import TrainingOptions

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork
    from utils.augmentation.device import DeviceChain

KEPT_CHECKPOINTS = 2  # newest ones, besides step 0 and those that the average needs
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Trainer:
    """Trains an objective, on its device, on the draws of a dataset.

    The optimiser's learning rate is the peak of the schedule.  ``batch_size`` is that of the global
    batch, a multiple of the number of processes.  ``validate`` turns the network into entries of
    the history and is called in all processes at once.  ``num_workers`` processes make crops; with
    0, this one does.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        dataset: CropDataset,
        *,
        batch_size: int,
        total_steps: int,
        options: TrainingOptions,
        folder: Path,
        validate: "Callable[[EmbeddingNetwork], dict[str, float]] | None",
        clip_norm: float | None,
        num_workers: int,
    ):
        self.objective, self.dataset = objective, dataset
        self.optimizer, self.schedule, self.clip_norm = optimizer, schedule, clip_norm
        self.batch_size, self.total_steps = batch_size, total_steps
        self.options, self.validate, self.num_workers = options, validate, num_workers
        self.folder, self.checkpoints = Path(folder), Path(folder) / "checkpoints"
        self.rank, self.world = rank_and_world()
        self.worlds = {self.world}  # numbers of processes in all steps so far
        self.device = next(objective.parameters()).device
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self.margin = getattr(objective.loss, "margin", None)
        self.scaled_gradients = objective.scaled_gradients()
        self.step = 0
        self.dev_eers: dict[int, float] = {}  # of the validations so far, in percent
        self.stop_signal = 0
        self.augment: DeviceChain | None = None
        if isinstance(dataset.augment, Augmenter) and dataset.augment.device:
            self.augment = dataset.augment.on(self.device)
        self.model = distributed(objective) if self.world > 1 else objective

    def run(self) -> dict:
        """Train from the newest checkpoint to the end; returns the counts of the receipt.

        UserError if the loss is not finite, or after a stop signal, with the state saved.
        """
        self._restore()
        if self.rank == 0 and self._splits_batch_norm():
            print(f"   BatchNorm: {self._batch_norm_note()}", file=sys.stderr)
        if self.step == 0 and self.rank == 0:
            self._save()
        loader: torch.utils.data.DataLoader[tuple] = torch.utils.data.DataLoader(
            self.dataset,  # type: ignore[arg-type]  # torch needs only __getitem__
            num_workers=self.num_workers,
            worker_init_fn=_ignore_stop_signals,
            pin_memory=self.device.type == "cuda",
            batch_sampler=RankBatchSampler(
                self.batch_size, self.rank, self.world, self.step, self.total_steps
            ),
        )
        with (
            self._signals_noted(),
            TrainingLog(self.folder, self.step, self.total_steps, active=self.rank == 0) as log,
        ):
            self._recall_validations(log)
            pace, before = Pace(self.batch_size), time.perf_counter()
            for batch in loader:
                waited_seconds = time.perf_counter() - before
                entry, stop = self._train_step(*batch), False
                if self._is_noted():
                    # reads numbers from the device, so that its work is in the time of the step
                    entry, stop = self._average_over_processes(entry)
                pace.count_step(time.perf_counter() - before, waited_seconds)
                self._after_step(entry, stop, log, pace)
                before = time.perf_counter()
        if self.rank == 0:
            self._save_average()
        return self._counts()

    def _counts(self) -> dict:
        """Counts of the training for its receipt."""
        counts: dict[str, int | str] = {
            "steps": self.step,
            "draws": self.step * self.batch_size,
            "classes": self.dataset.num_classes,
            "utterances": len(self.dataset.labels),
            "processes": self.world,
            "device": self.device.type,
            "parameters": sum(weight.numel() for weight in self.objective.network.parameters()),
        }
        if self._chooses and self.rank == 0:
            counts["chosen_step"] = self._best_step()
        if self.dataset.draws.speakers_left_out:
            counts["speakers_left_out"] = self.dataset.draws.speakers_left_out
        if self._splits_batch_norm():
            counts["batch_norm"] = self._batch_norm_note()
        return counts

    def _choice_note(self) -> str:
        """The step whose network is taken, in words."""
        best = self._best_step()
        chosen = f"step {best} of {self.total_steps} is taken"
        if best == 0:
            chosen = "the network that this training started from is taken"
        first, lowest = self.dev_eers[0], self.dev_eers[best]
        return f"{chosen}: dev EER {lowest:.2f} %, before training {first:.2f} %"

    def _splits_batch_norm(self) -> bool:
        """Whether BatchNorm sees a part of the batch, so that processes change the network."""
        if max(self.worlds) == 1:
            return False
        network, loss = self.objective.network, self.objective.loss
        return normalises_batches(network) or normalises_batches(loss)

    def _batch_norm_note(self) -> str:
        """The rows that BatchNorm sees, in words."""
        numbers = " or ".join(str(world) for world in sorted(self.worlds))
        return f"statistics of each process's own share of the batch, in {numbers} processes"

    def _train_step(
        self,
        waveforms_BS: torch.Tensor,
        labels_B: torch.Tensor,
        seeds_B: torch.Tensor,
        *drawn_BW: torch.Tensor,
    ) -> dict:
        """One step; returns loss and accuracy (on the device) and the learning rate."""
        self._set_rates()
        torch.manual_seed(int(seeds_B[0]))  # so dropout depends on the draws alone
        self.model.train()
        # lengths and seeds stay on the host: reading them needs no synchronisation
        lengths_B = torch.full((len(waveforms_BS),), waveforms_BS.shape[1])
        waveforms_BS = waveforms_BS.to(self.device, non_blocking=True)
        labels_B = labels_B.to(self.device, non_blocking=True)
        if self.augment:
            waveforms_BS = self.augment(waveforms_BS, *drawn_BW)
        in_bf16 = self.options.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=in_bf16):
            loss, num_correct = self.model(waveforms_BS, lengths_B, labels_B, seeds_B)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip_norm:
            nn.utils.clip_grad_norm_(self.objective.parameters(), self.clip_norm)
        for parameter, factor in self.scaled_gradients:
            assert parameter.grad is not None  # backward() has just set it
            parameter.grad.mul_(factor)
        self.optimizer.step()
        self.step += 1
        return {
            "loss": loss.detach(),
            "accuracy": num_correct / len(labels_B),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }

    def _set_rates(self) -> None:
        """Set learning rates and margin for the next step."""
        now = Moment(self.step, self.total_steps, self.dataset.epoch_size / self.batch_size)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * self.schedule.rate(now)
        if self.margin is not None:
            self.objective.loss.margin = self.margin * self.schedule.margin(now)

    def _is_noted(self) -> bool:
        """Whether the numbers of this step are logged, or belong to a checkpoint."""
        options = self.options
        return self._is_due(options.log_every_steps) or self._is_due(options.checkpoint_every_steps)

    def _after_step(self, entry: dict, stop: bool, log: TrainingLog, pace: Pace) -> None:
        """Log, validate, save and stop, each when it is due; ``stop``: a process is to stop."""
        options = self.options
        stop = stop or (self.world == 1 and bool(self.stop_signal))
        if self._is_due(options.log_every_steps):
            margin = getattr(self.objective.loss, "margin", None)
            log.add({"step": self.step} | entry, margin, pace.read())
        if self.validate and self._is_due(options.validate_every_steps):
            self._validate(log)
        if self.rank == 0 and (stop or self._is_due(options.checkpoint_every_steps)):
            log.flush()
            self._save()
        log.advance()
        if stop and self.step < self.total_steps:
            self._stop()

    def _recall_validations(self, log: TrainingLog) -> None:
        """Note the earlier validations; the first weights are validated if they may be chosen."""
        for entry in log.entries:
            if "dev_eer_percent" in entry:
                self.dev_eers[entry["step"]] = entry["dev_eer_percent"]
        if self._chooses and self.step == 0:
            self._validate(log)

    @property
    def _chooses(self) -> bool:
        """Whether the final network is the best of those that are validated."""
        return self.options.choose_by_dev and self.validate is not None

    def _validate(self, log: TrainingLog) -> None:
        """Compute and log the EER on the dev trials."""
        assert self.validate is not None
        self._share_statistics()
        entry = self.validate(self.objective.network)
        log.add_validation({"step": self.step} | entry)
        self.dev_eers[self.step] = entry["dev_eer_percent"]

    def _best_step(self) -> int:
        """The step with the lowest EER on the dev trials, the earliest of equals."""
        return min(self.dev_eers, key=lambda step: (self.dev_eers[step], step))

    def _stop(self) -> NoReturn:
        """Stop the training, whose state is saved."""
        if self.world > 1:
            # torchrun ends all processes when one exits: wait until the state is saved
            torch.distributed.barrier()
        name = "a signal to another process"
        if self.stop_signal:
            name = signal.Signals(self.stop_signal).name
        raise UserError(
            f"{self.folder}: stopped by {name} after step {self.step}; "
            "the state is saved: the same command resumes"
        )

    def _is_due(self, every: int) -> bool:
        """Whether something done every so many steps, and at the end, is due now."""
        return self.step % every == 0 or self.step == self.total_steps

    def _average_over_processes(self, entry: dict) -> tuple[dict, bool]:
        """The entry of the global batch as plain numbers, and whether any process is to stop."""
        stopping = torch.tensor(float(self.stop_signal), device=self.device)
        numbers = torch.stack([entry["loss"], entry["accuracy"], stopping])
        if self.world > 1:
            torch.distributed.all_reduce(numbers)
        loss, accuracy, stop = (numbers / self.world).tolist()
        if not math.isfinite(loss):
            raise UserError(
                f"{self.folder}: the loss is {loss} at step {self.step}; "
                "lower optimizer.learning_rate, set optimizer.clip_norm, or train in fp32"
            )
        return entry | {"loss": loss, "accuracy": accuracy}, bool(stop)

    def _share_statistics(self) -> None:
        """Give all processes rank 0's running statistics, as the next step would, to validate."""
        if self.world > 1:
            for buffer in self.objective.buffers():
                torch.distributed.broadcast(buffer, 0)

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """Note SIGTERM and SIGUSR1; they take effect after the step."""

        def note(number: int, _: object) -> None:
            self.stop_signal = number

        before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _restore(self) -> None:
        """Load the newest checkpoint that can be read."""
        state = load_newest(self.checkpoints) if self.rank == 0 else None
        if self.world > 1:
            # rank 0 decides: others may see an older state of a shared file system
            newest: list[int | None] = [state["step"] if state else None]
            torch.distributed.broadcast_object_list(newest, 0)
            if self.rank and newest[0] is not None:
                state = load_checkpoint(checkpoint_path(self.checkpoints, newest[0]))
        if state is None:
            return
        try:
            self.objective.network.load_state_dict(state["network"])
            self.objective.loss.load_state_dict(state["loss"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            path = checkpoint_path(self.checkpoints, state["step"])
            reason = " ".join(str(error).split())[:120]
            raise UserError(
                f"{path}: does not fit this network ({reason}); "
                "choose another --name, or remove the experiment"
            ) from None
        self.step = state["step"]
        if self.step:
            self.worlds |= set(state.get("processes", ()))
        if self.rank == 0 and self.step:
            print(f"   resuming from step {self.step} of {self.total_steps}", file=sys.stderr)

    def _save(self) -> None:
        """Write the checkpoint of this step, and remove those no longer needed."""
        save_checkpoint(
            checkpoint_path(self.checkpoints, self.step),
            {
                "step": self.step,
                "processes": sorted(self.worlds),
                "network": self.objective.network.state_dict(),
                "loss": self.objective.loss.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
        )
        self._remove_old()

    def _remove_old(self) -> None:
        """Remove all checkpoints but step 0, the last regular ones, the newest and the best.

        A run that was stopped or killed ends with the same files as any other.
        """
        num_regular = max(KEPT_CHECKPOINTS, self.options.average_checkpoints)
        kept = {0, self.step, *self._regular_steps()[-num_regular:]}
        if self._chooses and self.dev_eers:
            kept.add(self._best_step())
        for step in set(saved_steps(self.checkpoints)) - kept:
            checkpoint_path(self.checkpoints, step).unlink()
        for half_written in self.checkpoints.glob(".*.tmp"):
            half_written.unlink()

    def _regular_steps(self) -> list[int]:
        """Steps of the checkpoints that are not due to a stop signal."""
        every = self.options.checkpoint_every_steps
        steps = [step for step in saved_steps(self.checkpoints) if 0 < step <= self.step]
        return [step for step in steps if step % every == 0 or step == self.total_steps]

    def _save_average(self) -> None:
        """Write the final network: the best by dev, or the mean of the last checkpoints."""
        self._remove_old()
        steps = self._regular_steps()[-self.options.average_checkpoints :]
        loss = {}
        if self._chooses:
            steps = [self._best_step()]
            loss["loss"] = load_checkpoint(checkpoint_path(self.checkpoints, steps[0]))["loss"]
            print(f"   {self._choice_note()}", file=sys.stderr)
        weights = average_weights([checkpoint_path(self.checkpoints, step) for step in steps])
        save_checkpoint(
            self.checkpoints / "average.pt",
            {"step": self.step, "averaged_steps": steps, "network": weights} | loss,
        )


def _ignore_stop_signals(_: int) -> None:
    """Keep a worker alive after a stop signal to the whole job, until its parent ends it."""
    if sys.platform != "linux":
        return
    trainer = os.getppid()

    def wait() -> None:
        while signal.sigwaitinfo(STOP_SIGNALS).si_pid != trainer:
            pass
        os._exit(0)

    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    threading.Thread(target=wait, daemon=True).start()
