"""Inputs for readers, many in one forked process.

Whatever ends that process is a finding, and the input that did it is known.
"""

import contextlib
import faulthandler
import json
import mmap
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.fuzz.guard import BLOCKED_SECONDS, CPU_SECONDS, Guard, limit_memory
from tests.fuzz.target import OF_ONE_SEED, Files, Place, Target, write_input
from utils.errors import UserError
from utils.foreign import sandbox

AT_A_TIME = 250  # inputs of one process
MARKER = (
    Path(tempfile.gettempdir()) / "sv_fuzz_was_here"
)  # what planted commands and pickles would make
SIGNALS = {
    signal.SIGPROF: f"more than {CPU_SECONDS} s of work",
    signal.SIGALRM: f"asleep for {BLOCKED_SECONDS} s",
}
CURRENT, READ, REFUSED = range(3)  # what a process tells while it works


@dataclass
class Finding:
    """An input that a reader did not read and did not refuse.

    Attributes
    ----------
    number : int
        Of the input.
    what : str
        Exception, signal, or what was written or started.
    where : str
        The line of ours that it came out of.
    text : str
        Traceback.
    """

    number: int
    what: str
    where: str
    text: str = field(repr=False)

    @property
    def kind(self) -> str:
        """The same for findings of one fault."""
        return f"{self.where} {re.sub(r'[0-9]+', '#', self.what.partition(':')[0])}"


@dataclass
class Tally:
    """Numbers of inputs, and of the calls that returned and that refused by a UserError."""

    inputs: int = 0
    read: int = 0
    refused: int = 0


def try_inputs(
    target: Target, numbers: Sequence[int], tally: Tally, inputs: Sequence[Files] | None = None
) -> Iterator[Finding]:
    """Give inputs to the readers of a target.

    Parameters
    ----------
    target : Target
        Whose inputs.
    numbers : sequence of int
        Which.
    tally : Tally
        Is counted on.
    inputs : sequence of Files or None
        In place of those that the numbers stand for.

    Yields
    ------
    Finding
        In the order of the inputs.
    """
    assert target.seeds, f"{target.name} has no seeds"
    done = 0
    while done < len(numbers):
        some = range(done, min(done + AT_A_TIME, len(numbers)))
        with tempfile.TemporaryDirectory(
            dir="/dev/shm" if os.path.isdir("/dev/shm") else None, prefix="sv_fuzz."
        ) as scratch:
            told = mmap.mmap(-1, 24)
            log = Path(scratch) / "log"
            child = os.fork()
            if not child:
                _work(
                    target,
                    [numbers[k] for k in some],
                    inputs and [inputs[k] for k in some],
                    Path(scratch),
                    told,
                    log,
                )
            status = os.waitpid(child, 0)[1]
            current, read, refused = np.frombuffer(told, np.int64).tolist()
            tally.read, tally.refused = tally.read + read, tally.refused + refused
            if status == 0:
                tally.inputs += len(some)
                done = some.stop
                continue
            tally.inputs += current + 1
            done = some.start + current + 1
            yield _finding(numbers[some.start + current], status, log.read_text(errors="replace"))


def _work(target: Target, numbers, inputs, scratch: Path, told: mmap.mmap, log: Path) -> None:
    """The forked process, which never returns."""
    code, guard = 1, None
    try:
        with open(log, "a") as opened, open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(opened.fileno(), 2)
        faulthandler.enable()
        warnings.simplefilter("ignore")
        sys.dont_write_bytecode, os.environ["PATH"] = (
            True,
            "",
        )  # no program is to be found: ffmpeg is none of the readers
        place = Place(scratch / "a/b/given", scratch / "a/b/output")
        for folder in (place.given, place.output):
            folder.mkdir(parents=True)
        os.mkfifo(scratch / "a/b/pipe")
        os.chdir(place.given)
        sandbox.LEAST_CPU_SECONDS = min(3, sandbox.LEAST_CPU_SECONDS)  # well below BLOCKED_SECONDS
        progress, guard = np.frombuffer(told, np.int64), Guard(place.output)
        limit_memory()
        for k, number in enumerate(numbers):
            progress[CURRENT] = k
            read = _reads(target, inputs[k] if inputs else target.input(number), place, guard)
            progress[READ], progress[REFUSED] = (
                progress[READ] + read,
                progress[REFUSED] + len(target.readers) - read,
            )
            os.truncate(2, 0)  # what readers print
        code = 0
    finally:
        if guard:
            guard.armed = False
        if sys.exc_info()[0]:
            traceback.print_exc(file=open(log, "a"))  # noqa: SIM115 - the process ends here
        os._exit(code)


def _reads(target: Target, files: Files, place: Place, guard: Guard) -> int:
    """How many of the readers take an input."""
    write_input(files, place.given)
    expected, read = _listing(place.given.parents[2], place.output), 0
    for reader in target.readers.values():
        guard.arm()
        with contextlib.suppress(UserError):
            reader(place)
            read += 1
        guard.disarm()
    left = _listing(place.given.parents[2], place.output)
    assert left == expected, f"written outside the output folder: {sorted(left ^ expected)[:3]}"
    assert not MARKER.exists(), f"a command or pickle was run: {MARKER} is there"
    for folder in (place.given, place.output):
        _empty(folder)
    return read


def _listing(folder: Path, but: Path) -> set[tuple[str, int]]:
    """Names and sizes of all files of a folder, without what is in one folder of it."""
    found = set()
    for here, names, files in os.walk(folder):
        names[:] = [name for name in names if os.path.join(here, name) != str(but)]
        found |= {
            (os.path.join(here, name), os.lstat(os.path.join(here, name)).st_size)
            for name in files
            if name != "log"
        }
        found |= {(os.path.join(here, name), -1) for name in names}
    return found


def _empty(folder: Path) -> None:
    for entry in os.scandir(folder):
        shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else os.unlink(entry.path)


def _finding(number: int, status: int, text: str) -> Finding:
    MARKER.unlink(missing_ok=True)
    if os.WIFSIGNALED(status):
        by = os.WTERMSIG(status)
        return Finding(
            number,
            SIGNALS.get(by, f"killed by {signal.Signals(by).name}"),
            _where(text),
            text[-4000:],
        )
    lines = [line for line in text.splitlines() if re.match(r"[\w.]+(:|$)", line)] or ["?"]
    return Finding(number, lines[-1][:300], _where(text), text[-4000:])


def _where(text: str) -> str:
    """The last line of ours of a traceback."""
    ours = re.findall(r'File "[^"]*?((?:utils|steps|local)/[\w/]+\.py)", line (\d+)', text)
    return ":".join(ours[-1]) if ours else "-"


def run_for(
    target: Target, seconds: float, first: int, most: int = OF_ONE_SEED
) -> tuple[Tally, list[Finding], float]:
    """Draw inputs for some time.

    Parameters
    ----------
    target : Target
        Whose.
    seconds : float
        By the clock.
    first : int
        Number of the first input.
    most : int
        Number of inputs at most.

    Returns
    -------
    tally, findings, seconds : Tally, list of Finding, float
        Of each kind of finding the first five.
    """
    start, tally, found, seen = time.monotonic(), Tally(), [], {}
    while time.monotonic() - start < seconds and tally.inputs < most:
        some = range(first + tally.inputs, first + min(most, tally.inputs + AT_A_TIME))
        for finding in try_inputs(target, some, tally):
            seen[finding.kind] = seen.get(finding.kind, 0) + 1
            if seen[finding.kind] <= 5:
                found.append(finding)
                print(
                    f"{target.name} {finding.number}: {finding.what} at {finding.where}", flush=True
                )
            if time.monotonic() - start >= seconds:
                break
    return tally, found, time.monotonic() - start


def write_record(
    path: Path, target: Target, tally: Tally, findings: Sequence[Finding], seconds: float
) -> None:
    """Write what a run has done as JSON."""
    record = {
        "target": target.name,
        "readers": list(target.readers),
        "seconds": round(seconds),
        **vars(tally),
        "findings": [vars(one) for one in findings],
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
