"""Launchers: what runs an array of processes.  `python -m utils.launchers local JOB=1:8 LOG
COMMAND...`, as Kaldi's run.pl, slurm.pl and queue.pl.

The contract, the same for every launcher (one module each, with a function ``submit(array) -> dict
of JOB -> End``; see utils/launchers/array.py): JOB in the name of LOG, and the words JOB and JOB/N
of COMMAND, become the task's number.  Only tasks without a fresh receipt are started.  The log's
first line holds the command, host and start, its last one the exit code and seconds
(utils/launchers/task.py writes them, wherever the task runs). A task has succeeded when its receipt
exists, whatever its exit code says.  Launchers of clusters read their site's file
(utils/launchers/site.py) and share utils/launchers/follow.py.
"""
