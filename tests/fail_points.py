"""Death at every point of every step: `python -m tests.fail_points` kills the tiny recipe at each of them, resumes it, and compares the bytes.

    python -m tests.fail_points                      every point: some 2,500
    python -m tests.fail_points --sample --seed 3    of each stage and kind of point one that the seed draws
    python -m tests.fail_points --only steps.calibrate,steps.normalise_scores --backend A.yaml,B.yaml --score-norm s_norm --calibrate true
    python -m tests.fail_points --recipe vctk_ge2e --only local.prepare_vctk,steps.make_enrolment
                                                     steps that the tiny recipe runs by options only, and those of other recipes on their look-alikes

Each step is run once undisturbed, which gives its points (tests/fail_point_hooks.py) and the bytes that it has to leave behind.
Then, for each point, it starts from the same state, dies by SIGKILL with its whole process group, and the stage is run again.
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
from collections.abc import Collection
from pathlib import Path

from tests.fail_point_hooks import KINDS, WRITING, Point, recorded, watch
from tests.forked_steps import ForkedRecipe, Step, import_everything, remember_recordings
from tests.recipes.runs import Runs, difference


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
        self.recipe, self.sample, self.seed, self.only, self.random = recipe, sample, seed, only, random.Random(seed)
        self.found: dict[tuple, Counter] = defaultdict(Counter)  # (stage, step) -> kind of point -> number of points
        self.tried: Counter = Counter()  # stage -> deaths
        self.faults: list[str] = []

    def run(self) -> None:
        """Go through the recipe."""
        for step in self.recipe.steps:
            if not self.only or step.module in self.only:
                points, wanted = self.undisturbed(step)
                for point in self.chosen(step, points):
                    self.die(step, point, wanted)
                self.recipe.restore()
            assert self.recipe.run(step) == 0, self.recipe.log.read_text()

    def undisturbed(self, step: Step) -> tuple[list[Point], dict[str, str]]:
        """Points of a step, and what it leaves behind."""
        log = self.recipe.folder / "points"
        log.unlink(missing_ok=True)
        self.recipe.keep()
        status = self.recipe.run(step, lambda: watch(self.recipe.workdir, log))
        assert status == 0, self.recipe.log.read_text()
        points = recorded(log)
        for point in points:
            self.found[step.stage, step.module][point.kind] += 1
            self.found[step.stage, step.module]["of receipts"] += point.of_receipt
        return points, self.recipe.contents()

    def chosen(self, step: Step, points: list[Point]) -> list[Point]:
        """The points that are tried: all, or for each kind one in one step of the stage, of a receipt or of another file in turn."""
        if not self.sample:
            return points
        steps = [each for each in self.recipe.steps if each.stage == step.stage]
        turns = [(number, kind) for number, kind in enumerate(KINDS, self.seed) if steps[number % len(steps)] is step]
        groups = [([point for point in points if point.kind == kind], number % 2 == 0) for number, kind in turns]
        preferred = [[point for point in group if point.of_receipt == receipts] or group for group, receipts in groups]
        return [self.random.choice(group) for group in preferred if group]

    def die(self, step: Step, point: Point, wanted: dict[str, str]) -> None:
        """One death, resumed and compared."""
        self.recipe.restore()
        status = self.recipe.run(step, lambda: watch(self.recipe.workdir, die_at=point))
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"{step.module} never came to {point}: {self.recipe.log.read_text()}"
        self.tried[step.stage] += 1
        status = self.recipe.resume(step)
        differing = difference(wanted, self.recipe.contents()) if status == 0 else [self.recipe.log.read_text()]
        if differing:
            self.faults.append(f"stage {step.stage}, {step.module} {' '.join(step.words)}\n  killed at {point}\n  differs: {differing}")
            print(self.faults[-1], file=sys.stderr, flush=True)

    def table(self) -> str:
        """Points of each stage and step, and how many were tried."""
        head = f"{'stage':6}{'step':32}" + "".join(f"{kind:>19}" for kind in (*KINDS, "of receipts")) + f"{'all':>7}"
        lines = [head]
        for (stage, step), counts in sorted(self.found.items()):
            lines.append(f"{stage:<6}{step:32}" + "".join(f"{counts[kind]:19}" for kind in (*KINDS, "of receipts"))
                         + f"{sum(counts[kind] for kind in KINDS):7}")
        for stage, deaths in sorted(self.tried.items()):
            points = sum(counts[kind] for (number, _), counts in self.found.items() if number == stage for kind in KINDS)
            lines.append(f"stage {stage}: {points} points, {deaths} deaths, each resumed")
        return "\n".join(lines)

    def uncounted(self) -> list[str]:
        """Stages and steps in which some act of writing was never seen: where nothing is tried nothing is proved."""
        return [f"stage {stage}, {step}: no point '{kind}'" for (stage, step), counts in sorted(self.found.items())
                for kind in (*WRITING, "of receipts") if not counts[kind]]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="tests.fail_points", description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", action="store_true", help="one point of each stage and kind instead of all")
    parser.add_argument("--seed", type=int, default=1, help="draws the sample")
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--only", default="", help="steps that are tried, joined by commas: steps.<name>, local.<name>; default: all")
    given, options = parser.parse_known_args()
    only = set(filter(None, given.only.split(",")))
    import_everything()
    remember_recordings("tiny", seed=1)
    folder = Path(tempfile.mkdtemp(prefix="fail_points-"))
    try:
        (folder / "work").mkdir()
        started = time.monotonic()
        needed = ["--size", "tiny"] if given.recipe == "mini" else Runs(folder / "runs").options_of(given.recipe)
        sweep = Sweep(ForkedRecipe(given.recipe, folder / "work", folder, *needed, *options), given.sample, given.seed, only)
        sweep.run()
    finally:
        shutil.rmtree(folder)
    print(sweep.table())
    print(f"{sum(sweep.tried.values())} deaths, {len(sweep.faults)} of them left other bytes; {time.monotonic() - started:.0f} s")
    never = sorted(only - {module for _, module in sweep.found})
    faults = [*sweep.faults, *sweep.uncounted(), *(f"{module}: the recipe does not run it" for module in never)]
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
