"""Whether this machine can run a recipe.

    python -m utils.doctor [--workdir DIR] [--cmd slurm --cluster-conf FILE]

One line per check: ok, warning or bad, the facts, and a remedy.  It needs only Python and installs
nothing.  --dry-run of a recipe shows the disk and time that it needs.
"""

# Old Pythons must be able to report that they are too old.
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
    """The findings of all checks."""
    local_device = device
    if cmd != "local":
        local_device = "cpu"  # on a cluster the nodes have the GPUs
    yield from check_software(local_device)
    yield from check_machine()
    yield from check_disk(workdir)
    yield from check_scheduler(cmd, cluster_conf, device)


def main() -> int:
    """Print the findings; the exit code is 1 if one is bad."""
    parser = argparse.ArgumentParser(
        prog="utils.doctor",
        description="Check whether this machine can run a recipe; installs nothing.",
    )
    parser.add_argument(
        "--workdir", type=Path, default=Path("."), help="where data/ and exp/ are or will be"
    )
    parser.add_argument(
        "--cmd",
        choices=("local", "slurm", "sge"),
        default="local",
        help="what runs the job arrays",
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
        f"{verdicts.count(BAD)} bad, {verdicts.count(WARNING)} warnings; "
        "--dry-run of a recipe shows the disk, memory and time that it needs"
    )
    return int(BAD in verdicts)


if __name__ == "__main__":
    sys.exit(main())
