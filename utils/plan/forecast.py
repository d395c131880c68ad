"""What a task will need of disk, memory and time, as receipts of the same step recorded it; nothing is said of what no receipt tells."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.config import read_yaml
from utils.errors import UserError
from utils.machine import usable_cores
from utils.plan.audio_counts import LISTS, Audio, AudioOfPlan
from utils.receipts import DONE, Task
from utils.receipts.contents import existing_receipt
from utils.training.checkpoints import saved_steps

# options that the speed of a step depends on
SAME = ("device", "detector", "protocol", "checkpoint")
# sections that an earlier phase of a training keeps among its options
PASSES = ("training", "crops")


@dataclass(frozen=True)
class Amount:
    """A number of bytes or seconds.

    Attributes
    ----------
    value : float
        Of what is known.
    is_rough : bool
        True where it is not of the same work: of another network, or by a length of audio that was not measured.
    is_whole : bool
        False where something is not known.
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


UNKNOWN = Amount(is_whole=False)


def larger(one: Amount, other: Amount) -> Amount:
    """The larger of two amounts, which is whole where both are.

    Parameters
    ----------
    one, other : Amount
        Of two moments.
    """
    largest = max(one, other, key=lambda amount: amount.value)
    return Amount(largest.value, largest.is_rough, one.is_whole and other.is_whole)


@dataclass(frozen=True)
class Need:
    """What a task or a stage needs.

    Attributes
    ----------
    disk, memory, seconds : Amount
        Bytes, bytes, and time.
    """

    disk: Amount = Amount()
    memory: Amount = Amount()
    seconds: Amount = Amount()


@dataclass(frozen=True)
class Record:
    """A receipt of finished work.

    Attributes
    ----------
    receipt : dict
        Its content.
    kind : tuple
        See `kind_of`.
    hours : float
        Of audio that was worked on; 0 where that is not known.
    """

    receipt: dict
    kind: tuple
    hours: float

    @property
    def num_bytes(self) -> int:
        """Size of the outputs."""
        return sum(output["bytes"] for output in self.receipt["outputs"].values())


def kind_of(step: str, options: dict, inputs: dict[str, Path]) -> tuple:
    """What tasks of one step have in common that take as long.

    Parameters
    ----------
    step : str
        Its name.
    options, inputs : dict
        Of the task or of the receipt.
    """
    network = str(inputs.get("config" if step == "train" else "model", ""))
    same = {name: options[name] for name in SAME if name in options}
    return network, json.dumps(same, sort_keys=True)


def steps_of(task: Task) -> int | None:
    """Length of a training; None where it is not known before the data are.

    Parameters
    ----------
    task : Task
        Of steps.train.
    """
    if "config" in task.inputs:
        sections = read_yaml(task.inputs["config"])
    else:
        sections = {name: task.options.get(name) or {} for name in PASSES}
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
    """The receipts below some folders, by their step.

    Parameters
    ----------
    folders : iterable of path
        data/ and exp/ of the workdir.
    audio : AudioOfPlan
        Of the plan, to know what those steps worked on.
    """

    def __init__(self, folders: Iterable[Path], audio: AudioOfPlan):
        self.audio = audio
        self.of_step: dict[str, list[Record]] = defaultdict(list)
        paths = {path for folder in folders for path in folder.glob("**/receipts/*.json")}
        for path in sorted(paths):
            if any(part.startswith("old.") for part in path.parts):
                continue
            try:
                receipt = existing_receipt(path)
            except UserError:  # whoever needs this one is told by its stage
                continue
            self.of_step[receipt["step"]].append(self._record(receipt))

    def _record(self, receipt: dict) -> Record:
        inputs = {label: Path(source["path"]) for label, source in receipt["inputs"].items()}
        lists = {source.parent for source in inputs.values() if source.name in LISTS}
        parts = int(receipt["options"].get("job", "1/1").partition("/")[2])
        hours = sum(map(self.audio.of, lists), Audio()).share(parts).hours
        return Record(receipt, kind_of(receipt["step"], receipt["options"], inputs), hours)

    def need(self, task: Task, device: str) -> Need:
        """What a task that is not done will need.

        Parameters
        ----------
        task : Task
            Of the plan.
        device : str
            ``cpu`` or ``cuda``: where training and extraction run.
        """
        records, is_rough = self._alike(task, device)
        peaks = [each.receipt.get("peak_memory_bytes", 0) for each in records]
        memory = Amount(max(peaks), is_rough) if any(peaks) else UNKNOWN
        disk, seconds = self._by_audio(task, records, is_rough)
        if task.name == "train":
            seconds = _by_steps(task, records, is_rough)
            disk = Amount(max(each.num_bytes for each in records), is_rough) if records else UNKNOWN
        size = task.expected_bytes() if task.expected_bytes else None
        return Need(disk if size is None else Amount(size), memory, seconds)

    def _alike(self, task: Task, device: str) -> tuple[list[Record], bool]:
        """Records of the same kind, else of the same step on this device; whether they are the latter."""
        records = self.of_step.get(task.name, [])
        if task.name == "train":
            records = [each for each in records if each.receipt["counts"].get("device") == device]
        same = kind_of(task.name, task.options, task.inputs)
        alike = [each for each in records if each.kind == same]
        where = task.options.get("device")
        others = [each for each in records if each.receipt["options"].get("device") == where]
        return alike or others, not alike

    def _by_audio(
        self, task: Task, records: Sequence[Record], is_rough: bool
    ) -> tuple[Amount, Amount]:
        """Disk and time: by the hour of audio where that is known of both, else as much as one task took."""
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


def _by_steps(task: Task, records: Sequence[Record], is_rough: bool) -> Amount:
    """Time that is left of a training: by the step."""
    steps = steps_of(task)
    paces = [
        each.receipt["seconds"] / each.receipt["counts"]["steps"]
        for each in records
        if each.receipt["counts"].get("steps")
    ]
    if steps is None or not paces:
        return UNKNOWN
    saved = saved_steps(task.home / "checkpoints")
    left = max(0, steps - (saved[-1] if saved else 0))
    return Amount(paces[-1] * left, is_rough)


def _at_once(cmd: str, jobs: int) -> int:
    """How many tasks of an array run at the same time on this machine, or on a cluster."""
    return min(jobs, max(1, int(usable_cores()))) if cmd == "local" else jobs


def need_of_stage(
    tasks: Iterable[tuple[Task, str]], records: Records, device: str, cmd: str
) -> Need:
    """What the unfinished tasks of a stage need together: disk adds up, arrays share the time, memory is that of the largest moment.

    Parameters
    ----------
    tasks : iterable of (Task, str)
        Tasks and their states.
    records : Records
        What was recorded.
    device, cmd : str
        As in the options of a recipe.
    """
    disk = seconds = memory = Amount()
    for task in (task for task, state in tasks if state != DONE):
        need = records.need(task, device)
        together = _at_once(cmd, int(task.job.partition("/")[2])) if task.job else 1
        processes = together if cmd == "local" else 1
        here, own = need.memory, need.seconds
        disk = disk + need.disk
        seconds = seconds + Amount(own.value / together, own.is_rough, own.is_whole)
        memory = larger(memory, Amount(here.value * processes, here.is_rough, here.is_whole))
    return Need(disk, memory, seconds)
