"""A site's file, conf/cluster/*.conf: the scheduler's options for named resources.

The lines are those of Kaldi's queue.conf and slurm.conf, and `set` for settings of the launcher.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from utils.errors import UserError
from utils.files import read_lines

# of resources; the limit of tasks at the same time is JOB=1:N%M
NAMES = ("num-threads", "mem", "gpu", "time", "nodes")
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
    """Content of a site's file; conf/cluster/README.md describes it."""

    path: Path
    command: list[str] = field(default_factory=list)  # such as `sbatch --account speech`
    # (resource, value or *) -> options of the scheduler; $0 is the value, $per_thread a memory
    # divided by the threads
    options: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)  # of resources
    retries: int = 1  # of a failed task
    memory_factor: float = 2.0  # for the retry of a task that ran out of memory
    poll_seconds: float = 10.0  # longest time between two questions to the scheduler
    visible_seconds: float = 60.0  # to wait until results of a finished task are visible here
    answer_seconds: float = 600.0  # without an answer of the scheduler
    on_interrupt: str = "cancel"  # or leave: the jobs, at Ctrl-C or SIGTERM
    on_hangup: str = "leave"  # or cancel: the jobs, when the login is lost

    def asked(self, resources: Mapping[str, str]) -> dict[str, str]:
        """Resources, completed by the site's defaults."""
        return self.defaults | dict(resources)

    def words(self, resources: Mapping[str, str]) -> list[str]:
        """The scheduler's command line for some resources, without options of a single array.

        UserError: the file has no line for a resource.
        """
        asked, words = self.asked(resources), list(self.command)
        threads = int(asked.get("num-threads", 1))
        for name in NAMES:
            if name not in asked:
                continue
            value = asked[name]
            template = self.options.get((name, value), self.options.get((name, "*")))
            if template is None:
                raise UserError(
                    f"{self.path}: --{name} {value} is asked for, expected a line "
                    f"'option {name}=* OPTIONS'; without OPTIONS the resource is ignored"
                )
            per_thread = value
            if name == "mem":
                per_thread = memory(value, 1 / threads)
            for word in template:
                words.append(word.replace("$per_thread", per_thread).replace("$0", value))
        return words


SETTINGS = {each.name: each.type for each in fields(Site) if each.type in (int, float, str)}


def memory(value: str, factor: float = 1.0) -> str:
    """An amount of memory (``4G``; units K, M, G, T) times a factor, in whole MiB: ``8192M``.

    ValueError: it has no unit, which schedulers interpret differently.
    """
    parts = MEMORY.fullmatch(checked("mem", value))
    assert parts, "checked"
    amount = int(float(parts[1]) * UNITS[parts[2]] * factor)
    return f"{max(1, amount // UNITS['M'])}M"


def read_site(path: Path) -> Site:
    """Read a site's file.

    Its lines are ``command WORDS``, ``option NAME=VALUE WORDS``, ``default NAME=VALUE`` and
    ``set NAME=VALUE``; ``#`` begins a comment.  UserError: a line is none of these, or there is no
    command.
    """
    site = Site(Path(path))
    for number, line in enumerate(read_lines(path), 1):
        try:
            _store_line(site, shlex.split(line, comments=True))
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}: '{line.strip()}'") from None
    if not site.command:
        raise UserError(f"{path}: no line 'command ...', for example 'command sbatch'; add it")
    return site


def _store_line(site: Site, words: list[str]) -> None:
    """Store the words of one line; ValueError if they are wrong."""
    if not words:
        return
    kind, rest = words[0], words[1:]
    if kind == "command" and rest:
        site.command = rest
        return
    is_assignment = bool(rest) and "=" in rest[0] and (kind == "option" or len(rest) == 1)
    if kind not in ("option", "default", "set") or not is_assignment:
        raise ValueError(
            "expected 'command WORDS', 'option NAME=VALUE WORDS', 'default NAME=VALUE' "
            "or 'set NAME=VALUE'"
        )
    name, _, value = rest[0].partition("=")
    if kind == "set":
        _set(site, name, value)
        return
    name = name.replace("_", "-")
    if name not in NAMES:
        raise ValueError(
            f"no resource '{name}'; there are {', '.join(NAMES)} "
            "(JOB=1:N%M limits the tasks at the same time)"
        )
    if kind == "option":
        if "*" in value and value != "*":
            raise ValueError("* stands for any value; a pattern such as A* is not possible")
        site.options[name, value] = rest[1:]
    else:
        site.defaults[name] = checked(name, value)


def _set(site: Site, name: str, value: str) -> None:
    if name not in SETTINGS:
        raise ValueError(f"no setting '{name}'; there are {', '.join(SETTINGS)}")
    if value not in CHOICES.get(name, (value,)):
        raise ValueError(f"{name}: expected {' or '.join(CHOICES[name])}")
    if name in LEAST:
        setattr(site, name, _number(name, value))
    else:
        setattr(site, name, value)


def _number(setting: str, value: str) -> float:
    """The value of a numeric setting; ValueError if it is not a number, or too small."""
    is_whole = SETTINGS[setting] is int
    expected = f"{setting}: expected a number, {LEAST[setting]:g} or more"
    if is_whole:
        expected = f"{setting}: expected a whole number, {LEAST[setting]:g} or more"
    try:
        number = float(value)
        if is_whole:
            number = int(value)
    except ValueError:
        raise ValueError(expected) from None
    if not number >= LEAST[setting]:  # NaN is refused too
        raise ValueError(expected)
    return number


def checked(resource: str, value: str) -> str:
    """The value of a resource; ValueError if it is malformed.

    The scheduler itself checks what only it knows: times, kinds of GPUs.
    """
    if resource == "mem" and not MEMORY.fullmatch(value):
        raise ValueError("mem: expected a number and K, M, G or T, for example 4G")
    if resource in ("num-threads", "nodes", "max") and not re.fullmatch(r"0*[1-9]\d*", value):
        raise ValueError(f"{resource}: expected a whole number, 1 or more")
    return value
