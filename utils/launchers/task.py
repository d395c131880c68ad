"""Runs one task of an array, on whatever host, and writes its log.

python -m utils.launchers.task LOG COMMAND...
"""

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
# the file system has no locks; receipts have their own
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)


def run_task(log: Path, command: list[str]) -> int:
    """Run a command with its output in a log file, without a shell.

    The first line of the log has the command, host, start and name of the submission, the last one
    the exit code and seconds.  Returns the exit code; 128 + N if signal N ended the command or was
    passed on to it.
    """
    make_folder(log.parent)
    with open(log, "a", encoding="utf-8") as file:
        _wait_for_another_copy(file)
        file.truncate(0)
        started = time.time()
        print(_first_line(command), file=file, flush=True)
        environment = os.environ | {"SV_STAGED": str(os.getpid())}
        # Grid Engine sends them to every process of the job; the command gets them from here alone
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
        # exit code 1 after such a signal: the state of the training is saved
        goes_on = code == 1 and bool(set(passed_on) & TIME_IS_NEARLY_OVER)
        if code < 0:
            code = 128 - code
        elif code and passed_on:
            code = 128 + passed_on[0]
        last_line = f"# exit code {code} | {time.time() - started:.1f} s"
        if goes_on:
            last_line += " | queued again"
        print(last_line, file=file, flush=True)
        if goes_on:
            return _queue_again(code)
        return code


def _first_line(command: list[str]) -> str:
    host = socket.gethostname()
    start = time.strftime("%Y-%m-%d %H:%M:%S")
    name = os.environ.get("SV_JOB_NAME", "-")
    return f"# {shlex.join(command)} | host {host} | started {start} | job {name}"


def _pass_signals_on(process: subprocess.Popen) -> list[int]:
    """Pass signals on as SIGTERM, which torchrun passes on too; training then saves its state.

    Signals that the time is nearly over are passed on only with SV_REQUEUE: other steps use the
    time that is left.
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
    """Requeue this task: Grid Engine by the exit code, Slurm by a command."""
    if "SGE_TASK_ID" in os.environ:
        return GRID_ENGINE_QUEUES_AGAIN
    if "SLURM_JOB_ID" in os.environ:
        subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=False)
    return code


def _wait_for_another_copy(file: IO) -> None:
    """Lock the log: if a scheduler starts a task twice, the second waits and has nothing to do."""
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
