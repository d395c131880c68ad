"""Points of a step at which it can be killed: every durable act on a file, seen from outside.

A process that calls `watch` reports each of its acts on a file of a workdir: a temporary file is
begun, written, synced and renamed, its folder is synced, a file is removed.  `Point` names one of
them by the act and the file, so that a later process can be killed there.
"""

import builtins
import json
import os
import re
import signal
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

# In the order in which a file passes them; "half written" is the same moment as "before the sync",
# with half of the file lost.
WRITING = (
    "begin",
    "half written",
    "before sync",
    "after sync",
    "before rename",
    "after rename",
    "after folder sync",
)
KINDS = (*WRITING, "before removal", "after removal")


@dataclass(frozen=True)
class Point:
    """One moment of a step.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    file : str
        Relative to the workdir; of a temporary file the name that it gets in the end.
    time : int
        1 for the first time that this process comes by, 2 for the second, ...
    """

    kind: str
    file: str
    time: int

    @property
    def of_receipt(self) -> bool:
        """Whether the file is a receipt."""
        return "/receipts/" in self.file and self.file.endswith(".json")


def recorded(log: Path) -> list[Point]:
    """The points that a watched process passed, in order.

    Parameters
    ----------
    log : path
        Written by `watch`.
    """
    return (
        [Point(**json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []
    )


class Watch:
    """Says of each act on a file below a folder which point it is, and dies at one of them.

    Parameters
    ----------
    workdir : path
        Other files are none of its business.
    log : path or None
        Gets a line for each point.
    die_at : Point or None
        There the whole process group is killed.
    """

    def __init__(self, workdir: Path, log: Path | None, die_at: Point | None):
        self.workdir, self.log, self.die_at = str(workdir) + "/", log, die_at
        self.passed: Counter = Counter()

    def reach(self, kind: str, path: str, file: int = -1) -> None:
        """Come by a point; ``file`` is the descriptor of a file of which half is lost."""
        if not path.startswith(self.workdir):
            return
        name = re.sub(r"(^|/)\.([^/]*)\.tmp(?=/|$)", r"\1\2", path.removeprefix(self.workdir))
        name = re.sub(r"\.lock\.[^/]*\.\d+$", ".lock", name)  # without host and process
        self.passed[kind, name] += 1
        point = Point(kind, name, self.passed[kind, name])
        if self.log:
            with builtins.open(self.log, "a") as log:
                log.write(json.dumps(asdict(point)) + "\n")
        if point == self.die_at:
            if kind == "half written":
                os.ftruncate(file, os.fstat(file).st_size // 2)
            os.killpg(0, signal.SIGKILL)


def watch(workdir: Path, log: Path | None = None, die_at: Point | None = None) -> None:
    """Put a `Watch` around the acts of this process, for the rest of its life.

    Parameters
    ----------
    workdir, log, die_at
        As in `Watch`.
    """
    at = Watch(workdir, log, die_at)
    plain_open, plain_fsync, plain_replace, plain_unlink = (
        builtins.open,
        os.fsync,
        os.replace,
        os.unlink,
    )
    renamed = [""]

    def full(path) -> str:
        return os.path.abspath(os.fsdecode(path))

    def opened(file, mode="r", *more, **options):
        if (
            isinstance(file, (str, os.PathLike))
            and set(mode) & set("wx")
            and os.fspath(file).endswith(".tmp")
        ):
            at.reach("begin", full(file))
        return plain_open(file, mode, *more, **options)

    def synced(file):
        number = file if isinstance(file, int) else file.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")
        if os.path.isdir(path):
            plain_fsync(file)
            at.reach("after folder sync", renamed[0])
            return
        at.reach("half written", path, number)
        at.reach("before sync", path)
        plain_fsync(file)
        at.reach("after sync", path)

    def moved(source, target, **options):
        renamed[0] = full(target)
        at.reach("before rename", renamed[0])
        plain_replace(source, target, **options)
        at.reach("after rename", renamed[0])

    def removed(path, **options):
        at.reach("before removal", full(path))
        plain_unlink(path, **options)
        at.reach("after removal", full(path))

    builtins.open, os.fsync, os.replace, os.rename, os.unlink, os.remove = (
        opened,
        synced,
        moved,
        moved,
        removed,
        removed,
    )
