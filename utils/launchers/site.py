"""A site's file, conf/cluster/*.conf: how resources by name become options of its scheduler.

The lines are those of Kaldi's queue.conf and slurm.conf, and `set` for how patient the launcher is.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from utils.errors import UserError
from utils.files import read_lines

NAMES = (
    "num-threads",
    "mem",
    "gpu",
    "time",
    "nodes",
)  # of resources; how many tasks run at once is said by JOB=1:N%M
MEMORY = re.compile(r"(\d+(?:\.\d+)?)([KMGT])")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
CHOICES = {"on_interrupt": ("cancel", "leave"), "on_hangup": ("cancel", "leave")}
LEAST = {
    "retries": 0,
    "memory_factor": 1.0,
    "poll_seconds": 0.1,
    "visible_seconds": 0.0,
    "answer_seconds": 0.0,
}


@dataclass
class Site:
    """What a site's file says; conf/cluster/README.md describes it.

    Attributes
    ----------
    path : path
        The file, for messages.
    command : list of str
        What submits, with the site's own options: ``sbatch --account speech``.
    options : dict
        (resource, value or ``*``) -> words of the scheduler, in which ``$0`` is the value and ``$per_thread`` a memory divided by the threads.
    defaults : dict
        Resource -> value where the command names none.
    retries : int
        How often a task that failed is submitted again by itself.
    memory_factor : float
        By which a task that was killed for memory asks for more.
    poll_seconds : float
        Longest time between two questions to the scheduler.
    visible_seconds : float
        How long the results of a task that ended well may take to become visible here.
    answer_seconds : float
        How long a scheduler may give no answer.
    on_interrupt, on_hangup : str
        ``cancel`` or ``leave`` the jobs at Ctrl-C or SIGTERM, and when the login is lost.
    """

    path: Path
    command: list[str] = field(default_factory=list)
    options: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    retries: int = 1
    memory_factor: float = 2.0
    poll_seconds: float = 10.0
    visible_seconds: float = 60.0
    answer_seconds: float = 600.0
    on_interrupt: str = "cancel"
    on_hangup: str = "leave"

    def asked(self, resources: Mapping[str, str]) -> dict[str, str]:
        """Resources with the site's defaults for those that are not named.

        Parameters
        ----------
        resources : mapping of str to str
            As given to ``$cmd``.
        """
        return self.defaults | dict(resources)

    def words(self, resources: Mapping[str, str]) -> list[str]:
        """The scheduler's command line without what belongs to one array.

        Parameters
        ----------
        resources : mapping of str to str
            See `asked`.

        Raises
        ------
        UserError
            The file has no line for a resource.
        """
        asked, words = self.asked(resources), list(self.command)
        for name in (name for name in NAMES if name in asked):
            value = asked[name]
            template = self.options.get((name, value), self.options.get((name, "*")))
            if template is None:
                raise UserError(
                    f"{self.path}: --{name} {value} is asked for, and no line 'option {name}=* ...' says how (without words: not at all)"
                )
            share = memory(value, 1 / int(asked.get("num-threads", 1))) if name == "mem" else value
            words += [word.replace("$per_thread", share).replace("$0", value) for word in template]
        return words


SETTINGS = {each.name: each.type for each in fields(Site) if each.type in (int, float, str)}


def memory(value: str, factor: float = 1.0) -> str:
    """An amount of memory, times a factor, in whole MiB.

    Parameters
    ----------
    value : str
        A number and its unit: K, M, G or T.
    factor : float
        What to multiply it by.

    Raises
    ------
    ValueError
        It has no unit: schedulers differ in what they take it for.
    """
    parts = MEMORY.fullmatch(checked("mem", value))
    assert parts, "checked"
    amount = int(float(parts[1]) * UNITS[parts[2]] * factor)
    return f"{max(1, amount // UNITS['M'])}M"


def read_site(path: Path) -> Site:
    """Read a site's file.

    Parameters
    ----------
    path : path
        Lines ``command WORDS``, ``option NAME=VALUE WORDS``, ``default NAME=VALUE``, ``set NAME=VALUE``; ``#`` begins a comment.

    Raises
    ------
    UserError
        A line is none of these, or there is no command.
    """
    site = Site(Path(path))
    for number, line in enumerate(read_lines(path), 1):
        try:
            take(site, shlex.split(line, comments=True))
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}: '{line.strip()}'") from None
    if not site.command:
        raise UserError(
            f"{path}: no line 'command ...' says what submits, for example 'command sbatch'"
        )
    return site


def take(site: Site, words: list[str]) -> None:
    """Take one line over.

    Parameters
    ----------
    site : Site
        Changed.
    words : list of str
        Words of the line; none where it is empty.

    Raises
    ------
    ValueError
        What is wrong with it.
    """
    if not words:
        return
    kind, rest = words[0], words[1:]
    if kind == "command" and rest:
        site.command = rest
        return
    if (
        kind not in ("option", "default", "set")
        or not rest
        or "=" not in rest[0]
        or (kind != "option" and len(rest) > 1)
    ):
        raise ValueError(
            "expected 'command WORDS', 'option NAME=VALUE WORDS', 'default NAME=VALUE' or 'set NAME=VALUE'"
        )
    name, _, value = rest[0].partition("=")
    if kind == "set":
        if name not in SETTINGS:
            raise ValueError(f"no setting '{name}'; there are {', '.join(SETTINGS)}")
        if value not in CHOICES.get(name, (value,)):
            raise ValueError(f"{name} is {' or '.join(CHOICES[name])}")
        setattr(site, name, number(name, value) if name in LEAST else value)
        return
    name = name.replace("_", "-")
    if name not in NAMES:
        raise ValueError(
            f"no resource '{name}'; there are {', '.join(NAMES)} (how many tasks run at once is said by JOB=1:N%M)"
        )
    if kind == "option":
        if "*" in value and value != "*":
            raise ValueError("* stands for any value, and is no pattern")
        site.options[name, value] = rest[1:]
    else:
        site.defaults[name] = checked(name, value)


def number(setting: str, value: str) -> float:
    """The value of a setting that is a number.

    Parameters
    ----------
    setting : str
        Its name.
    value : str
        As the file has it.

    Raises
    ------
    ValueError
        It is none, or too small.
    """
    is_whole = SETTINGS[setting] is int
    wanted = f"{setting} is a {'whole ' if is_whole else ''}number from {LEAST[setting]:g} on"
    try:
        said = int(value) if is_whole else float(value)
    except ValueError:
        raise ValueError(wanted) from None
    if not said >= LEAST[setting]:  # nor is it "not a number"
        raise ValueError(wanted)
    return said


def checked(resource: str, value: str) -> str:
    """The value of a resource.

    Parameters
    ----------
    resource : str
        Its name, as in `NAMES`.
    value : str
        As the user wrote it.  What a scheduler alone can judge (times, kinds of GPUs) is left to it.

    Raises
    ------
    ValueError
        What was expected.
    """
    if resource == "mem" and not MEMORY.fullmatch(value):
        raise ValueError("mem is a number and K, M, G or T, for example 4G")
    if resource in ("num-threads", "nodes", "max") and not re.fullmatch(r"0*[1-9]\d*", value):
        raise ValueError(f"{resource} is a whole number from 1 on")
    return value
