"""Daemons of a scheduler on this machine, which stop with the tests and leave no process.

As a command, `python -m tests.cluster.daemons MARK` waits until the tests that started it are dead,
and then kills the processes that they left.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

START_SECONDS, STOP_SECONDS = 900, 300
PATIENCE_SECONDS = 1800  # for whatever a test waits for: a busy machine is no failure
BELOW_THOSE_OF_THE_SYSTEM = range(
    10_000, 20_000
)  # which it hands out by itself between our look and a daemon's start


def program(name: str) -> str:
    """Path of a program, those of administrators included; empty where there is none."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or ""


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens at."""
    return [
        port for port in random.sample(BELOW_THOSE_OF_THE_SYSTEM, 50 * number) if is_free(port)
    ][:number]


def is_free(port: int) -> bool:
    """True where a daemon could listen there."""
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) != 0


def start(words: list[str], environment: Mapping[str, str], log) -> subprocess.Popen:
    """Start a daemon in the foreground; its jobs see nothing of the environment of the tests."""
    clean = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ} | {
        "USER": "root"
    }
    return subprocess.Popen(
        words,
        env=clean | environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


@contextmanager
def stopped(mark: str) -> Iterator[list[subprocess.Popen]]:
    """Yield a list for daemons; at the end, stop those in it, the last first.

    Every process with the words `mark` in its environment is stopped too.
    """
    words = [sys.executable, "-m", "tests.cluster.daemons", mark]
    daemons: list[subprocess.Popen] = []
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True) as guard:
        try:
            yield daemons
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
                with suppress(subprocess.TimeoutExpired):
                    daemon.wait(STOP_SECONDS)
            guard.stdin.close()
            guard.wait()
            for daemon in daemons:
                daemon.wait()


def all_live(daemons: list[subprocess.Popen]) -> bool:
    """True; a daemon that has ended is an error at once, and its log tells why."""
    dead = [daemon.args for daemon in daemons if daemon.poll() is not None]
    assert not dead, f"ended: {dead}"
    return True


def kill_all(mark: str) -> bool:
    """Kill every process whose environment holds these words; true when there was none."""
    found = [
        process for process in Path("/proc").glob("[0-9]*") if has_in_environment(process, mark)
    ]
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(int(process.name), signal.SIGKILL)
    return not found


def has_in_environment(process: Path, mark: str) -> bool:
    """True for a living process that was started with these words."""
    try:
        return mark.encode() in (process / "environ").read_bytes()
    except OSError:  # it has ended, or is not ours
        return False


def wait_for(condition: Callable, told: Callable = str, seconds: float = PATIENCE_SECONDS):
    """Wait until something is true, and return it; after too long, an error with `told`."""
    deadline = time.monotonic() + seconds
    try:
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so within {seconds:g} s")
            time.sleep(0.1)
    except (AssertionError, TimeoutError) as error:
        error.add_note(told())
        raise
    return found


def words_of_logs(folder: Path) -> str:
    """The ends of what daemons wrote."""
    return "\n".join(
        f"{path}:\n{path.read_text(errors='replace')[-3000:]}"
        for path in [*folder.rglob("*.log"), *folder.rglob("messages")]
    )


def ask(environment: Mapping[str, str], *words: str) -> str:
    """What a scheduler's command prints."""
    return subprocess.run(
        words, env=os.environ | environment, capture_output=True, text=True, check=False
    ).stdout


if __name__ == "__main__":
    sys.stdin.read()
    wait_for(lambda: kill_all(sys.argv[1]))
