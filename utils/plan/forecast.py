"""What a task will need of disk, memory and time: by the receipts of the same step where there are some, else by guesses that are called so."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from utils.config import read_yaml
from utils.errors import UserError
from utils.machine import usable_cores
from utils.plan.audio_counts import LISTS, Audio, AudioOfPlan
from utils.receipts import DONE, Task
from utils.receipts.contents import existing_receipt

GIB = 2**30
# options that the speed of a step depends on
SAME = ("device", "detector", "protocol", "checkpoint")
# sections that an earlier phase of a training keeps among its options
PASSES = ("training", "crops")


@dataclass(frozen=True)
class Amount:
    """A number and where it comes from.

    Attributes
    ----------
    value : float
        Bytes or seconds.
    guess : bool
        True where no recorded fact stands behind it.
    """

    value: float = 0.0
    guess: bool = False

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.value + other.value, self.guess or other.guess)


@dataclass(frozen=True)
class Rate:
    """What an hour of audio costs in one process of a step.

    Attributes
    ----------
    seconds : float
        Time.
    bytes : float
        Of outputs.
    memory : float
        Peak of the process, in bytes; not by the hour.
    guess, memory_guess : bool
        False where receipts tell.
    """

    seconds: float
    bytes: float
    memory: float
    guess: bool = True
    memory_guess: bool = True


# Stated here, measured nowhere: of one core of a few years ago, networks of ten million parameters, 16 kHz.
GUESSED = {
    "compute_vad": Rate(20, 1.5e6, GIB / 2),
    "pack_audio": Rate(20, 1.2e8, GIB / 2),
    "extract": Rate(180, 1e6, 2 * GIB),
    "augment_copies": Rate(120, 4.8e8, GIB),
    "augment": Rate(20, 1.2e8, GIB / 2),
    "collect_vad": Rate(0.1, 1e5, GIB / 2),
}
GUESSED_ON_GPU = {"extract": Rate(6, 1e6, 4 * GIB)}
OTHERS = Rate(1, 1e5, GIB)  # data directories, lists, back ends, scores, reports
FIXED_SECONDS = 10  # to start a process, read lists and write them
STEP_SECONDS = {"cpu": 1.0, "cuda": 0.25}
TRAINING_BYTES, TRAINING_MEMORY = 6e8, 4 * GIB


@dataclass(frozen=True)
class Need:
    """What a task needs.

    Attributes
    ----------
    disk, memory, seconds : Amount
        Bytes, bytes, and the time of its own process.
    """

    disk: Amount
    memory: Amount
    seconds: Amount


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
    steps = task.options.get("steps") or (sections.get("training") or {}).get("steps")
    if steps:
        return int(steps)
    epochs, crops = (sections.get("training") or {}).get("epochs"), sections.get("crops") or {}
    batches = crops.get("batches") or {}
    batch = crops.get("batch_size") or batches.get("speakers", 0) * batches.get("utterances", 0)
    lists = [
        path for label, path in task.inputs.items() if label == "train/utt2spk" and path.exists()
    ]
    return (
        epochs * lists[0].read_bytes().count(b"\n") // batch if epochs and batch and lists else None
    )


class Rates:
    """Costs of steps, as the receipts below some folders tell them.

    Parameters
    ----------
    folders : iterable of path
        data/ and exp/ of the workdir.
    audio : AudioOfPlan
        Of the plan, to know what those steps worked on.
    """

    def __init__(self, folders: Iterable[Path], audio: AudioOfPlan):
        self.audio = audio
        self.recorded: dict[tuple, list[tuple[dict, Audio]]] = defaultdict(list)
        for path in sorted(
            path
            for folder in folders
            for path in folder.glob("**/receipts/*.json")
            if not any(part.startswith("old.") for part in path.parts)
        ):
            try:
                receipt = existing_receipt(path)
            except UserError:  # whoever needs this one is told by its stage
                continue
            inputs = {label: Path(source["path"]) for label, source in receipt["inputs"].items()}
            lists = {source.parent for source in inputs.values() if source.name in LISTS}
            parts = int(receipt["options"].get("job", "1/1").partition("/")[2])
            worked_on = sum(map(audio.of, lists), Audio()).share(parts)
            self.recorded[self.kind(receipt["step"], receipt["options"], inputs)].append(
                (receipt, worked_on)
            )

    @staticmethod
    def kind(step: str, options: dict, inputs: dict[str, Path]) -> tuple:
        """What tasks of equal speed have in common.

        Parameters
        ----------
        step : str
            Its name.
        options, inputs : dict
            Of the task or of the receipt.
        """
        network = str(inputs.get("config" if step == "train" else "model", ""))
        return (
            step,
            network,
            json.dumps({name: options[name] for name in SAME if name in options}, sort_keys=True),
        )

    def need(self, task: Task, device: str) -> Need:
        """What a task that is not done will need.

        Parameters
        ----------
        task : Task
            Of the plan.
        device : str
            ``cpu`` or ``cuda``: where training and extraction run.
        """
        if task.name == "train":
            return self.need_of_training(task, device)
        rate, audio = self.rate(task, device), self.audio.of_task(task)
        size = task.expected_bytes() if task.expected_bytes else None
        disk = (
            Amount(rate.bytes * audio.hours, rate.guess or audio.guess)
            if size is None
            else Amount(size)
        )
        seconds = Amount(
            rate.seconds * audio.hours + FIXED_SECONDS * rate.guess, rate.guess or audio.guess
        )
        return Need(disk, Amount(rate.memory, rate.memory_guess), seconds)

    def rate(self, task: Task, device: str) -> Rate:
        """The rate of a step: as recorded, else as guessed.

        Parameters
        ----------
        task : Task
            Of the plan.
        device : str
            See `need`.
        """
        guess = (GUESSED_ON_GPU if device == "cuda" else {}).get(task.name) or GUESSED.get(
            task.name, OTHERS
        )
        facts = self.recorded.get(self.kind(task.name, task.options, task.inputs), [])
        peaks = [
            receipt["peak_memory_bytes"] for receipt, _ in facts if "peak_memory_bytes" in receipt
        ]
        facts = [fact for fact in facts if fact[1].hours]
        hours = sum(audio.hours for _, audio in facts)
        memory = max(peaks) if peaks else guess.memory
        if not hours:
            return Rate(guess.seconds, guess.bytes, memory, True, not peaks)
        written = sum(
            output["bytes"] for receipt, _ in facts for output in receipt["outputs"].values()
        )
        return Rate(
            sum(receipt["seconds"] for receipt, _ in facts) / hours,
            written / hours,
            memory,
            False,
            not peaks,
        )

    def need_of_training(self, task: Task, device: str) -> Need:
        """What is left of a training: by its own checkpoints where it has begun, else by a finished one of the same YAML.

        Parameters
        ----------
        task : Task
            Of steps.train.
        device : str
            See `need`.
        """
        steps = steps_of(task)
        alike = self.recorded.get(self.kind(task.name, task.options, task.inputs), ())
        facts = [receipt for receipt, _ in alike if receipt["counts"]["device"] == device]
        saved = sorted(
            (int(path.stem[5:]), path.stat().st_mtime)
            for path in (task.home / "checkpoints").glob("step-*.pt")
        )
        paces = [
            (after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(saved)
        ]
        paces = (
            [min(paces)]
            if paces
            else [receipt["seconds"] / receipt["counts"]["steps"] for receipt in facts]
        )
        pace = Amount(paces[-1]) if paces else Amount(STEP_SECONDS[device], guess=True)
        left = max(0, (steps or 0) - (saved[-1][0] if saved else 0))
        written = [
            sum(output["bytes"] for output in receipt["outputs"].values()) for receipt in facts
        ]
        peaks = [
            receipt["peak_memory_bytes"] for receipt in facts if "peak_memory_bytes" in receipt
        ]
        return Need(
            Amount(max(written)) if written else Amount(TRAINING_BYTES, guess=True),
            Amount(max(peaks)) if peaks else Amount(TRAINING_MEMORY, guess=True),
            Amount(pace.value * left, pace.guess or steps is None),
        )


def _at_once(cmd: str, jobs: int) -> int:
    """How many tasks of an array run at the same time on this machine, or on a cluster."""
    return min(jobs, max(1, int(usable_cores()))) if cmd == "local" else jobs


def need_of_stage(tasks: Iterable[tuple[Task, str]], rates: Rates, device: str, cmd: str) -> Need:
    """What the unfinished tasks of a stage need together: disk adds up, arrays share the time, memory is that of the largest moment.

    Parameters
    ----------
    tasks : iterable of (Task, str)
        Tasks and their states.
    rates : Rates
        Costs of steps.
    device, cmd : str
        As in the options of a recipe.
    """
    disk = seconds = memory = Amount()
    for task in (task for task, state in tasks if state != DONE):
        need = rates.need(task, device)
        together = _at_once(cmd, int(task.job.partition("/")[2])) if task.job else 1
        here = Amount(need.memory.value * (together if cmd == "local" else 1), need.memory.guess)
        disk = disk + need.disk
        seconds = seconds + Amount(need.seconds.value / together, need.seconds.guess)
        memory = max(memory, here, key=lambda amount: amount.value)
    return Need(disk, memory, seconds)
