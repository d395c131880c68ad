"""What a fuzzing target is, and how an input of it is rebuilt from a number alone."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.fuzz.mutations import MOST_BYTES, mutate

Files = dict[str, bytes]  # name in the input folder -> content
OF_ONE_SEED = (
    10**9
)  # inputs that a run may draw: the n-th of seed s has the number s * OF_ONE_SEED + n


@dataclass(frozen=True)
class Place:
    """Where an input lies, and where alone its reader may write."""

    given: Path
    output: Path


@dataclass(frozen=True)
class Target:
    """One kind of files from outside, and the public functions that read them.

    Parameters
    ----------
    name : str
        Of the command line.
    readers : dict of str to callable
        Called on the folders of an input, by their names in the table; a UserError is a refusal,
        any other exception a finding.
    make_seeds : callable
        Gives valid inputs and hostile ones; each time the same.
    tokens : sequence of bytes
        Words that are put into inputs.
    kept_whole : sequence of str
        Files of an input that are left as they are.
    most_bytes : int
        Of a file of an input.
    """

    name: str
    readers: dict[str, Callable[[Place], object]]
    make_seeds: Callable[[], list[Files]]
    tokens: Sequence[bytes] = ()
    kept_whole: Sequence[str] = ()
    most_bytes: int = MOST_BYTES

    @cached_property
    def seeds(self) -> list[Files]:
        """Inputs that the others are mutations of."""
        return self.make_seeds()

    def input(self, number: int) -> Files:
        """The input of a number; the first ones of every seed are the unchanged ones."""
        if number % OF_ONE_SEED < len(self.seeds):
            return self.seeds[number % OF_ONE_SEED]
        rng = random.Random(f"{self.name} {number}")
        files = dict(rng.choice(self.seeds))
        names = [name for name in files if name not in self.kept_whole]
        for name in rng.sample(names, min(len(names), rng.choice((1, 1, 1, 2, 3)))):
            others = [other[name] for other in self.seeds if name in other]
            files[name] = mutate(rng, files[name], others, self.tokens)[: self.most_bytes]
        return files


def write_input(files: Files, folder: Path) -> None:
    """Put the files of an input into a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
