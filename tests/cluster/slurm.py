"""A real Slurm with two nodes on this machine, in a private folder; the system is not touched."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.daemons import (
    START_SECONDS,
    all_live,
    ask,
    free_ports,
    program,
    start,
    stopped,
    wait_for,
    words_of_logs,
)
from tests.conftest import ROOT

# What the launcher is told of it: the project's own file, in haste.
SITE = (
    ROOT / "conf" / "cluster" / "slurm.conf"
).read_text() + "default mem=500M\nset poll_seconds=0.5\nset visible_seconds=30\nset retries=1\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=0
KillWait=5
MinJobAge=600
GresTypes=gpu
NodeName=DEFAULT CPUs=2 RealMemory=4000 Gres=gpu:a100:2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=DEFAULT Nodes=n1,n2 MaxTime=INFINITE State=UP
PartitionName=all Default=YES
"""
PARTITIONS = ("cpu", "gpu", "gpu-large")  # of conf/cluster/example_slurm.conf


def why_not() -> str:
    """Why no Slurm can be started here; empty where it can."""
    missing = [name for name in PROGRAMS if not program(name)]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: apt install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@contextmanager
def running_slurm() -> Iterator[dict[str, str]]:
    """Start it; yields the environment in which its commands work, and stops it."""
    with tempfile.TemporaryDirectory(prefix="slurm.", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        (folder / "state").mkdir()
        conf = CONF.format(
            host=socket.gethostname().split(".")[0], folder=folder, ports=free_ports(3)
        )
        (folder / "slurm.conf").write_text(
            conf + "".join(f"PartitionName={partition}\n" for partition in PARTITIONS)
        )
        for number in range(2):
            (folder / f"gpu{number}").touch()
        (folder / "gres.conf").write_text(f"Name=gpu Type=a100 File={folder}/gpu[0-1]\n")
        environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        munge = [
            f"--{name}={folder / file}"
            for name, file in (
                ("key-file", "munge.key"),
                ("socket", "munge.socket"),
                ("pid-file", "munge.pid"),
                ("log-file", "munge.log"),
                ("seed-file", "munge.seed"),
            )
        ]
        with open(folder / "daemons.log", "w") as log, stopped(f"SLURM_CONF={folder}") as daemons:
            daemons.append(
                start([program("munged"), "--foreground", "--force", *munge], environment, log)
            )
            wait_for(
                lambda: all_live(daemons) and (folder / "munge.socket").exists(),
                lambda: words_of_logs(folder),
                START_SECONDS,
            )
            daemons.append(start([program("slurmctld"), "-D", "-c"], environment, log))
            daemons += [
                start([program("slurmd"), "-D", "-N", node], environment, log)
                for node in ("n1", "n2")
            ]
            wait_for(
                lambda: all_live(daemons) and states(environment) == ["idle", "idle"],
                lambda: words_of_logs(folder),
                START_SECONDS,
            )
            yield environment
            ask(environment, "scancel", "--user=root")


def states(environment: dict[str, str]) -> list[str]:
    """What both nodes are at."""
    return ask(
        environment, "sinfo", "--noheader", "--Node", "--partition=all", "--format=%T"
    ).split()


def set_down(environment: dict[str, str], node: str) -> None:
    """As if it had failed."""
    ask(environment, "scontrol", "update", f"nodename={node}", "state=down", "reason=test")


def set_up(environment: dict[str, str], node: str) -> None:
    """Take it back; until both nodes wait for work."""

    def tried():
        ask(environment, "scontrol", "update", f"nodename={node}", "state=resume")
        return states(environment) == ["idle", "idle"]

    wait_for(tried)


def let_start(environment: dict[str, str], process: subprocess.Popen | None, job: str) -> None:
    """Have a job that was queued again start soon: Slurm holds it for two minutes.

    A process that waits for it may end before.

    Not at once, since a node refuses a job that was taken from it within the same second.
    """

    def shown():
        return ask(environment, "scontrol", "--oneliner", "show", "job", job)

    def ended():
        return process and process.poll() is not None

    wait_for(lambda: "Restarts=1" in shown() or ended(), shown)
    wait_for(lambda: "JobState=COMPLETING" not in shown() or ended(), shown)
    ask(environment, "scontrol", "update", f"jobid={job}", "starttime=now+3")
