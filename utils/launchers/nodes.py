"""Training on several hosts, in a Slurm job with N nodes.

    python -m utils.launchers.nodes N P -m steps.train ...

It starts itself once per node with srun, and there torchrun with P processes.  Their master is the
job's first node; SV_MASTER_ADDR gives another address for it (another network, or several nodes on
one host).  Slurm's signals reach the processes through srun and torchrun.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence

FIRST_PORT, PORTS = 20_000, 12_000  # below the ports that systems assign themselves
MEETING = "SV_MEETING"  # host:port, from the job's script to its nodes


def _srun_command(nodes: int, words: Sequence[str]) -> list[str]:
    """The command that starts a process on each node."""
    return [
        "srun",
        f"--nodes={nodes}",
        f"--ntasks={nodes}",
        "--ntasks-per-node=1",
        "--kill-on-bad-exit=1",
        sys.executable,
        "-m",
        "utils.launchers.nodes",
        *words,
    ]


def _torchrun_command(
    nodes: int, processes: int, words: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """The torchrun command of one node."""
    host, port = environment[MEETING].rsplit(":", 1)
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nnodes={nodes}",
        f"--nproc-per-node={processes}",
        f"--node-rank={environment['SLURM_PROCID']}",
        f"--master-addr={host}",
        f"--master-port={port}",
        *words,
    ]


def main(nodes: int, processes: int, words: Sequence[str]) -> None:
    """Become srun in the job's script, and torchrun (with `words`) on its nodes."""
    if MEETING in os.environ:
        os.environ.pop("SV_STAGED", None)  # a process id of the first host
        command = _torchrun_command(nodes, processes, words, os.environ)
    else:
        host = os.environ.get("SV_MASTER_ADDR") or socket.gethostname()
        port = FIRST_PORT + int(os.environ["SLURM_JOB_ID"]) % PORTS
        os.environ[MEETING] = f"{host}:{port}"
        command = _srun_command(nodes, [str(nodes), str(processes), *words])
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
