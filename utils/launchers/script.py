"""The script of an array that a scheduler runs once for each task, and how a scheduler's commands are called."""

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

CARRIED = (
    "PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONUTF8",
    "LC_ALL",
    "OMP_WAIT_POLICY",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
)  # and SV_*
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
)  # beginnings of names: they change last digits
NOT_CARRIED = ("SV_STAGED", "SV_PLAN", "SV_RESUME")  # they belong to processes of this host
ANSWER_SECONDS = 120  # for one command of the scheduler


class NoAnswer(Exception):
    """The scheduler did not answer, or answered that it cannot now; asking again may help."""


def write_script(array: Array, name: str, tasks: Mapping[int, int], variable: str) -> Path:
    """Write the script beside the logs.

    Parameters
    ----------
    array : Array
        What is to run.
    name : str
        Of the submission; stands in the first line of each log.
    tasks : mapping of int to int
        The scheduler's number of a task -> JOB.
    variable : str
        Environment variable that holds the scheduler's number.
    """
    threads = array.cluster.asked(array.resources).get("num-threads", "1")
    carried = carried_ones() | {
        key: value
        for key, value in os.environ.items()
        if key.startswith("SV_") and key not in NOT_CARRIED
    }
    carried |= {
        "OMP_NUM_THREADS": threads,
        "SV_JOB_NAME": name,
        VISIBLE_SECONDS: f"{array.cluster.visible_seconds:g}",
    }
    lines = [
        "#!/usr/bin/env bash",
        "# Written by utils/launchers: runs the task whose number the scheduler gives.",
        *(f"export {key}={shlex.quote(value)}" for key, value in sorted(carried.items())),
        f"unset {' '.join(NOT_CARRIED)}",
        f"cd {shlex.quote(os.getcwd())} || exit 1",
        f"case ${{{variable}:-}} in",
        *(f"{number}) exec {shlex.join(array.words(job))} ;;" for number, job in tasks.items()),
        f'*) echo "no task ${{{variable}:-}}" >&2; exit 2 ;;',
        "esac",
    ]
    script = array.beside("sh")
    with atomic_write(script) as file:
        file.write("\n".join(lines) + "\n")
    return script


def carried_ones() -> dict[str, str]:
    """Variables of this process that a job gets too, whatever its scheduler passes on: where programs lie, and what decides how they compute."""
    return {
        key: value
        for key, value in os.environ.items()
        if key in CARRIED or key.startswith(ARITHMETIC)
    }


def ask(words: Sequence[str]) -> subprocess.CompletedProcess:
    """Run a command of the scheduler; the terminal's Ctrl-C does not reach it.

    Parameters
    ----------
    words : sequence of str
        The command line.

    Raises
    ------
    NoAnswer
        It hangs.
    UserError
        There is no such command.
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
        said = " ".join(
            os.fsdecode(error.stderr or b"").split()
        )  # sbatch says that Slurm has as many jobs as it takes, and goes on trying
        raise NoAnswer(
            f"{words[0]} gave no answer within {ANSWER_SECONDS} s{said and f': {said[:500]}'}"
        ) from None
    except FileNotFoundError:
        raise UserError(
            f"{words[0]}: not found on PATH; start from a login node, or load the scheduler's module; or --cmd local"
        ) from None


def words_of(done: subprocess.CompletedProcess) -> str:
    """What a command said, in one line.

    Parameters
    ----------
    done : CompletedProcess
        Its end.
    """
    return (
        " ".join((done.stderr or done.stdout).split())[:500]
        or f"exit code {done.returncode} and no word"
    )


def refuse_letter(letter: str, output: str, scheduler: str) -> None:
    """Refuse a folder for logs that the scheduler would take for another one.

    Parameters
    ----------
    letter : str
        Which it reads a meaning into, with no way to write the letter itself.
    output : str
        Path for a task's output.
    scheduler : str
        Its name, for the message.

    Raises
    ------
    UserError
        The letter is in the path.
    """
    if letter in output:
        raise UserError(
            f"{output}: {scheduler} takes no folder with '{letter}' in its name for logs; choose another --workdir"
        )


def in_ranges(numbers: Iterable[int]) -> str:
    """Task numbers in the fewest words, since schedulers take no long ones: ``1,4-6``.

    Parameters
    ----------
    numbers : iterable of int
        Growing.
    """
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def spread(numbers: str) -> list[int]:
    """Task numbers as schedulers write them.

    Parameters
    ----------
    numbers : str
        ``3``, ``1,4-6%2`` or ``1-7:2``; empty for a job that is no array.
    """
    spread_out: list[int] = []
    for part in filter(None, numbers.partition("%")[0].split(",")):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)
        assert found, f"task numbers '{numbers}'"
        first, last, step = found.groups()
        spread_out += range(int(first), int(last or first) + 1, int(step or 1))
    return spread_out
