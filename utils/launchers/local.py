"""The local launcher: the tasks of an array as processes of this machine."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping

POLL_SECONDS = 0.05


def submit(tasks: Mapping[int, list[str]], resources: Mapping[str, str]) -> dict[int, int]:
    """Run the tasks, as many at once as there are cores for.

    Parameters
    ----------
    tasks : mapping of int to list of str
        JOB -> command.
    resources : mapping of str to str
        ``num-threads`` per task; ``max``: how many tasks at once at most; mem, gpu and time are for clusters.

    Returns
    -------
    dict of int to int
        JOB -> exit code.
    """
    num_threads = int(resources.get("num-threads", 1))
    at_once = int(resources.get("max") or max(1, (os.cpu_count() or 1) // num_threads))
    environment = os.environ | {"OMP_NUM_THREADS": str(num_threads), "SV_STAGED": str(os.getpid())}
    waiting, running, codes = list(tasks), {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[job] = subprocess.Popen(tasks[job], env=environment, stdin=subprocess.DEVNULL)
            for job in [job for job, process in running.items() if process.poll() is not None]:
                codes[job] = running.pop(job).returncode
                print(f"   task {job} ended with {codes[job]}; {len(codes)} of {len(tasks)}", file=sys.stderr)
            time.sleep(POLL_SECONDS)
    finally:
        for process in running.values():
            process.terminate()
    return codes
