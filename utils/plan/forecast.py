"""What a task will need of disk, memory and time, by the receipts of the same step."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.config import read_yaml
from utils.errors import UserError
from utils.machine import usable_cores
from utils.plan.audio_counts import LISTS, AudioOfPlan
from utils.receipts import Task
from utils.receipts.contents import existing_receipt
from utils.training.checkpoints import saved_steps

# options that the speed of a step depends on
SPEED_OPTIONS = ("device", "detector", "protocol", "checkpoint")
# sections that an earlier phase of a training keeps among its options
PHASE_SECTIONS = ("training", "crops")


@dataclass(frozen=True)
class Amount:
    """A number of bytes or seconds, as far as it is known.

    It is rough if it comes from another network or from audio of unmeasured length, and not whole
    if a part of it is unknown.
    """

    value: float = 0.0
    is_rough: bool = False
    is_whole: bool = True

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.value + other.value,
            self.is_rough or other.is_rough,
            self.is_whole and other.is_whole,
        )

    def scaled(self, factor: float) -> "Amount":
        """The amount times a factor."""
        return Amount(self.value * factor, self.is_rough, self.is_whole)


UNKNOWN = Amount(is_whole=False)


def larger(one: Amount, other: Amount) -> Amount:
    """The larger of two amounts; it is whole if both are."""
    largest = one if one.value >= other.value else other
    return Amount(largest.value, largest.is_rough, one.is_whole and other.is_whole)


@dataclass(frozen=True)
class Need:
    """What a task or a stage needs: bytes of disk, bytes of memory, and seconds."""

    disk: Amount = Amount()
    memory: Amount = Amount()
    seconds: Amount = Amount()


@dataclass(frozen=True)
class Record:
    """A receipt of finished work; ``hours`` of audio are 0 if unknown."""

    receipt: dict
    kind: tuple
    hours: float

    @property
    def num_bytes(self) -> int:
        """Size of the outputs."""
        return sum(output["bytes"] for output in self.receipt["outputs"].values())


def _work_kind(step: str, options: dict, inputs: dict[str, Path]) -> tuple:
    """Network and options of a step: tasks of one step with the same take about as long."""
    network = str(inputs.get("config" if step == "train" else "model", ""))
    same = {name: options[name] for name in SPEED_OPTIONS if name in options}
    return network, json.dumps(same, sort_keys=True)


def count_training_steps(task: Task) -> int | None:
    """Length of a training in steps; None if it depends on data that do not exist yet."""
    if "config" in task.inputs:
        sections = read_yaml(task.inputs["config"])
    else:
        sections = {name: task.options.get(name) or {} for name in PHASE_SECTIONS}
    training, crops = sections.get("training") or {}, sections.get("crops") or {}
    steps = task.options.get("steps") or training.get("steps")
    if steps:
        return int(steps)
    epochs, batches = training.get("epochs"), crops.get("batches") or {}
    batch = crops.get("batch_size") or batches.get("speakers", 0) * batches.get("utterances", 0)
    utt2spk = task.inputs.get("train/utt2spk")
    if not (epochs and batch and utt2spk and utt2spk.exists()):
        return None
    return epochs * utt2spk.read_bytes().count(b"\n") // batch


class Records:
    """The receipts below some folders, by their step."""

    def __init__(self, folders: Iterable[Path], audio: AudioOfPlan):
        self.audio = audio
        self._by_step: dict[str, list[Record]] = defaultdict(list)
        paths: set[Path] = set()
        for folder in folders:
            paths.update(folder.glob("**/receipts/*.json"))
        for path in sorted(paths):
            if any(part.startswith("old.") for part in path.parts):
                continue
            try:
                receipt = existing_receipt(path)
            except UserError:  # reported by the stage that needs this receipt
                continue
            self._by_step[receipt["step"]].append(self._record(receipt))

    def _record(self, receipt: dict) -> Record:
        inputs = {label: Path(source["path"]) for label, source in receipt["inputs"].items()}
        folders = {source.parent for source in inputs.values() if source.name in LISTS}
        parts = int(receipt["options"].get("job", "1/1").partition("/")[2])
        audio = self.audio.of_folders(folders).share(parts)
        kind = _work_kind(receipt["step"], receipt["options"], inputs)
        return Record(receipt, kind, audio.hours)

    def need(self, task: Task, device: str) -> Need:
        """What an unfinished task will need; training and extraction run on ``device``."""
        records, is_rough = self._similar(task, device)
        peak = size = 0
        for record in records:
            peak = max(peak, record.receipt.get("peak_memory_bytes", 0))
            size = max(size, record.num_bytes)
        memory = Amount(peak, is_rough) if peak else UNKNOWN
        if task.name == "train":
            seconds = _training_time(task, records, is_rough)
            disk = Amount(size, is_rough) if records else UNKNOWN
        else:
            disk, seconds = self._by_audio(task, records, is_rough)
        expected = task.expected_bytes() if task.expected_bytes else None
        if expected is not None:
            disk = Amount(expected)
        return Need(disk, memory, seconds)

    def _similar(self, task: Task, device: str) -> tuple[list[Record], bool]:
        """Records of the same kind, else of the same step on this device; True for the latter."""
        kind = _work_kind(task.name, task.options, task.inputs)
        same_kind, same_device = [], []
        for record in self._by_step.get(task.name, []):
            receipt = record.receipt
            if task.name == "train" and receipt["counts"].get("device") != device:
                continue
            if record.kind == kind:
                same_kind.append(record)
            if receipt["options"].get("device") == task.options.get("device"):
                same_device.append(record)
        if same_kind:
            return same_kind, False
        return same_device, True

    def _by_audio(
        self, task: Task, records: Sequence[Record], is_rough: bool
    ) -> tuple[Amount, Amount]:
        """Disk and time, in proportion to the audio if its length is known, else of one task."""
        if not records:
            return UNKNOWN, UNKNOWN
        audio = self.audio.of_task(task)
        measured = [each for each in records if each.hours]
        if measured and audio.hours:
            records, share = measured, audio.hours / sum(each.hours for each in measured)
        else:
            share = 1 / len(records)
        rough = is_rough or (audio.guess and bool(measured))
        num_bytes = sum(each.num_bytes for each in records)
        seconds = sum(each.receipt["seconds"] for each in records)
        return Amount(num_bytes * share, rough), Amount(seconds * share, rough)


def _training_time(task: Task, records: Sequence[Record], is_rough: bool) -> Amount:
    """Seconds that are left of a training, by the time of a step in the last record."""
    steps = count_training_steps(task)
    step_seconds = [
        each.receipt["seconds"] / each.receipt["counts"]["steps"]
        for each in records
        if each.receipt["counts"].get("steps")
    ]
    if steps is None or not step_seconds:
        return UNKNOWN
    saved = saved_steps(task.home / "checkpoints")
    if saved:
        steps -= saved[-1]
    return Amount(step_seconds[-1] * max(0, steps), is_rough)


def _simultaneous_tasks(task: Task, cmd: str) -> int:
    """How many tasks of an array run at the same time, on this machine or on a cluster."""
    if not task.job:
        return 1
    jobs = int(task.job.partition("/")[2])
    if cmd != "local":
        return jobs
    return min(jobs, max(1, int(usable_cores())))


def sum_stage_needs(unfinished: Iterable[Task], records: Records, device: str, cmd: str) -> Need:
    """What the unfinished tasks of a stage need together, with run.sh's --device and --cmd.

    Disk adds up; the tasks of an array share the time; memory is the most needed at any moment.
    """
    disk = seconds = memory = Amount()
    for task in unfinished:
        need = records.need(task, device)
        simultaneous = _simultaneous_tasks(task, cmd)
        processes_here = simultaneous if cmd == "local" else 1
        disk += need.disk
        seconds += need.seconds.scaled(1 / simultaneous)
        memory = larger(memory, need.memory.scaled(processes_here))
    return Need(disk, memory, seconds)
