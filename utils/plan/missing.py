"""What a plan lacks before its first hour: files that nobody will make, programs, packages, a GPU, disk and memory."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from utils.audio.ffmpeg import MISSING as NO_FFMPEG
from utils.audio.ffmpeg import SUFFIXES as NEED_FFMPEG
from utils.doctor.cluster import SUBMITS
from utils.files import no_folder
from utils.machine import nearest
from utils.plan.audio_counts import Corpus, entries_of
from utils.receipts import DONE, Task


def missing_options(named: Sequence[tuple[str, str]]) -> list[str]:
    """Options that name files or folders which are not there.

    Parameters
    ----------
    named : sequence of (str, str)
        Option and path, or several paths joined by commas.
    """
    paths = [
        (option, path)
        for option, value in named
        for path in ([value] if Path(value).exists() else value.split(","))
    ]
    return [
        f"--{option} {path}: no such file or folder"
        for option, path in paths
        if not Path(path).exists()
    ]


def missing_inputs(tasks: Sequence[tuple[Task, str]]) -> list[str]:
    """Inputs that are not there and that no task of the plan will make.

    Parameters
    ----------
    tasks : sequence of (Task, str)
        All of the plan, with their states.
    """
    homes = {task.home.absolute() for task, state in tasks if state != DONE}
    paths = {
        path.absolute(): path
        for task, state in tasks
        if state != DONE
        for path in task.inputs.values()
        if not path.exists()
    }
    return [
        f"{path}: needed, and no stage of this recipe makes it"
        for whole, path in sorted(paths.items())
        if not homes.intersection(whole.parents)
    ]


def missing_places(homes: Iterable[Path]) -> list[str]:
    """Folders that cannot be made or written to, of those that outputs are to lie in.

    Parameters
    ----------
    homes : iterable of path
        Of the tasks that are not done.
    """
    places = sorted({nearest(home) for home in homes})
    return [
        f"{place}: {no_folder(place)}"
        if not place.is_dir()
        else f"{place}: this user may not write there; --workdir DIR, a folder of their own"
        for place in places
        if not place.is_dir() or not os.access(place, os.W_OK)
    ]


def missing_programs(
    tasks: Sequence[tuple[Task, str]], corpora: Iterable[Corpus], cmd: str
) -> list[str]:
    """Programs and packages that the plan will call.

    Parameters
    ----------
    tasks : sequence of (Task, str)
        All of the plan, with their states.
    corpora : iterable of Corpus
        What the options name.
    cmd : str
        ``local``, ``slurm`` or ``sge``.
    """
    open_tasks = [task for task, state in tasks if state != DONE]
    found = []
    compressed = next(
        (
            f"--{corpus.option} {corpus.path}"
            for corpus in corpora
            if corpus.suffixes.keys() & set(NEED_FFMPEG)
        ),
        "",
    ) or next(
        (entry for entry in entries_of(open_tasks) if entry.lower().endswith(NEED_FFMPEG)), ""
    )
    if compressed and not shutil.which("ffmpeg"):
        found.append(f"ffmpeg: {compressed}: {NO_FFMPEG}")
    if cmd in SUBMITS and not shutil.which(SUBMITS[cmd]):
        found.append(f"{SUBMITS[cmd]}: --cmd {cmd} submits with it, and it is not on the PATH")
    detectors = {
        task.options["detector"]["name"] for task in open_tasks if "detector" in task.options
    }
    if "silero" in detectors and not find_spec("silero_vad"):
        found.append(
            "silero-vad: the detector of --vad is in it; pip install -r requirements-optional.txt"
        )
    return found


def missing_gpu(commands: Iterable[Sequence[str]], cmd: str) -> list[str]:
    """A GPU, where steps are to run on one here.

    Parameters
    ----------
    commands : iterable of sequence of str
        Of stages that are not done.
    cmd : str
        On a cluster the nodes have them.
    """
    if cmd != "local" or not any("cuda" in command for command in commands):
        return []
    sees = subprocess.run(
        [sys.executable, "-c", "import sys, torch; sys.exit(not torch.cuda.is_available())"],
        capture_output=True,
        check=False,
    )
    return (
        ["GPU: --device cuda, and torch sees none here; --doctor --device cuda says why"]
        if sees.returncode
        else []
    )


def too_little(what: str, needed: float, there: float, mend: str) -> list[str]:
    """Disk or memory that is short.

    Parameters
    ----------
    what : str
        Its name.
    needed, there : float
        Bytes.
    mend : str
        What to do.
    """
    return (
        [f"{what}: {needed / 1e9:,.1f} GB needed, {there / 1e9:,.1f} GB there; {mend}"]
        if needed > there
        else []
    )
