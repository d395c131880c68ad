"""The script that a scheduler runs for each task, and calls of a scheduler's commands."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from utils.errors import UserError
from utils.files import atomic_write
from utils.launchers.array import Array
from utils.receipts import VISIBLE_SECONDS

# Variables that a job inherits, besides SV_*
CARRIED = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONUTF8",
    "LC_ALL",
    "OMP_WAIT_POLICY",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
)
# Prefixes of variables that change the last digits of results.
ARITHMETIC = (
    "ATEN_",
    "CUBLAS_",
    "CUDNN_",
    "DNNL_",
    "KMP_",
    "MKL_",
    "ONEDNN_",
    "OPENBLAS_",
    "TORCH_",
)
NOT_CARRIED = ("SV_STAGED", "SV_PLAN", "SV_RESUME")  # they belong to processes of this host
ANSWER_SECONDS = 120  # for one command of the scheduler


class NoAnswer(Exception):
    """The scheduler did not answer, or answered that it cannot now; asking again may help."""


def write_script(array: Array, name: str, tasks: Mapping[int, int], variable: str) -> Path:
    """Write the script beside the logs and return its path.

    `name` is that of the submission, for the logs; `tasks` maps the scheduler's numbers to JOB;
    `variable` is the environment variable with the scheduler's number.
    """
    environment = inherited_variables()
    for key, value in os.environ.items():
        if key.startswith("SV_") and key not in NOT_CARRIED:
            environment[key] = value
    asked = array.cluster.asked(array.resources)
    environment["OMP_NUM_THREADS"] = asked.get("num-threads", "1")
    environment["SV_JOB_NAME"] = name
    environment[VISIBLE_SECONDS] = f"{array.cluster.visible_seconds:g}"
    lines = [
        "#!/usr/bin/env bash",
        "# Written by utils/launchers: runs the task whose number the scheduler gives.",
    ]
    for key, value in sorted(environment.items()):
        lines.append(f"export {key}={shlex.quote(value)}")
    lines += [
        f"unset {' '.join(NOT_CARRIED)}",
        f"cd {shlex.quote(os.getcwd())} || exit 1",
        f"case ${{{variable}:-}} in",
    ]
    for number, job in tasks.items():
        lines.append(f"{number}) exec {shlex.join(array.words(job))} ;;")
    lines += [f'*) echo "no task ${{{variable}:-}}" >&2; exit 2 ;;', "esac"]
    script = array.beside("sh")
    with atomic_write(script) as file:
        file.write("\n".join(lines) + "\n")
    return script


def inherited_variables() -> dict[str, str]:
    """Variables that a job inherits: paths of programs, settings of arithmetic."""
    return {
        key: value
        for key, value in os.environ.items()
        if key in CARRIED or key.startswith(ARITHMETIC)
    }


def ask(words: Sequence[str]) -> subprocess.CompletedProcess:
    """Run a command of the scheduler, out of reach of Ctrl-C.

    NoAnswer: it hangs.  UserError: there is no such command.
    """
    environment = os.environ | {"SLURM_BITSTR_LEN": "0"}  # lists of task numbers unabridged
    try:
        return subprocess.run(
            words,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_SECONDS,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        message = f"{words[0]} gave no answer within {ANSWER_SECONDS} s"
        # sbatch reports that the limit of jobs is reached, and goes on trying
        output = " ".join(os.fsdecode(error.stderr or b"").split())
        if output:
            message += f": {output[:500]}"
        raise NoAnswer(message) from None
    except FileNotFoundError:
        raise UserError(
            f"{words[0]}: not found on PATH; start from a login node, or load the scheduler's "
            "module; or --cmd local"
        ) from None


def error_output(done: subprocess.CompletedProcess) -> str:
    """The output of a failed command, in one line."""
    output = " ".join((done.stderr or done.stdout).split())
    return output[:500] or f"exit code {done.returncode} without a message"


def refuse_letter(letter: str, output: str, scheduler: str) -> None:
    """Refuse an output path with a character that the scheduler interprets and cannot escape."""
    if letter in output:
        raise UserError(
            f"{output}: {scheduler} takes no folder with '{letter}' in its name for logs; "
            "choose another --workdir"
        )


def format_ranges(numbers: Iterable[int]) -> str:
    """Ascending task numbers in the shortest form, since schedulers limit it: ``1,4-6``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    parts = []
    for first, last in ranges:
        if first == last:
            parts.append(str(first))
        else:
            parts.append(f"{first}-{last}")
    return ",".join(parts)


def parse_ranges(numbers: str) -> list[int]:
    """Task numbers from a scheduler's form: ``3``, ``1,4-6%2``, ``1-7:2`` or empty."""
    every: list[int] = []
    for part in numbers.partition("%")[0].split(","):
        if not part:
            continue
        match = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)
        assert match, f"task numbers '{numbers}'"
        first, last, step = match.groups()
        every += range(int(first), int(last or first) + 1, int(step or 1))
    return every
