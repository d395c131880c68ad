"""The command line of a job array: resources, task numbers, log, command."""

import re
from collections.abc import Sequence

from utils.errors import UserError
from utils.launchers.site import checked

RESOURCES = ("num-threads", "mem", "gpu", "time", "nodes", "max", "conf")


def parse(words: Sequence[str]) -> tuple[dict[str, str], range, str, list[str]]:
    """Resources, task numbers, log and command of an array, from the words of `launch`."""
    rest = list(words)
    resources: dict[str, str] = {}
    while rest and rest[0].startswith("--"):
        option = rest[0]
        name = option.removeprefix("--")
        if name not in RESOURCES or len(rest) < 2:
            known = ", ".join("--" + resource for resource in RESOURCES)
            raise UserError(f"unknown resource '{option}'; there are {known}")
        try:
            resources[name] = checked(name, rest[1])
        except ValueError as error:
            raise UserError(f"{option} {rest[1]}: {error}") from None
        rest = rest[2:]
    array = None
    if len(rest) >= 3:
        array = re.fullmatch(r"JOB=1:([1-9]\d*)(?:%([1-9]\d*))?", rest[0])
    if not array:
        raise UserError(f"expected JOB=1:N LOG COMMAND..., found '{' '.join(rest[:3])}'")
    if array[2]:
        resources["max"] = array[2]
    return resources, range(1, int(array[1]) + 1), rest[1], rest[2:]
