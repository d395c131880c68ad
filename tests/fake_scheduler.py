"""A hostile scheduler for tests: eight commands of Slurm and Grid Engine in one, by the first word.

Its state is a JSON file in the folder FAKE_CLUSTER.  `faults.json` there lists faults, each of
which happens once: JOB -> lose, twice, silent, truncate, late, memory, hold; and `commands` ->
{"sbatch": ["timeout", "mute", "down"], ...} for the commands themselves.
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HOME = Path(os.environ.get("FAKE_CLUSTER", "."))
COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "qsub", "qstat", "qacct", "qdel")


def install(folder: Path) -> dict[str, str]:
    """Put the commands into a folder; returns the environment that finds them."""
    (folder / "bin").mkdir(parents=True)
    for name in COMMANDS:
        (folder / "bin" / name).write_text(
            f'#!/bin/sh\nexec {sys.executable} -S {Path(__file__).resolve()} {name} "$@"\n'
        )
        (folder / "bin" / name).chmod(0o755)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "FAKE_CLUSTER": str(folder)}


@contextmanager
def state():
    """The jobs, to be changed: number -> name, options, tasks (state, code, processes)."""
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = HOME / "state.json"
        jobs = json.loads(path.read_text()) if path.exists() else {}
        yield jobs
        path.with_suffix(".tmp").write_text(json.dumps(jobs))
        os.replace(path.with_suffix(".tmp"), path)


def fault_of(kind: str, key: str) -> str:
    """The next thing to go wrong for a task or command; it does so once."""
    with open(HOME / "lock.faults", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = HOME / "faults.json"
        faults = json.loads(path.read_text()) if path.exists() else {}
        waiting = faults.get(kind, {}).get(key, [])
        fault = waiting.pop(0) if waiting else ""
        path.write_text(json.dumps(faults))
    return fault


def enter(words: list[str], name: str, numbers: list[int], output: str, variable: str) -> str:
    """Take a job, and run it in a process that nobody waits for."""
    with state() as jobs:
        job = str(len(jobs) + 1)
        jobs[job] = {
            "name": name,
            "words": words,
            "output": output,
            "variable": variable,
            "script": Path(words[-1]).read_text(),
            "tasks": {str(number): {"state": "PENDING", "code": 0, "pid": 0} for number in numbers},
        }
    subprocess.Popen(
        [sys.executable, "-S", __file__, "work", job],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return job


def work(job: str) -> None:
    """Run the tasks, the last first, each ending before the next begins."""
    with state() as jobs:
        facts = jobs[job]
    for number in sorted(facts["tasks"], key=int, reverse=True):
        real = re.search(rf"^{number}\) exec .*--job (\d+)/", facts["script"], re.MULTILINE)[1]
        fault = fault_of("tasks", real)
        words = ["bash", "-c", facts["script"]]
        environment = {"HOME": "/", "PATH": "/usr/bin:/bin", facts["variable"]: number}
        if fault == "lose":
            with state() as jobs:
                del jobs[job]["tasks"][number]
            continue
        with state() as jobs:
            if jobs[job]["tasks"][number]["state"] == "CANCELLED":
                continue
        if fault == "silent":
            words = ["true"]
        if fault == "memory":
            words = ["bash", "-c", "kill -KILL $$"]
        if fault == "hold":
            words = [
                "bash",
                "-c",
                f"while [ ! -e {HOME}/release ]; do sleep 0.05; done; " + facts["script"],
            ]
        with open(Path(re.sub(r"%a|\$TASK_ID", number, facts["output"])), "a") as output:
            processes = [
                subprocess.Popen(
                    words, env=environment, stdout=output, stderr=output, start_new_session=True
                )
                for _ in range(2 if fault == "twice" else 1)
            ]
        with state() as jobs:
            jobs[job]["tasks"][number] |= {"state": "RUNNING", "pid": processes[0].pid}
        code = [process.wait() for process in processes][-1]
        spoil(fault, real)
        with state() as jobs:
            if jobs[job]["tasks"][number]["state"] == "RUNNING":
                name = "OUT_OF_MEMORY" if fault == "memory" else "FAILED" if code else "COMPLETED"
                jobs[job]["tasks"][number] |= {"state": name, "code": code}


def spoil(fault: str, real: str) -> None:
    """What happens to the files of a task that ended well."""
    work_folder = Path((HOME / "work_folder").read_text())
    if fault == "truncate":
        os.truncate(work_folder / f"out.{real}", 0)
    if fault == "late":
        receipt = next(work_folder.glob(f"receipts/*.{real}of*.json"))
        receipt.rename(HOME / f"{receipt.name}.late")  # whoever tests brings it back


def cancel(job: str) -> None:
    """Kill what runs, forget what waits."""
    with state() as jobs:
        for task in jobs.get(job, {"tasks": {}})["tasks"].values():
            if task["state"] == "RUNNING":
                os.killpg(task["pid"], signal.SIGKILL)
            if task["state"] in ("RUNNING", "PENDING"):
                task |= {"state": "CANCELLED", "code": -15}


def option(words: list[str], name: str) -> str:
    """Value of ``--name=value`` or ``-name value``."""
    joined = next((word.partition("=")[2] for word in words if word.startswith(name + "=")), "")
    return joined or (words[words.index(name) + 1] if name in words else "")


def slurm(command: str, words: list[str]) -> str:
    """What Slurm's command prints."""
    if command == "sbatch":
        ends = [part.split("-") for part in option(words, "--array").partition("%")[0].split(",")]
        numbers = [
            number
            for first, *last in ends
            for number in range(int(first), int((last or [first])[0]) + 1)
        ]
        return enter(
            words,
            option(words, "--job-name"),
            numbers,
            option(words, "--output"),
            "SLURM_ARRAY_TASK_ID",
        )
    with state() as jobs:
        found = dict(jobs)
    if command == "squeue":
        return "\n".join(
            job for job, facts in found.items() if facts["name"] == option(words, "--name")
        )
    if command == "scancel":
        return cancel(words[0]) or ""
    lines = []
    for number, task in found.get(words[-1], {"tasks": {}})["tasks"].items():
        code = f"{max(task['code'], 0)}:{max(-task['code'], 0)}"
        lines.append(
            f"JobId={words[-1]}{number} ArrayJobId={words[-1]} ArrayTaskId={number} "
            f"JobState={task['state']} Reason=None ExitCode={code} "
            "NodeList=n1"
        )
    if not lines:
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    return "\n".join(lines)


def grid_engine(command: str, words: list[str]) -> str:
    """What Grid Engine's command prints."""
    if command == "qsub":
        output = str(Path(option(words, "-wd"), option(words, "-o")))
        return enter(
            words,
            option(words, "-N"),
            list(range(1, int(option(words, "-t")[2:]) + 1)),
            output,
            "SGE_TASK_ID",
        )
    if command == "qdel":
        return cancel(words[0]) or ""
    with state() as jobs:
        found = dict(jobs)
    if command == "qstat":
        live = [
            (job, facts["name"], number, task)
            for job, facts in found.items()
            for number, task in facts["tasks"].items()
            if task["state"] in ("RUNNING", "PENDING")
        ]
        lists = [
            f"<job_list><JB_job_number>{job}</JB_job_number><JB_name>{name}</JB_name>"
            f"<state>{'r' if task['state'] == 'RUNNING' else 'qw'}</state>"
            f"<queue_name>all.q@n1</queue_name><tasks>{number}</tasks></job_list>"
            for job, name, number, task in live
        ]
        return (
            f"<?xml version='1.0'?><job_info><queue_info>{''.join(lists)}</queue_info></job_info>"
        )
    tasks = found.get(words[-1], {"tasks": {}})["tasks"]
    ended = {
        number: task["code"]
        for number, task in tasks.items()
        if task["state"] not in ("RUNNING", "PENDING")
    }
    return "".join(
        f"{'=' * 62}\nhostname     n1\ntaskid       {number}\nfailed       0\nexit_status  "
        f"{code if code >= 0 else 128 - code}\n"
        for number, code in ended.items()
    )


def main(command: str, words: list[str]) -> None:
    """One command; some of its calls go wrong."""
    if command == "work":
        return work(words[0])
    fault = fault_of("commands", command)
    if fault == "down":
        sys.exit("error: Unable to contact slurm controller (connect failure)")
    if fault == "refuse":
        sys.exit("error: invalid partition specified: nowhere")
    text = (grid_engine if command.startswith("q") else slurm)(command, words)
    if fault == "timeout":
        sys.exit(
            "error: Batch job submission failed: Socket timed out on send/recv operation, "
            "unable to contact"
        )
    with open(HOME / "calls", "a") as calls:
        print(command, *words, file=calls)
    if fault != "mute":
        print(text)
    return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
