"""A guard in a process, which may start the sandbox only, and write in one folder.

Anything else is reported.  `sys.addaudithook` sees what Python does, in whatever library; what C
code writes is found by comparing the folders afterwards.
"""

import os
import resource
import signal
import sys
from pathlib import Path

CPU_SECONDS, BLOCKED_SECONDS = (
    5,
    20,
)  # of one input: at work, and by the clock (asleep on a pipe, say)
MORE_BYTES = 500 << 20  # of memory than the process had before its first input
MOST_FILE_BYTES = 256 << 20
ALLOWED = [
    "-m",
    "utils.foreign.child",
]  # the sandbox, which has limits of its own
PROCESSES = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
    "os.startfile",
}
OBJECTS = {"pickle.find_class", "socket.connect", "socket.bind", "urllib.Request"}
CHANGES = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.utime": 1,
}  # how many of the first arguments are paths
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Forbidden(BaseException):
    """Something that no reader of a file may do; no handler of ordinary errors stops it."""


class Guard:
    """Stops what is forbidden from `arm` to `disarm`.

    Parameters
    ----------
    output : path
        The folder to write in.
    """

    def __init__(self, output: Path):
        self.output, self.armed, self.seen = os.path.realpath(output), False, []
        sys.addaudithook(self._see)

    def arm(self) -> None:
        """From here on, within the limits of one input."""
        signal.setitimer(
            signal.ITIMER_PROF, CPU_SECONDS
        )  # their signals end the process, as nobody handles them
        signal.setitimer(signal.ITIMER_REAL, BLOCKED_SECONDS)
        self.armed = True

    def disarm(self) -> None:
        """The input is read; raises what was forbidden, also where somebody has caught it."""
        self.armed = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self.seen:
            raise Forbidden(self.seen[0])

    def _see(self, event: str, arguments: tuple) -> None:
        if not self.armed:
            return
        if (
            event == "subprocess.Popen"
            and arguments[0] == sys.executable
            and list(arguments[1][1:3]) == ALLOWED
        ):
            return
        if event in PROCESSES or event in OBJECTS:
            self._forbid(f"{event}{arguments!r:.200}")
        elif event == "open":
            path, mode, flags = arguments
            writes = (
                any(letter in mode for letter in "wax+")
                if isinstance(mode, str)
                else bool(flags & WRITING)
            )
            if writes and not isinstance(path, int):
                self._see_change(event, path, -1)
        elif event in CHANGES:
            for place in range(CHANGES[event]):
                if event == "os.symlink" and place == 0:
                    continue  # what a link says is not written to
                folders = [value for value in arguments[CHANGES[event] :] if isinstance(value, int)]
                self._see_change(
                    event,
                    arguments[place],
                    folders[-1] if event not in ("os.utime", "os.truncate") and folders else -1,
                )

    def _see_change(self, event: str, path, folder: int) -> None:
        if isinstance(path, int):
            return
        self.armed = False  # looking up a path is no deed of the reader
        name = os.fsdecode(path)
        base = f"/proc/self/fd/{folder}" if folder >= 0 else ""
        whole = os.path.join(base, name)
        real = (
            os.path.realpath(whole)
            if event == "open"
            else os.path.join(
                os.path.realpath(os.path.dirname(whole) or "."), os.path.basename(whole)
            )
        )
        inside = os.path.normpath(real) == self.output or os.path.normpath(real).startswith(
            self.output + os.sep
        )
        self.armed = True
        if not inside and real != os.devnull:
            self._forbid(f"{event} of {name!r:.200}")

    def _forbid(self, what: str) -> None:
        self.seen.append(what)
        raise Forbidden(what)


def limit_memory() -> None:
    """Let this process take so much more, and write no large file."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE_BYTES, MOST_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
