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

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)  # a file system without them; receipts have a lock of their own


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
        The command's exit code; 128 + N where signal N ended it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as file:
        wait_for_another_copy(file)
        file.truncate(0)
        started, name = time.time(), os.environ.get("SV_JOB_NAME", "-")
        begun = f"# {shlex.join(command)} | host {socket.gethostname()} | started {time.strftime('%Y-%m-%d %H:%M:%S')} | job {name}"
        print(begun, file=file, flush=True)
        environment = os.environ | {"SV_STAGED": str(os.getpid())}
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):  # the command decides what they mean: training saves its state
            signal.signal(number, lambda received, _: process.send_signal(received))
        code = process.wait()
        code = 128 - code if code < 0 else code
        print(f"# exit code {code} | {time.time() - started:.1f} s", file=file)
    return code


def wait_for_another_copy(file: IO) -> None:
    """Lock the log: a scheduler may start a task twice, and the second finds the work of the first done.

    Parameters
    ----------
    file : file object
        The log, opened for appending.
    """
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{file.name}: another copy of this task runs; waiting for its end", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


if __name__ == "__main__":
    from utils.cli import die_with_parent

    if os.environ.get("SV_STAGED"):
        die_with_parent()
    sys.exit(run_task(Path(sys.argv[1]), sys.argv[2:]))
