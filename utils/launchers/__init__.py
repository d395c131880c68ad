"""Launchers run an array of processes, as Kaldi's run.pl, slurm.pl and queue.pl do.

    python -m utils.launchers local JOB=1:8 LOG COMMAND...

JOB in the name of LOG, and the words JOB and JOB/N of COMMAND, become the number of the task.  Only
tasks without a valid receipt are started.  A task has succeeded when its receipt exists, whatever
its exit code.  The first line of a log has the command, host and start, the last one the exit code
and seconds (utils/launchers/task.py).

Each launcher is a module with a function ``submit(array) -> dict of JOB -> End``.  Launchers of
clusters read the site's file (utils/launchers/site.py) and share utils/launchers/follow.py.
"""
