"""Receipts: the proof that a piece of work is done, and with what.

A step makes a `Task`, asks `is_done()`, works, and calls `finish()`, which writes the receipt last.  Done = the receipt is there and the sizes of
its outputs agree.  Fresh = it was made by the same FORMAT, options and input contents.  Modification times are never looked at, and big archives are
not read again: their checksums were computed while they were written and stand in the receipt, which is the fingerprint that later steps record.
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import (
    atomic_write,
    half_moved,
    look_anew,
    make_folder,
    move_aside,
    naming,
    sha256_of,
    wait_until_there,
)
from utils.machine import commit, core_seconds, peak_memory_bytes
from utils.receipts.contents import (
    Change,
    bad_outputs,
    changed_input,
    changed_values,
    existing_receipt,
    fingerprint,
    first_bad_output,
    read_receipt,
)
from utils.receipts.values import Values

EXPENSIVE_CORE_SECONDS = 600  # DESIGN.md section 4: what took more than 10 minutes of core time is never redone without leave
EXPERIMENT = "SV_EXPERIMENT"  # in the steps of a recipe: the folder that --name calls otherwise
VISIBLE_SECONDS = "SV_VISIBLE_SECONDS"  # in the jobs of a cluster: how long files that another host wrote may take to be seen

DONE, STALE, UNFINISHED, NEVER = "done", "stale", "unfinished", "never run"


@dataclass
class Status:
    """Whether one task is done, and why not.

    Attributes
    ----------
    state : str
        ``done``, ``stale``, ``unfinished`` or ``never run``.
    reason : str
        What changed or is missing; empty when done.
    task : Task
        Whose status it is.
    again : dict of path to int
        Inputs that an earlier stage has to make again, and that stage; known where a whole plan was examined.
    is_begun : bool
        True of work that runs, or goes on where it was interrupted: the reason says so.
    is_shared : bool
        True where other experiments use it too: it says so, or lies in none of the folders that are the recipe's own; known as ``again`` is.
    """

    state: str
    reason: str
    task: "Task"
    again: dict[Path, int] = field(default_factory=dict)
    is_begun: bool = False
    is_shared: bool = False


@dataclass
class Mode:
    """How steps treat their tasks: ``run`` works; ``check`` only collects each task's status; see utils/plan/__main__.py.

    Attributes
    ----------
    checking : bool
        True while a plan is evaluated: `Task.is_done` records its status and answers True.
    collected : list of Status
        What was recorded.
    notes : dict
        What the commands of a plan say of what they will make, for those that come after: (subject, folder) -> anything.
    """

    checking: bool = False
    collected: list[Status] = field(default_factory=list)
    notes: dict[tuple[str, Path], Any] = field(default_factory=dict)

    def note(self, subject: str, folder: Path, content: object) -> None:
        """Say something of a folder that a command will make; outside of a check nobody asks.

        Parameters
        ----------
        subject : str
            What is told.
        folder : path
            Of what.
        content : anything
            The answer.
        """
        if self.checking:
            self.notes[subject, Path(folder).absolute()] = content

    def noted(self, subject: str, folder: Path) -> Any:
        """What an earlier command of the plan said; None where none did.

        Parameters
        ----------
        subject, folder
            As of `note`.
        """
        return self.notes.get((subject, Path(folder).absolute()))


MODE = Mode()


def data_dir_inputs(data: Path, *files: str) -> dict[str, Path]:
    """Inputs of a step that reads a data directory: the lists it reads, and the receipt of the step that made the directory.

    Parameters
    ----------
    data : path
        Data directory.
    *files : str
        Names of its files that matter, for example ``wav.scp``; those that do not exist are left out, but for wav.scp.
    """
    data = Path(data)
    for folder in (data, data / "receipts"):
        look_anew(folder)  # what is not seen yet would not be among the inputs
    wanted = {name: data / name for name in files if name == "wav.scp" or (data / name).exists()}
    made = data / "receipts" / "made.json"
    return wanted | ({"made": made} if made.exists() else {})


class Task:
    """One unit of work with a receipt at ``home/receipts/<name>[.<job>].json``.

    Parameters
    ----------
    home : path
        Folder that holds the outputs; paths in the receipt are relative to it.
    name : str
        Name of the step, or ``made`` for the step that makes a data directory.
    format : int
        Raised by the step when its output changes meaning.
    inputs : mapping of str to path
        Files that the output depends on; a receipt among them stands for the archives that it lists.
    options : mapping
        Resolved options that change the output (JSON values and paths).
    job : str or None
        ``3/8`` for the third part of eight; None for work that is not an array.
    expensive : bool
        Costly: when stale it stops with the reason, instead of being redone (DESIGN.md section 4).
    expected_bytes : callable or None
        Forecast of the size of the outputs, for the dry run; called only when it is not done.
    expected_audio : (int, float) or None
        Forecast of the utterances and hours of a data directory that is made of nothing, for the dry run.
    leftover_patterns : tuple of str
        Patterns of files below home that the step may leave beside its outputs, or before its receipt: for `utils.plan.clean`.
    scanned_folders : sequence of path
        Folders below which the step takes whatever is there: what is made there later is an input that it does not know yet.
    values : mapping of str to Values
        By ``input LABEL`` or ``option NAME``, of those that a YAML says: compared by what it says, however it is written.
    describe_progress : callable
        Of work that goes on where it was interrupted: says how far it is, in words, and nothing where it has not begun.
    explain : mapping of str to callable
        Of options that are checksums: says in words what differs.
    shared : bool
        Small, and of use to several experiments: beside its own lock none is needed.
    """

    def __init__(
        self,
        home: Path,
        name: str,
        *,
        format: int,
        inputs: Mapping[str, Path],
        options: Mapping,
        job: str | None = None,
        expensive: bool = False,
        expected_bytes=None,
        expected_audio: tuple[int, float] | None = None,
        leftover_patterns: tuple[str, ...] = (),
        scanned_folders: Sequence[Path] = (),
        values: Mapping[str, Values] | None = None,
        describe_progress: Callable[[], str] = str,
        explain: Mapping[str, Callable[[], str]] | None = None,
        shared: bool = False,
    ):
        self.home, self.name, self.job, self.expensive = Path(home), name, job, expensive
        self.expected_bytes, self.expected_audio = expected_bytes, expected_audio
        part = "." + job.replace("/", "of") if job else ""
        self.leftover_patterns, self.scanned_folders = leftover_patterns, scanned_folders
        self.describe_progress = describe_progress
        self.values, self.explain, self.shared = values or {}, explain or {}, shared
        self.path = self.home / "receipts" / f"{name}{part}.json"
        self.inputs = {label: Path(path) for label, path in inputs.items()}
        self.format = format
        self.options = json.loads(
            json.dumps({**options, **({"job": job} if job else {})}, default=str)
        )
        self.started = time.time()
        self.counts: dict = {}

    def is_done(self) -> bool:
        """True when there is nothing to do; says why when it has to be redone.

        Raises
        ------
        UserError
            An input is missing, or the output is stale and expensive.
        """
        if not MODE.checking:
            wait_until_there(self.inputs.values(), float(os.environ.get(VISIBLE_SECONDS, "0")))
        status = self.status()
        if MODE.checking:
            MODE.collected.append(status)
            return True
        if status.state == DONE:
            return True
        missing = [path for path in self.inputs.values() if not path.exists()]
        if missing:
            raise UserError(
                f"{self.name}: {missing[0]} is missing: the step that makes it has not finished; run the earlier stage first"
            )
        if status.state == STALE and self._is_expensive():
            self._refuse_without_force(status.reason)
        # Of the processes that torchrun started the first one alone touches files.
        if int(os.environ.get("RANK", "0")):
            return False
        self._lock()
        if status.state == STALE or half_moved(self.home, f".{self.path.stem}").exists():
            self._replace_stale(status.reason)
        self.path.unlink(missing_ok=True)
        self.started, self.started_core = time.time(), core_seconds()
        return False

    def status(self) -> Status:
        """The task's `Status`, from its receipt and the present contents of its inputs."""
        receipt = read_receipt(self.path)
        if receipt is None and self._done_in_another_split():
            return Status(DONE, "", self)
        if receipt is None:
            missing = [str(path) for path in self.inputs.values() if not path.exists()]
            if progress := self.describe_progress():
                return Status(UNFINISHED, progress, self, is_begun=True)
            return Status(NEVER, f"needs {missing[0]}" if missing else "", self)
        self.counts = receipt["counts"]
        fault = first_bad_output(self.home, receipt["outputs"])
        if fault:
            return Status(UNFINISHED, fault, self)
        change = next(self.changes(receipt), None)
        return Status(STALE, change.phrase, self) if change else Status(DONE, "", self)

    def changes(self, receipt: Mapping) -> Iterator[Change]:
        """What differs between a receipt and today: FORMAT, options, inputs.

        Parameters
        ----------
        receipt : mapping
            What the finished work was made with.
        """
        if receipt["format"] != self.format:
            yield Change(
                f"{self.name} has FORMAT {self.format}, its output was made by FORMAT {receipt['format']}",
                f"FORMAT of {self.name}: {receipt['format']} -> {self.format}",
            )
        for name, change in changed_values("option", receipt["options"], self.options):
            if name in self.explain and name in receipt["options"]:
                words = self.explain[name]()
                yield Change(words, words)
                continue
            yield from self._by_values(
                "option", name, receipt["options"].get(name), receipt, change
            )
        for label in sorted(receipt["inputs"].keys() | self.inputs.keys()):
            recorded, path = receipt["inputs"].get(label), self.inputs.get(label)
            differs = changed_input(label, recorded, path, f"input {label}" in self.values)
            if not differs:
                continue
            is_there = recorded is not None and path is not None and path.exists()
            content = recorded["content"] if recorded and is_there else None
            yield from self._by_values("input", label, content, receipt, differs)

    def _by_values(
        self, kind: str, name: str, recorded: object, receipt: Mapping, change: Change
    ) -> Iterator[Change]:
        """A change of an input or an option, or what changed in the values that it stands for: perhaps nothing."""
        values = self.values.get(f"{kind} {name}")
        before = None
        if values and recorded is not None:
            before = receipt.get("values", {}).get(f"{kind} {name}")
            before = values.before(recorded) if before is None else before
        if values is None or before is None:
            yield change
            return
        label = str(self.inputs[name]) if kind == "input" else f"option {name}"
        yield from values.changes(label, before)

    def _recorded(self) -> dict:
        """What the receipt says of today's FORMAT, options and inputs."""
        values = {name: each.now() for name, each in self.values.items()}
        return {
            "format": self.format,
            "options": self.options,
            "inputs": {
                label: {
                    "path": str(path),
                    "content": fingerprint(path, f"input {label}" in self.values),
                }
                for label, path in self.inputs.items()
            },
        } | ({"values": values} if values else {})

    def finish(self, outputs: Iterable, counts: Mapping | None = None) -> dict:
        """Write the receipt: the last thing that a step does.

        Parameters
        ----------
        outputs : iterable of paths and archive writers
            Everything that was written under home; writers know their checksums already.
        counts : mapping
            What was counted: utterances in, kept, dropped, ...

        Returns
        -------
        dict
            The counts.
        """
        written: dict[str, Mapping] = {}
        for output in outputs:
            described = getattr(output, "outputs", None)
            if described is None:
                described = {
                    str(output): {"bytes": os.path.getsize(output), "sha256": sha256_of(output)}
                }
            written |= {
                os.path.relpath(path, self.home): facts for path, facts in described.items()
            }
        self.counts = dict(counts or {})
        receipt = {
            "step": self.name,
            **self._recorded(),
            "outputs": dict(sorted(written.items())),
            "counts": self.counts,
            "seconds": round(time.time() - self.started, 2),
            "core_seconds": round(core_seconds() - self.started_core, 2),
            "peak_memory_bytes": peak_memory_bytes(),
            "command": sys.argv,
            "commit": commit(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self._write(receipt)
        self.lock.close()
        return self.counts

    def accept(self) -> None:
        """Bless outputs that exist whole: record today's options and inputs as those that they were made from."""
        receipt = read_receipt(self.path)
        if receipt is None or first_bad_output(self.home, receipt["outputs"]):
            raise UserError(f"{self.path}: only finished work can be accepted; run its stage")
        self._write(receipt | self._recorded() | {"accepted": True})

    def verify(self) -> list[str]:
        """A sentence for each output whose bytes are not those that were written."""
        receipt = read_receipt(self.path)
        return list(bad_outputs(self.home, receipt["outputs"], read_all=True)) if receipt else []

    def _lock(self) -> None:
        """Keep other processes from the same work for as long as this one lives; the kernel drops the lock of a dead process."""
        make_folder(self.path.parent)
        self.lock = open(self.path.with_name(f".{self.path.stem}.lock"), "w")  # noqa: SIM115 - open for as long as the task
        try:
            with naming(self.lock.name):
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path}: another process is at this work; wait for it, or stop it and run the same command again"
            ) from None

    def _done_in_another_split(self) -> bool:
        """True when the whole array was finished with another number of jobs: that number changes nothing, so it is no reason to work again."""
        if self.job is None:
            return False
        splits = {
            path.stem.rpartition("of")[2]
            for path in self.path.parent.glob(f"{self.name}.1of*.json")
        }
        return any(
            all(
                task.path.exists() and task.status().state == DONE
                for task in self._split(int(jobs))
            )
            for jobs in splits
        )

    def _split(self, jobs: int) -> list["Task"]:
        options = {key: value for key, value in self.options.items() if key != "job"}
        return [
            Task(
                self.home,
                self.name,
                format=self.format,
                inputs=self.inputs,
                options=options,
                job=f"{job}/{jobs}",
                values=self.values,
            )
            for job in range(1, jobs + 1)
        ]

    def _is_expensive(self) -> bool:
        return (
            self.expensive or existing_receipt(self.path)["core_seconds"] > EXPENSIVE_CORE_SECONDS
        )

    def _refuse_without_force(self, reason: str) -> None:
        if os.environ.get("SV_FORCE") != "1":
            remedies = ["--force redoes it (the old output is moved aside)"]
            if os.environ.get("SV_STAGED"):
                remedies.append("--accept STAGE keeps it")
            experiment = os.environ.get(EXPERIMENT)
            if experiment and self.home.absolute().is_relative_to(Path(experiment).absolute()):
                remedies.append("--name NEW makes another experiment beside it")
            raise UserError(f"{self.path}: stale: {reason}; {', '.join(remedies)}")

    def _replace_stale(self, reason: str) -> None:
        where, label, receipt = "", f".{self.path.stem}", read_receipt(self.path)
        if half_moved(self.home, label).exists() or self._is_expensive():
            outputs = receipt["outputs"] if receipt else ()
            own = str(self.path.relative_to(self.home))
            # the receipt goes last: it names the others
            aside = move_aside(self.home, [*outputs, own], label)
            where = f" by --force; the old output is in {aside}"
        print(f"{self.path}: redone{where}: {reason}", file=sys.stderr)

    def _write(self, receipt: dict) -> None:
        with atomic_write(self.path) as file:
            json.dump(receipt, file, indent=1, default=str)
            file.write("\n")
