"""One task of an array, wherever it runs: `python -m utils.launchers.task LOG COMMAND...` writes the log's first and last line around the command."""

import errno
import fcntl
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from utils.files import make_folder

TIME_IS_NEARLY_OVER = {signal.SIGUSR1, signal.SIGUSR2}  # sbatch --signal=B:USR1@120; qsub -notify
GRID_ENGINE_QUEUES_AGAIN = 99  # man qsub
# a file system without them; receipts have a lock of their own
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)


def run_task(log: Path, command: list[str]) -> int:
    """Run a command with its output in a log file.

    Parameters
    ----------
    log : path
        Written anew; first line: command, host, start, name of the submission; last line: exit code, seconds.
    command : list of str
        Program and arguments; no shell is involved.

    Returns
    -------
    int
        The command's exit code; 128 + N where signal N ended it, or was passed on to it.
    """
    make_folder(log.parent)
    with open(log, "a", encoding="utf-8") as file:
        _wait_for_another_copy(file)
        file.truncate(0)
        started, name = time.time(), os.environ.get("SV_JOB_NAME", "-")
        begun = f"# {shlex.join(command)} | host {socket.gethostname()} | started {time.strftime('%Y-%m-%d %H:%M:%S')} | job {name}"
        print(begun, file=file, flush=True)
        environment = os.environ | {"SV_STAGED": str(os.getpid())}
        # Grid Engine sends them to every process of the job; the command hears of them from here alone
        for number in TIME_IS_NEARLY_OVER:
            signal.signal(number, signal.SIG_IGN)
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        passed_on = _pass_signals_on(process)
        code = process.wait()
        # it said that its state is saved
        goes_on = code == 1 and bool(set(passed_on) & TIME_IS_NEARLY_OVER)
        code = 128 - code if code < 0 else 128 + passed_on[0] if code and passed_on else code
        print(
            f"# exit code {code} | {time.time() - started:.1f} s{' | queued again' if goes_on else ''}",
            file=file,
            flush=True,
        )
        return _queue_again(code) if goes_on else code


def _pass_signals_on(process: subprocess.Popen) -> list[int]:
    """Pass signals on to the command as SIGTERM, which torchrun, too, passes on; training then saves its state.

    That the time is nearly over is passed on only where SV_REQUEUE says that stopping helps: other steps use the time that is left.
    """
    passed_on: list[int] = []

    def receive(number: int, _) -> None:
        if number not in TIME_IS_NEARLY_OVER or os.environ.get("SV_REQUEUE"):
            passed_on.append(number)
            process.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, *TIME_IS_NEARLY_OVER):
        signal.signal(number, receive)
    return passed_on


def _queue_again(code: int) -> int:
    """Have the scheduler queue this task again: Grid Engine by exit code, Slurm by command."""
    if "SGE_TASK_ID" in os.environ:
        return GRID_ENGINE_QUEUES_AGAIN
    if "SLURM_JOB_ID" in os.environ:
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False)
    return code


def _wait_for_another_copy(file: IO) -> None:
    """Lock the log: a scheduler may start a task twice, and the second finds the work of the first done."""
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"{file.name}: another copy of this task runs; waiting for its end",
                file=sys.stderr,
                flush=True,
            )
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


if __name__ == "__main__":
    from utils.cli import die_with_parent

    if os.environ.get("SV_STAGED"):
        die_with_parent()
    sys.exit(run_task(Path(sys.argv[1]), sys.argv[2:]))
