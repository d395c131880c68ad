"""A training over several hosts: `python -m utils.launchers.nodes N P -m steps.train ...` in a job of Slurm with N nodes.

It starts itself once on each node by srun, and there torchrun with P processes.  The host of the job's first node is where they meet; SV_MASTER_ADDR
names another address of it (another network, or nodes that are one host).  Slurm's signals reach the processes through srun and torchrun.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence

FIRST_PORT, PORTS = 20_000, 12_000  # below those that systems hand out by themselves
MEETING = "SV_MEETING"  # host:port, from the job's script to its nodes


def _on_all_nodes(nodes: int, words: Sequence[str], job: int, host: str) -> tuple[list[str], str]:
    """The command that starts a process on each node, and where these meet."""
    srun = [
        "srun",
        f"--nodes={nodes}",
        f"--ntasks={nodes}",
        "--ntasks-per-node=1",
        "--kill-on-bad-exit=1",
    ]
    return [
        *srun,
        sys.executable,
        "-m",
        "utils.launchers.nodes",
        *words,
    ], f"{host}:{FIRST_PORT + job % PORTS}"


def _on_one_node(
    nodes: int, processes: int, words: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """The command of one node."""
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
    """Become srun in the job's script, torchrun on its nodes.

    Parameters
    ----------
    nodes, processes : int
        As of `_on_one_node`.
    words : sequence of str
        What torchrun is given.
    """
    if MEETING in os.environ:
        os.environ.pop("SV_STAGED", None)  # a process of the first host
        command = _on_one_node(nodes, processes, words, os.environ)
    else:
        host = os.environ.get("SV_MASTER_ADDR") or socket.gethostname()
        command, os.environ[MEETING] = _on_all_nodes(
            nodes, [str(nodes), str(processes), *words], int(os.environ["SLURM_JOB_ID"]), host
        )
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
