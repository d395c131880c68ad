"""The local launcher: tasks are processes on this machine."""

import os
import subprocess
import time

from utils.launchers.array import Array, End
from utils.machine import usable_cores

POLL_SECONDS = 0.05


def submit(array: Array) -> dict[int, End]:
    """Run the tasks, as many at a time as there are cores, and return their ends.

    Only the resources ``num-threads`` and ``max`` apply; mem, gpu and time are for clusters.
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
            for job, process in list(running.items()):
                if process.poll() is not None:
                    del running[job]
                    ends[job] = End(process.returncode)
                    array.line.ended(job, process.returncode)
            array.line.show()
            time.sleep(POLL_SECONDS)
    finally:
        array.line.clear()
        for process in running.values():
            process.terminate()
    return ends
