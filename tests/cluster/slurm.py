"""A real Slurm with two nodes on this machine, in a private folder: no service, no user and no file of the system is touched."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
ReturnToService=2
KillWait=5
MinJobAge=600
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
START_SECONDS = 60


def why_not() -> str:
    """Why no Slurm can be started here; empty where it can."""
    missing = [name for name in PROGRAMS if not program(name)]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: apt install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


def program(name: str) -> str:
    """Path of a program, those of administrators included."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or ""


@contextmanager
def running_slurm() -> Iterator[dict[str, str]]:
    """Start it; yields the environment in which its commands work, and stops it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm."))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    (folder / "state").mkdir()
    with free_ports(3) as ports:
        (folder / "slurm.conf").write_text(CONF.format(host=socket.gethostname().split(".")[0], folder=folder, ports=ports))
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = [f"--{name}={folder / file}" for name, file in (("key-file", "munge.key"), ("socket", "munge.socket"), ("pid-file", "munge.pid"),
                                                          ("log-file", "munge.log"), ("seed-file", "munge.seed"))]
    daemons = [[program("munged"), "--foreground", "--force", *munge], [program("slurmctld"), "-D", "-c"],
               *([program("slurmd"), "-D", "-N", node] for node in ("n1", "n2"))]
    with open(folder / "daemons.log", "w") as log:
        processes = [start(words, environment, log, folder / "munge.socket") for words in daemons]
    try:
        wait_until_idle(environment, folder)
        yield environment
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()
        shutil.rmtree(folder)


def start(words: list[str], environment: dict[str, str], log, socket_of_munge: Path) -> subprocess.Popen:
    """Start a daemon; munged, the first, is waited for."""
    process = subprocess.Popen(words, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while not socket_of_munge.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    """Until both nodes wait for work; else what the daemons said."""
    deadline = time.monotonic() + START_SECONDS
    while ask(environment, "sinfo", "--noheader", "--Node", "--format=%T").split() != ["idle", "idle"]:
        if time.monotonic() > deadline:
            raise RuntimeError("\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.log")))
        time.sleep(0.2)


def ask(environment: dict[str, str], *words: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False).stdout


@contextmanager
def free_ports(number: int) -> Iterator[list[int]]:
    """Ports that nobody listens at."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
