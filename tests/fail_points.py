"""Death at every point of every step: each is killed there and resumed, and the bytes compared.

    python -m tests.fail_points                      every point of the tiny recipe: some 2,500
    python -m tests.fail_points --alone              of the commands that no recipe runs: 1,656
    python -m tests.fail_points --everything         of the tiny recipe, its options, other recipes,
                                                     and those commands
    python -m tests.fail_points --sample --seed 3    one point of each stage and kind, drawn by the
                                                     seed; one of each of those commands
    python -m tests.fail_points --recipe vctk_ge2e --only local.prepare_vctk,steps.make_enrolment
                                                     chosen steps, of any recipe with any of its
                                                     options (--backend ...), on its look-alike

Each step is run once undisturbed, which gives its points (tests/fail_point_hooks.py) and the bytes
of its outputs.  Then, for each point, it starts from the same state, dies by SIGKILL with its whole
process group, and the stage is run again.  tests/recipes/test_all_commands_die.py checks that
--everything leaves out no command of steps/, local/ and utils/.  tests/alone.py has the commands
that no recipe runs.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.alone import ForkedCommands, served
from tests.fail_point_hooks import KINDS, Point, recorded, watch
from tests.forked_steps import ForkedRecipe, Step, import_everything, remember_recordings
from tests.recipes.runs import Runs, difference

# Recipes and options that together run every step; each step is killed in the first of them that
# runs it.  {corpora}: of tests/recipes/runs.py.
SWEEPS = (
    ("mini", ""),
    (
        "mini",
        (
            "--copies recipes/mini/conf/augmentation/copies.yaml --backend "
            "conf/backends/cosine.yaml,{corpora}/tiny_plda.yaml --score-norm s_norm "
            "--calibrate quality --fuse"
        ),
    ),
    ("own", "--simulate-rooms"),
    ("speechocean762", ""),
    ("vctk_ge2e", ""),
    ("voices", ""),
    ("voxceleb1", ""),
)


class Sweep:
    """All deaths of a recipe.

    Parameters
    ----------
    recipe : ForkedRecipe
        Its workdir is empty.
    sample : bool
        Try one point of each stage and kind instead of all.
    seed : int
        Draws them.
    only : collection of str
        Steps that are tried, as ``steps.<name>``; empty: all.
    """

    def __init__(self, recipe: ForkedRecipe, sample: bool, seed: int, only: Collection[str] = ()):
        self.recipe, self.sample, self.seed, self.only, self.random = (
            recipe,
            sample,
            seed,
            only,
            random.Random(seed),
        )
        self.found: dict[tuple, Counter] = defaultdict(
            Counter
        )  # (stage, step) -> kind of point -> number of points
        self.kinds: dict[tuple, tuple[str, ...]] = {}  # (stage, step) -> those that it must have
        self.tried: Counter = Counter()  # stage -> deaths
        self.faults: list[str] = []

    def run(self) -> None:
        """Go through the recipe."""
        for step in self.recipe.steps:
            if self.is_tried(step):
                points, wanted = self.undisturbed(step)
                resumed = [self.die(step, point, wanted) for point in self.chosen(step, points)]
                if resumed and resumed[-1]:
                    continue
                self.recipe.restore()
            assert self.recipe.run(step) == 0, self.recipe.log.read_text()

    def is_tried(self, step: Step) -> bool:
        """Whether it is among those that were chosen."""
        return not self.only or bool({step.module, step.name} & set(self.only))

    def undisturbed(self, step: Step) -> tuple[list[Point], dict[str, str]]:
        """Points of a step, and what it leaves behind."""
        log = self.recipe.folder / "points"
        log.unlink(missing_ok=True)
        self.recipe.keep()
        status = self.recipe.run(step, lambda: watch(self.recipe.workdir, log))
        assert status == 0, self.recipe.log.read_text()
        points = recorded(log)
        for point in points:
            self.found[step.stage, step.name][point.kind] += 1
            self.found[step.stage, step.name]["of receipts"] += point.of_receipt
        self.kinds[step.stage, step.name] = step.kinds
        return points, self.recipe.contents()

    def chosen(self, step: Step, points: list[Point]) -> list[Point]:
        """The points to try: all, or for each kind one in one step of the stage, by turns."""
        if not self.sample:
            return points
        steps = [
            each for each in self.recipe.steps if each.stage == step.stage and self.is_tried(each)
        ]
        turns = [
            (number, kind)
            for number, kind in enumerate(KINDS, self.seed)
            if steps[number % len(steps)] is step
        ]
        groups = [
            ([point for point in points if point.kind == kind], number % 2 == 0)
            for number, kind in turns
        ]
        preferred = [
            [point for point in group if point.of_receipt == receipts] or group
            for group, receipts in groups
        ]
        return [self.random.choice(group) for group in preferred if group]

    def die(self, step: Step, point: Point, wanted: dict[str, str]) -> bool:
        """One death, resumed and compared: True where it left the bytes that it had to."""
        self.recipe.restore()
        status = self.recipe.run(step, lambda: watch(self.recipe.workdir, die_at=point))
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, (
            f"{step.module} never came to {point}: {self.recipe.log.read_text()}"
        )
        self.tried[step.stage] += 1
        status = self.recipe.resume(step)
        differing = (
            difference(wanted, self.recipe.contents())
            if status == 0
            else [self.recipe.log.read_text()]
        )
        if differing:
            self.faults.append(
                f"stage {step.stage}, {step.module} {' '.join(step.words)}\n  killed at "
                f"{point}\n  differs: {differing}"
            )
            print(self.faults[-1], file=sys.stderr, flush=True)
        return not differing

    def table(self) -> str:
        """Points of each stage and step, and how many were tried."""
        head = (
            f"{'stage':6}{'step':32}"
            + "".join(f"{kind:>19}" for kind in (*KINDS, "of receipts"))
            + f"{'all':>7}"
        )
        lines = [head]
        for (stage, step), counts in sorted(self.found.items()):
            lines.append(
                f"{stage:<6}{step:32}"
                + "".join(f"{counts[kind]:19}" for kind in (*KINDS, "of receipts"))
                + f"{sum(counts[kind] for kind in KINDS):7}"
            )
        for stage, deaths in sorted(self.tried.items()):
            points = sum(
                counts[kind]
                for (number, _), counts in self.found.items()
                if number == stage
                for kind in KINDS
            )
            lines.append(f"stage {stage}: {points} points, {deaths} deaths, each resumed")
        return "\n".join(lines)

    def uncounted(self) -> list[str]:
        """Steps without an act that they must have, and chosen ones that are not run."""
        never = sorted(
            set(self.only)
            - {part for _, name in self.found for part in (name, name.partition(" ")[0])}
        )
        return [
            f"stage {stage}, {step}: no point '{kind}'"
            for (stage, step), counts in sorted(self.found.items())
            for kind in self.kinds[stage, step]
            if not counts[kind]
        ] + [f"{name}: not among the steps" for name in never]


class SweepAlone(Sweep):
    """All deaths of the commands that no recipe runs."""

    def chosen(self, step: Step, points: list[Point]) -> list[Point]:
        """All, or one point of each command."""
        return [self.random.choice(points)] if self.sample else points


def recipe_in(folder: Path, recipe: str, *options: str) -> ForkedRecipe:
    """A recipe on its tiny corpus, which has not begun.

    Parameters
    ----------
    folder : path
        For its workdir and all else; what is there of another recipe is removed.
    recipe, options : str
        As of `ForkedRecipe`; of options those that it needs are added.
    """
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "work").mkdir(parents=True)
    needed = ["--size", "tiny"] if recipe == "mini" else Runs(folder / "runs").options_of(recipe)
    return ForkedRecipe(recipe, folder / "work", folder, *needed, *options)


def everything(folder: Path) -> Iterator[tuple[ForkedRecipe, set[str]]]:
    """The recipes of `SWEEPS`, and of each the steps that those before it do not run.

    Parameters
    ----------
    folder : path
        As of `recipe_in`.
    """
    seen: set[str] = set()
    for recipe, options in SWEEPS:
        forked = recipe_in(
            folder, recipe, *options.format(corpora=Runs(folder / "runs").base / "corpora").split()
        )
        new = {step.module for step in forked.steps} - seen
        seen |= new
        yield forked, new


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        prog="tests.fail_points", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--sample",
        action="store_true",
        help="one point of each stage and kind, or of each command, instead of all",
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the sample")
    parser.add_argument("--recipe", default="mini")
    parser.add_argument(
        "--only",
        default="",
        help="steps that are tried, joined by commas: steps.<name>, local.<name>; default: all",
    )
    parser.add_argument(
        "--alone", action="store_true", help="the commands that no recipe runs, instead of a recipe"
    )
    parser.add_argument(
        "--everything", action="store_true", help="all steps of all recipes, and those commands"
    )
    given, options = parser.parse_known_args()
    how, only = (given.sample, given.seed), set(filter(None, given.only.split(",")))
    import_everything()
    remember_recordings("tiny", seed=1)
    folder, sweeps = Path(tempfile.mkdtemp(prefix="fail_points-")), []
    started = time.monotonic()

    def sweep(kind: type[Sweep], recipe: ForkedRecipe, tried: set[str]) -> None:
        sweeps.append(kind(recipe, *how, tried))
        sweeps[-1].run()
        print(sweeps[-1].table(), flush=True)

    try:
        for recipe, new in everything(folder) if given.everything else ():
            sweep(Sweep, recipe, new)
        if given.alone or given.everything:
            with served(folder / "made") as site:
                sweep(SweepAlone, ForkedCommands(folder / "alone", folder, site), only)
        else:
            sweep(Sweep, recipe_in(folder, given.recipe, *options), only)
    finally:
        shutil.rmtree(folder)
    deaths, faults = (
        sum(sum(each.tried.values()) for each in sweeps),
        [fault for each in sweeps for fault in each.faults],
    )
    print(
        f"{deaths} deaths, {len(faults)} of them left other bytes; "
        f"{time.monotonic() - started:.0f} s"
    )
    if faults := faults + [line for each in sweeps for line in each.uncounted()]:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
