"""Whether this machine is fit for a recipe: `python -m utils.doctor [--workdir DIR] [--cmd slurm --cluster-conf FILE]`, or `./run.sh --doctor`.

One line for each thing: ok, warning or bad, what was found, and what mends it.  It installs nothing and needs nothing but a Python: to say what is
missing is what it is for.  What a recipe needs of disk and time is said by --dry-run.
"""

# An old Python has to get as far as being told that it is too old.
from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from utils.doctor.cluster import check_scheduler
from utils.doctor.disk import check_disk
from utils.doctor.findings import BAD, WARNING, Finding
from utils.doctor.machine import check_machine
from utils.doctor.software import check_software


def _examine_machine(workdir: Path, cmd: str, cluster_conf: str, device: str) -> Iterator[Finding]:
    """Everything, one finding after the other."""
    # on a cluster the nodes have the GPUs
    yield from check_software(device if cmd == "local" else "cpu")
    yield from check_machine()
    yield from check_disk(workdir)
    yield from check_scheduler(cmd, cluster_conf, device)


def main() -> int:
    """Print the findings; 1 where something is bad, else 0."""
    parser = argparse.ArgumentParser(
        prog="utils.doctor",
        description="Whether this machine is fit for a recipe; installs and leaves nothing.",
    )
    parser.add_argument(
        "--workdir", type=Path, default=Path("."), help="where data/ and exp/ are or will be"
    )
    parser.add_argument(
        "--cmd",
        choices=("local", "slurm", "sge"),
        default="local",
        help="what is to run the arrays",
    )
    parser.add_argument(
        "--cluster-conf", default="", help="the site's file; default: conf/cluster/<cmd>.conf"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="of training and extraction"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it
    verdicts = []
    for finding in _examine_machine(given.workdir, given.cmd, given.cluster_conf, given.device):
        verdicts.append(finding.verdict)
        print(finding.lines(), flush=True)
    print(
        f"{verdicts.count(BAD)} bad, {verdicts.count(WARNING)} warnings; with --dry-run a recipe says what it needs of disk, memory and time"
    )
    return int(BAD in verdicts)


if __name__ == "__main__":
    sys.exit(main())
