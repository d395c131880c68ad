"""Fuzz the readers of files from outside:

    python -m tests.fuzz archives --minutes 10 --seed 1 --record archives.json
    python -m tests.fuzz archives --replay 1000000017
    python -m tests.fuzz archives --replay archives.json
    python -m tests.fuzz archives --replay 1000000017 --keep what-was-wrong

Exit code 1 when there is a finding.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.fuzz.kept import keep, kept_inputs
from tests.fuzz.target import OF_ONE_SEED
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import Tally, run_for, try_inputs, write_record


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="tests.fuzz", description="Fuzz the readers of files from outside."
    )
    parser.add_argument("target", choices=[*TARGETS])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the inputs that are drawn")
    parser.add_argument("--record", type=Path, help="JSON file for counts and findings")
    parser.add_argument(
        "--replay",
        help="number of an input, the record of a run, or 'kept': all of tests/fuzz/seeds",
    )
    parser.add_argument(
        "--keep", help="name under which the replayed input is kept in tests/fuzz/seeds"
    )
    words = parser.parse_args()
    target, tally = TARGETS[words.target], Tally()
    if words.replay is None:
        tally, found, seconds = run_for(target, 60 * words.minutes, words.seed * OF_ONE_SEED)
        if words.record:
            write_record(words.record, target, tally, found, seconds)
    else:
        kept = kept_inputs(target.name) if words.replay == "kept" else None
        if kept is not None:
            numbers = [*range(len(kept))]
        elif words.replay.isdecimal():
            numbers = [int(words.replay)]
        else:
            numbers = [
                one["number"]
                for one in json.loads(Path(words.replay).read_text(encoding="utf-8"))["findings"]
            ]
        if words.keep:
            keep(target.name, words.keep, target.input(numbers[0]))
        found = list(try_inputs(target, numbers, tally, kept and list(kept.values())))
        print(*(one.text for one in found), sep="\n")
    print(
        f"{target.name}: {tally.inputs:,} inputs, {tally.read:,} read, {tally.refused:,} "
        f"refused, {len(found)} findings written down "
        f"of {len({one.kind for one in found})} kinds"
    )
    return min(1, len(found))


if __name__ == "__main__":
    sys.exit(main())
