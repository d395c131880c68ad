"""Runs of the tiny recipe that are killed at random moments and resumed.

    python -m tests.chaos --runs 200 --seed 1 --record FILE   seeds 1 to 200 but those in FILE, so
                                                              that it may be stopped
    python -m tests.chaos --replay 17                         the kills of seed 17 again
    python -m tests.chaos --runs 10 --stages                  each run is killed and resumed within
                                                              one stage, from the state before it

Each run is killed two to five times by SIGKILL of its whole process group and then runs to its end,
which must have the bytes of an undisturbed run.  The seed draws the moments evenly over the time
of the undisturbed run.  A moment is kept as a number of receipts and the seconds after the last
one, so that a replay on a slower or busier machine kills at the same point.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.recipes.runs import contents, difference, last_line, start

KILLS = (2, 5)
GLANCE_SECONDS = 0.02  # how often receipts are counted
GIVE_UP_SECONDS = 3600.0


@dataclass
class Outcome:
    """What became of a run: a line of the record.

    Attributes
    ----------
    seed : int
        Draws stages and moments.
    first, last : int
        Its stages.
    moments : list of (int, float)
        Receipts that there were when it was killed, and seconds after the last of them.
    killed_in : list of str
        What it was at: ``stage 3``, ``planning``; ``ended`` when it was faster than the kill.
    differs : list of str
        Files with other bytes; or the last line of a run that failed.
    seconds : float
        All in all.
    """

    seed: int
    first: int
    last: int
    moments: list[tuple[int, float]]
    killed_in: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Chaos:
    """The undisturbed run, and those that are compared with it.

    Parameters
    ----------
    folder : path
        For the workdir and the states of the undisturbed run.
    options : str
        Of recipes/mini/run.sh.
    """

    def __init__(self, folder: Path, *options: str):
        self.folder, self.workdir, self.options = (
            folder,
            folder / "work",
            ["--size", "tiny", *options],
        )
        self.receipts: list[float] = []  # second at which each appeared
        self.starts: list[float] = []  # second at which each stage began
        self.wanted: list[dict[str, str]] = []  # contents after each stage
        self.workdir.mkdir()
        for stage in range(8):
            shutil.copytree(self.workdir, self.before(stage))
            self.starts.append(time.monotonic())
            code = self.attempt(stage, stage, None)
            assert code == 0, self.said()
            self.wanted.append(contents(self.workdir))
        self.starts.append(time.monotonic())

    def before(self, stage: int) -> Path:
        """The state before a stage."""
        return self.folder / f"before-{stage}"

    def said(self) -> str:
        """What the run printed."""
        return (self.folder / "printed").read_text(errors="replace")

    def count(self) -> int:
        """Number of receipts in the workdir."""
        return sum(
            name.endswith(".json")
            for place, _, names in os.walk(self.workdir)
            if place.endswith("/receipts")
            for name in names
        )

    def attempt(self, first: int, last: int, moment: tuple[int, float] | None) -> int | None:
        """Run some stages to their end, or until all is killed; the exit code, None after death."""
        with open(self.folder / "printed", "w") as printed:
            process = start(
                "mini",
                *self.options,
                "--workdir",
                self.workdir,
                "--stage",
                str(first),
                "--stop-stage",
                str(last),
                stdout=printed,
            )
        deadline = time.monotonic() + GIVE_UP_SECONDS
        reached = None
        while process.poll() is None:
            now, present = time.monotonic(), self.count()
            assert now < deadline, (
                f"a run takes more than {GIVE_UP_SECONDS} s: {self.said()[-2000:]}"
            )
            if moment is None:
                self.receipts += [now] * (present - len(self.receipts))
            elif present >= moment[0]:
                reached = now if reached is None else reached
                if now - reached >= moment[1]:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return None
            time.sleep(GLANCE_SECONDS)
        if moment is None:
            self.receipts += [time.monotonic()] * (self.count() - len(self.receipts))
        return process.returncode

    def draw(self, seed: int, stages: bool) -> Outcome:
        """What a seed decides."""
        drawn = random.Random(f"chaos {seed}")
        first, last = (seed % 8, seed % 8) if stages else (0, 7)
        moments = []
        for second in sorted(
            drawn.uniform(self.starts[first], self.starts[last + 1])
            for _ in range(drawn.randint(*KILLS))
        ):
            earlier = [appeared for appeared in self.receipts if appeared <= second]
            begun = max([self.starts[first], *earlier])
            moments.append((len(earlier), round(second - begun, 3)))
        return Outcome(seed, first, last, moments)

    def run(self, outcome: Outcome) -> Outcome:
        """Kill, resume, compare."""
        began = time.monotonic()
        shutil.rmtree(self.workdir)
        shutil.copytree(self.before(outcome.first), self.workdir)
        for moment in outcome.moments:
            code = self.attempt(outcome.first, outcome.last, moment)
            begun = re.findall(r"^== (stage \d)", self.said(), re.MULTILINE)
            outcome.killed_in.append(
                "ended" if code is not None else begun[-1] if begun else "planning"
            )
        code = self.attempt(outcome.first, outcome.last, (sys.maxsize, 0.0))
        failed = [f"exit code {code}: {last_line(self.said())}"]
        outcome.differs = (
            failed if code else difference(self.wanted[outcome.last], contents(self.workdir))
        )
        outcome.seconds = round(time.monotonic() - began, 1)
        return outcome


def summary(outcomes: list[dict]) -> str:
    """The record in three lines."""
    where = Counter(place for outcome in outcomes for place in outcome["killed_in"])
    failed = [outcome["seed"] for outcome in outcomes if outcome["differs"]]
    seconds = sum(outcome["seconds"] for outcome in outcomes)
    return "\n".join(
        [
            (
                f"{len(outcomes)} runs, {sum(where.values()) - where['ended']} kills, "
                f"{seconds / max(1, len(outcomes)):.0f} s a run"
            ),
            "killed in: " + ", ".join(f"{place} {where[place]}" for place in sorted(where)),
            f"other bytes or no end: seeds {failed}; --replay SEED does it again"
            if failed
            else "all ended with the bytes of the undisturbed run",
        ]
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first run; the next one has the next"
    )
    parser.add_argument("--replay", type=int, help="just this seed, whatever the record says")
    parser.add_argument("--record", type=Path, help="file that gets a line of JSON for each run")
    parser.add_argument(
        "--stages", action="store_true", help="runs of one stage each instead of whole ones"
    )
    given, options = parser.parse_known_args()
    seeds = (
        [given.replay] if given.replay is not None else range(given.seed, given.seed + given.runs)
    )
    lines = given.record.read_text().splitlines() if given.record and given.record.exists() else []
    outcomes = [json.loads(line) for line in lines]
    known = {outcome["seed"] for outcome in outcomes} if given.replay is None else set()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        chaos = Chaos(folder, *options)
        seconds = chaos.starts[-1] - chaos.starts[0]
        print(
            f"undisturbed: {len(chaos.receipts)} receipts, {len(chaos.wanted[-1])} files "
            f"compared, {seconds:.0f} s",
            flush=True,
        )
        for seed in (seed for seed in seeds if seed not in known):
            outcome = chaos.run(chaos.draw(seed, given.stages))
            outcomes.append(asdict(outcome))
            print(json.dumps(outcomes[-1]), flush=True)
            if given.record:
                with open(given.record, "a") as record:
                    record.write(json.dumps(outcomes[-1]) + "\n")
    finally:
        shutil.rmtree(folder)
    print(summary(outcomes))
    sys.exit(any(outcome["differs"] for outcome in outcomes))


if __name__ == "__main__":
    main()
