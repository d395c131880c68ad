"""Units of work with receipts: the record that the work is done, and with what.

A step makes a `Task`, asks `is_done()`, works, and calls `finish()`, which writes the receipt last.
Work is done if the receipt exists, the sizes of its outputs agree, and FORMAT, options and input
contents are the same.  Modification times do not count.  Big archives are not read again: their
checksums were computed while they were written and are in the receipt, whose fingerprint later
steps record.
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
    file_sha256,
    make_folder,
    move_aside,
    naming,
    refresh_listing,
    staging_folder,
    wait_until_visible,
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

# Work that took longer is never redone without --force (docs/architecture.md).
EXPENSIVE_CORE_SECONDS = 600
EXPERIMENT = "SV_EXPERIMENT"  # in the steps of a recipe: the folder that --name renames
# In the jobs of a cluster: how long files of another host may take to become visible.
VISIBLE_SECONDS = "SV_VISIBLE_SECONDS"

DONE, STALE, UNFINISHED, NEVER = "done", "stale", "unfinished", "never run"


@dataclass
class Status:
    """Whether a task is done, and why not.

    Attributes
    ----------
    state : str
        ``done``, ``stale``, ``unfinished`` or ``never run``.
    reason : str
        What changed or is missing; empty when done.
    task : Task
        The task.
    remade_by : dict of path to int
        Inputs that an earlier stage has to make again, and that stage; set for a whole plan.
    is_begun : bool
        The work is running, or was interrupted and can go on; the reason says how far it is.
    is_shared : bool
        Other experiments use the output too; set for a whole plan.
    """

    state: str
    reason: str
    task: "Task"
    remade_by: dict[Path, int] = field(default_factory=dict)
    is_begun: bool = False
    is_shared: bool = False


@dataclass
class Mode:
    """Whether steps work, or only report the statuses of their tasks.

    While ``checking``, `Task.is_done` adds the status to ``collected`` and returns True.  Commands
    of a plan leave ``notes`` for later ones on what they will make: (subject, folder) -> anything.
    """

    checking: bool = False
    collected: list[Status] = field(default_factory=list)
    notes: dict[tuple[str, Path], Any] = field(default_factory=dict)

    def note(self, subject: str, folder: Path, content: object) -> None:
        """Leave a note on a folder that a command will make; ignored outside of a check."""
        if self.checking:
            self.notes[subject, Path(folder).absolute()] = content

    def noted(self, subject: str, folder: Path) -> Any:
        """The note that an earlier command of the plan left; None without one."""
        return self.notes.get((subject, Path(folder).absolute()))


MODE = Mode()


def data_dir_inputs(data: Path, *files: str) -> dict[str, Path]:
    """Inputs of a step that reads a data directory: its lists and the receipt of how it was made.

    Parameters
    ----------
    data : path
        Data directory.
    *files : str
        Names of the lists that matter; those that do not exist are left out, except wav.scp.
    """
    data = Path(data)
    for folder in (data, data / "receipts"):
        refresh_listing(folder)  # else files of another host would not be among the inputs
    inputs = {}
    for name in files:
        if name == "wav.scp" or (data / name).exists():
            inputs[name] = data / name
    made = data / "receipts" / "made.json"
    if made.exists():
        inputs["made"] = made
    return inputs


class Task:
    """One unit of work with a receipt at ``home/receipts/<name>[.<job>].json``.

    Parameters
    ----------
    home : path
        Folder of the outputs; paths in the receipt are relative to it.
    name : str
        Name of the step, or ``made`` for the step that makes a data directory.
    format : int
        Raised by the step when its output changes meaning.
    inputs : mapping of str to path
        Files that the output depends on; a receipt stands for the archives that it lists.
    options : mapping
        Resolved options that change the output (JSON values and paths).
    job : str or None
        ``3/8`` for the third part of eight; None for work that is not an array.
    expensive : bool
        When stale, it is only redone with --force (docs/architecture.md).
    expected_bytes : callable or None
        Forecast of the size of the outputs, for the dry run; called only if it is not done.
    expected_audio : (int, float) or None
        Forecast of utterances and hours of a data directory that is prepared, for the dry run.
    leftover_patterns : tuple of str
        Patterns of files below home that the step may leave beside its outputs, or before its
        receipt: for `utils.plan.clean`.
    scanned_folders : sequence of path
        Folders of which the step reads all files: those that are made later are inputs too.
    values : mapping of str to Values
        For ``input LABEL`` or ``option NAME`` of a YAML: compared by value, not by bytes.
    describe_progress : callable
        Returns how far interrupted work is, in words; empty if it has not begun.
    explain : mapping of str to callable
        For options that are checksums: returns what differs, in words.
    shared : bool
        Small and used by several experiments: the lock of the task is enough.
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
        self.leftover_patterns, self.scanned_folders = leftover_patterns, scanned_folders
        self.describe_progress = describe_progress
        self.values, self.explain, self.shared = values or {}, explain or {}, shared
        part = f".{job.replace('/', 'of')}" if job else ""
        self.path = self.home / "receipts" / f"{name}{part}.json"
        self.inputs = {label: Path(path) for label, path in inputs.items()}
        self.format = format
        all_options = dict(options)
        if job:
            all_options["job"] = job
        self.options = json.loads(json.dumps(all_options, default=str))
        self.started = time.time()
        self.counts: dict = {}

    def is_done(self) -> bool:
        """True if there is nothing to do; prints the reason if finished work is redone.

        Raises
        ------
        UserError
            An input is missing, or the output is stale and expensive.
        """
        if not MODE.checking:
            wait_until_visible(self.inputs.values(), float(os.environ.get(VISIBLE_SECONDS, "0")))
        status = self.status()
        if MODE.checking:
            MODE.collected.append(status)
            return True
        if status.state == DONE:
            return True
        missing = self._missing_inputs()
        if missing:
            raise UserError(
                f"{self.name}: {missing[0]} is missing: the step that makes it has not finished; "
                "run the earlier stage first"
            )
        if status.state == STALE and self._is_expensive():
            self._refuse_without_force(status.reason)
        # Of the processes that torchrun starts, only the first touches files.
        if int(os.environ.get("RANK", "0")):
            return False
        self._lock()
        if status.state == STALE or staging_folder(self.home, f".{self.path.stem}").exists():
            self._replace_stale(status.reason)
        self.path.unlink(missing_ok=True)
        self.started, self.started_core = time.time(), core_seconds()
        return False

    def _missing_inputs(self) -> list[Path]:
        return [path for path in self.inputs.values() if not path.exists()]

    def status(self) -> Status:
        """The task's `Status`, from its receipt and the present contents of its inputs."""
        receipt = read_receipt(self.path)
        if receipt is None:
            return self._status_without_receipt()
        self.counts = receipt["counts"]
        fault = first_bad_output(self.home, receipt["outputs"])
        if fault:
            return Status(UNFINISHED, fault, self)
        change = next(self.changes(receipt), None)
        if change:
            return Status(STALE, change.summary, self)
        return Status(DONE, "", self)

    def _status_without_receipt(self) -> Status:
        if self._done_in_another_split():
            return Status(DONE, "", self)
        progress = self.describe_progress()
        if progress:
            return Status(UNFINISHED, progress, self, is_begun=True)
        missing = self._missing_inputs()
        return Status(NEVER, f"needs {missing[0]}" if missing else "", self)

    def changes(self, receipt: Mapping) -> Iterator[Change]:
        """What differs between a receipt and today: FORMAT, options, inputs."""
        if receipt["format"] != self.format:
            old, new = receipt["format"], self.format
            yield Change(
                f"{self.name} has FORMAT {new}, its output was made by FORMAT {old}",
                f"FORMAT of {self.name}: {old} -> {new}",
            )
        for name, change in changed_values("option", receipt["options"], self.options):
            if name in self.explain and name in receipt["options"]:
                explanation = self.explain[name]()
                yield Change(explanation, explanation)
            else:
                option = receipt["options"].get(name)
                yield from self._by_values("option", name, option, receipt, change)
        for label in sorted(receipt["inputs"].keys() | self.inputs.keys()):
            recorded, path = receipt["inputs"].get(label), self.inputs.get(label)
            input_change = changed_input(label, recorded, path, self._is_config(label))
            if input_change:
                is_on_both_sides = recorded is not None and path is not None and path.exists()
                content = recorded["content"] if is_on_both_sides else None
                yield from self._by_values("input", label, content, receipt, input_change)

    def _is_config(self, label: str) -> bool:
        """True for an input that is a YAML, which is compared by value."""
        return f"input {label}" in self.values

    def _by_values(
        self, kind: str, name: str, recorded: object, receipt: Mapping, change: Change
    ) -> Iterator[Change]:
        """The change of an input or option; where its values are known, their changes, if any."""
        values = self.values.get(f"{kind} {name}")
        before = None
        if values and recorded is not None:
            before = receipt.get("values", {}).get(f"{kind} {name}")
            if before is None:
                before = values.before(recorded)
        if values is None or before is None:
            yield change
            return
        label = str(self.inputs[name]) if kind == "input" else f"option {name}"
        yield from values.changes(label, before)

    def _current(self) -> dict:
        """Today's FORMAT, options, inputs and values, as a receipt records them."""
        inputs = {}
        for label, path in self.inputs.items():
            content = fingerprint(path, self._is_config(label))
            inputs[label] = {"path": str(path), "content": content}
        entries = {"format": self.format, "options": self.options, "inputs": inputs}
        if self.values:
            entries["values"] = {name: values.now() for name, values in self.values.items()}
        return entries

    def finish(self, outputs: Iterable, counts: Mapping | None = None) -> dict:
        """Write the receipt, as the last action of a step; returns the counts.

        Parameters
        ----------
        outputs : iterable of paths and archive writers
            Everything that was written below home; writers already know their checksums.
        counts : mapping
            Utterances in, kept, dropped, ...
        """
        written: dict[str, Mapping] = {}
        for output in outputs:
            described = getattr(output, "outputs", None)
            if described is None:
                facts = {"bytes": os.path.getsize(output), "sha256": file_sha256(output)}
                described = {str(output): facts}
            for path, facts in described.items():
                written[os.path.relpath(path, self.home)] = facts
        self.counts = dict(counts or {})
        receipt = {
            "step": self.name,
            **self._current(),
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
        """Record today's options and inputs as those that the existing outputs were made from."""
        receipt = read_receipt(self.path)
        if receipt is None or first_bad_output(self.home, receipt["outputs"]):
            raise UserError(f"{self.path}: only finished work can be accepted; run its stage")
        self._write(receipt | self._current() | {"accepted": True})

    def verify(self) -> list[str]:
        """A message for each output whose bytes are not those that were written."""
        receipt = read_receipt(self.path)
        if receipt is None:
            return []
        return list(bad_outputs(self.home, receipt["outputs"], read_all=True))

    def _lock(self) -> None:
        """Keep other processes from the same work; the kernel drops the lock of a dead process."""
        make_folder(self.path.parent)
        path = self.path.with_name(f".{self.path.stem}.lock")
        self.lock = open(path, "w")  # noqa: SIM115 - open for as long as the task
        try:
            with naming(self.lock.name):
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path}: another process is doing this work; wait for it, or stop it and run "
                "the same command again"
            ) from None

    def _done_in_another_split(self) -> bool:
        """True if the whole array was finished with another number of jobs; outputs are equal."""
        if self.job is None:
            return False
        first_parts = self.path.parent.glob(f"{self.name}.1of*.json")
        for jobs in {int(path.stem.rpartition("of")[2]) for path in first_parts}:
            tasks = self._split(jobs)
            if all(task.path.exists() and task.status().state == DONE for task in tasks):
                return True
        return False

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
        if self.expensive:
            return True
        return existing_receipt(self.path)["core_seconds"] > EXPENSIVE_CORE_SECONDS

    def _refuse_without_force(self, reason: str) -> None:
        if os.environ.get("SV_FORCE") == "1":
            return
        remedies = ["--force redoes it (the old output is moved aside)"]
        if os.environ.get("SV_STAGED"):
            remedies.append("--accept STAGE keeps it")
        experiment = os.environ.get(EXPERIMENT)
        if experiment and self.home.absolute().is_relative_to(Path(experiment).absolute()):
            remedies.append("--name NEW makes another experiment beside it")
        raise UserError(f"{self.path}: stale: {reason}; {', '.join(remedies)}")

    def _replace_stale(self, reason: str) -> None:
        label, receipt = f".{self.path.stem}", read_receipt(self.path)
        moved = ""
        if staging_folder(self.home, label).exists() or self._is_expensive():
            outputs = receipt["outputs"] if receipt else ()
            own = str(self.path.relative_to(self.home))
            # the receipt goes last: it names the others
            aside = move_aside(self.home, [*outputs, own], label)
            moved = f" by --force; the old output is in {aside}"
        print(f"{self.path}: redone{moved}: {reason}", file=sys.stderr)

    def _write(self, receipt: dict) -> None:
        with atomic_write(self.path) as file:
            json.dump(receipt, file, indent=1, default=str)
            file.write("\n")
