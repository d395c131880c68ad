"""The local launcher: the tasks of an array as processes of this machine."""

import os
import subprocess
import time

from utils.launchers.array import Array, End
from utils.machine import usable_cores

POLL_SECONDS = 0.05


def submit(array: Array) -> dict[int, End]:
    """Run the tasks, as many at once as this process may use cores for.

    Parameters
    ----------
    array : Array
        Its resources ``num-threads`` and ``max`` count here; mem, gpu and time are for clusters.

    Returns
    -------
    dict of int to End
        JOB -> how it ended.
    """
    resources = array.resources
    num_threads = int(resources.get("num-threads", 1))
    at_once = int(resources.get("max") or max(1, int(usable_cores()) // num_threads))
    environment = os.environ | {"OMP_NUM_THREADS": str(num_threads), "SV_STAGED": str(os.getpid())}
    waiting = list(array.jobs)
    running: dict[int, subprocess.Popen] = {}
    ends: dict[int, End] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[job] = subprocess.Popen(
                    array.words(job), env=environment, stdin=subprocess.DEVNULL
                )
            for job in [job for job, process in running.items() if process.poll() is not None]:
                ends[job] = End(running.pop(job).returncode)
                array.line.ended(job, ends[job].code)
            array.line.show()
            time.sleep(POLL_SECONDS)
    finally:
        array.line.clear()
        for process in running.values():
            process.terminate()
    return ends
