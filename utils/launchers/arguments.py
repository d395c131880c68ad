"""The command line of a job array: resources, task numbers, log, command."""

import re
from collections.abc import Sequence

from utils.errors import UserError
from utils.launchers.site import checked

RESOURCES = ("num-threads", "mem", "gpu", "time", "nodes", "max", "conf")


def parse(words: Sequence[str]) -> tuple[dict[str, str], range, str, list[str]]:
    """Resources, task numbers, log and command of an array.

    Parameters
    ----------
    words : sequence of str
        See `launch`.
    """
    words, resources = list(words), {}
    while words and words[0].startswith("--"):
        if words[0][2:] not in RESOURCES or len(words) < 2:
            raise UserError(
                f"unknown resource '{words[0]}'; there are {', '.join('--' + name for name in RESOURCES)}"
            )
        try:
            resources[words[0][2:]] = checked(words[0][2:], words[1])
        except ValueError as error:
            raise UserError(f"{words[0]} {words[1]}: {error}") from None
        words = words[2:]
    array = re.fullmatch(r"JOB=1:([1-9]\d*)(?:%([1-9]\d*))?", words[0]) if len(words) >= 3 else None
    if not array:
        raise UserError(f"expected JOB=1:N LOG COMMAND..., found '{' '.join(words[:3])}'")
    if array[2]:
        resources["max"] = array[2]
    return resources, range(1, int(array[1]) + 1), words[1], words[2:]
