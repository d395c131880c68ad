"""One task of an array, wherever it runs: `python -m utils.launchers.task LOG COMMAND...` writes the log's first and last line around the command."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


def run_task(log: Path, command: list[str]) -> int:
    """Run a command with its output in a log file.

    Parameters
    ----------
    log : path
        Written anew; first line: command, host, start; last line: exit code, seconds.
    command : list of str
        Program and arguments; no shell is involved.

    Returns
    -------
    int
        The command's exit code; 128 + N where signal N ended it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.time()
    with open(log, "w", encoding="utf-8") as file:
        print(f"# {shlex.join(command)} | host {socket.gethostname()} | started {time.strftime('%Y-%m-%d %H:%M:%S')}", file=file, flush=True)
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):  # the command decides what they mean: training saves its state
            signal.signal(number, lambda received, _: process.send_signal(received))
        code = process.wait()
        code = 128 - code if code < 0 else code
        print(f"# exit code {code} | {time.time() - started:.1f} s", file=file)
    return code


if __name__ == "__main__":
    from utils.cli import die_with_parent

    if os.environ.get("SV_STAGED"):
        die_with_parent()
    sys.exit(run_task(Path(sys.argv[1]), sys.argv[2:]))
