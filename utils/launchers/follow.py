"""Shared by launchers of clusters: adopt running jobs, submit the rest, wait, cancel or leave."""

import hashlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TypeVar

from utils.errors import UserError
from utils.launchers.array import GONE, Array, End, read_log
from utils.launchers.engine import ENDED, RUNNING, WAITING, Engine, TaskState
from utils.launchers.failures import unfinished
from utils.launchers.record import Submission, lock_array, read_record, write_record
from utils.launchers.script import NoAnswer

SHORTEST_POLL_SECONDS, SHARE_OF_TIME_WAITED = 0.2, 0.05  # of the pause between two questions
LOOKS_UNTIL_GONE = 2  # a new job may not be shown yet
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Answer = TypeVar("Answer")


class Stopped(KeyboardInterrupt):
    """A signal of `SIGNALS` arrived."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def follow(engine: Engine, array: Array) -> dict[int, End]:
    """Run the tasks with a scheduler, wait for them and return their ends.

    Tasks that an earlier launcher submitted are adopted.  UserError: jobs of another command still
    write the same outputs; another launcher works on the array; the scheduler refused the jobs or
    gave no answer.
    """
    watch = Watch(engine, array)
    with lock_array(watch.record), _signals_raised():
        try:
            watch.adopt()
            watch.start()
            watch.wait()
        except Stopped as stopped:
            # the death of the parent shell sends SIGHUP too
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            watch.leave_or_cancel(stopped.number)
            raise
    return watch.done


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP raise `Stopped`."""

    def stop(number: int, _) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watch:
    """The submissions of one array."""

    def __init__(self, engine: Engine, array: Array):
        self.engine, self.array, self.site = engine, array, array.cluster
        self.record = array.beside("jobs.json")
        work = json.dumps([array.log, *array.command])
        self.digest = hashlib.sha256(work.encode()).hexdigest()[:16]
        self.submissions: list[Submission] = []
        self.done: dict[int, End] = {}
        self.last_message = ""
        self.ended: set[int] = set()  # tasks of an earlier launcher

    def adopt(self) -> None:
        """Adopt the running tasks of an earlier launcher; forget the ended ones."""
        for submission in read_record(self.record)[1]:
            submission.job = submission.job or self.ask_patiently(self.engine.find, submission.name)
            seen = self._seen(submission)
            for number, job in list(submission.tasks.items()):
                if seen.get(number, TaskState(ENDED)).state == ENDED:
                    self.ended.add(job)
                    del submission.tasks[number]
            if not submission.tasks:
                continue
            if submission.digest != self.digest:
                raise UserError(
                    f"{self.record}: job {submission.job} of an earlier command still writes the "
                    "same outputs; wait for it, or cancel it"
                )
            jobs = sorted(submission.tasks.values())
            self.array.line.say(
                f"tasks {jobs} already run as job {submission.job}: waiting for them"
            )
            self.submissions.append(submission)

    def start(self) -> None:
        """Submit the tasks that do not run yet."""
        running: set[int] = set()
        for submission in self.submissions:
            running.update(submission.tasks.values())
        jobs = [job for job in self.array.jobs if job not in running]
        if self.ended & set(jobs):  # they may have ended after the receipts were checked
            jobs = list(unfinished(self.array.command, jobs))
        if not jobs:
            self.save_record()
            return
        submission = Submission(self.digest, self.engine.numbers(jobs))
        self.submissions.append(submission)
        self.save_record()  # before submitting: this process may die before it gets the job id
        submission.job = self.ask_patiently(self.submit, submission)
        self.save_record()
        if submission.job:
            self.array.line.say(
                f"submitted {len(jobs)} tasks as job {submission.job} ({submission.name})"
            )

    def submit(self, submission: Submission) -> str:
        """Submit, unless an attempt that seemed to fail has succeeded; returns the job id."""
        return (
            self.engine.find(submission.name)
            or self.engine.start(self.array, submission)
            or self.engine.find(submission.name)
        )

    def wait(self) -> None:
        """Ask the scheduler until every task has ended."""
        began = time.monotonic()
        while self.submissions:
            states: dict[int, TaskState] = {}
            for submission in self.submissions:
                states |= self.states(submission)
            for job, seen in states.items():
                if seen.state == ENDED:
                    self.done[job] = seen.end
                    self.array.line.ended(job, seen.end.code, seen.end.host)
            self.array.line.show()
            self.submissions = [submission for submission in self.submissions if submission.tasks]
            self.save_record()
            self.print_counts([seen for seen in states.values() if seen.state != ENDED])
            if self.submissions:
                waited = time.monotonic() - began
                pause = SHORTEST_POLL_SECONDS + SHARE_OF_TIME_WAITED * waited
                time.sleep(min(self.site.poll_seconds, pause))

    def _seen(self, submission: Submission) -> dict[int, TaskState]:
        """The states of a submission's tasks that the scheduler shows, by its numbers."""
        if not submission.job:
            return {}
        return self.ask_patiently(self.engine.task_states, submission.job)

    def states(self, submission: Submission) -> dict[int, TaskState]:
        """JOB -> state of the unfinished tasks; ended ones are removed from `submission`."""
        seen = self._seen(submission)
        submission.unseen = {
            number: submission.unseen.get(number, 0) + 1
            for number in submission.tasks
            if number not in seen
        }
        gone = [
            number
            for number, looks in submission.unseen.items()
            if looks >= LOOKS_UNTIL_GONE or not submission.job
        ]
        accounts: dict[int, End] = {}
        if gone and submission.job:
            accounts = self.ask_patiently(self.engine.ends, submission.job)
        for number in gone:
            seen[number] = TaskState(ENDED, accounts.get(number, End(reason=GONE)))
        states = {}
        for number, job in list(submission.tasks.items()):
            if number not in seen:
                continue
            states[job] = seen[number]
            if seen[number].state == ENDED:
                del submission.tasks[number]
                end = self.completed(seen[number].end, job, submission.name, number)
                states[job] = TaskState(ENDED, end)
        return states

    def completed(self, end: End, job: int, name: str, number: int) -> End:
        """Add what the task's log says about its end, and output outside the log.

        `name` is that of the submission, `number` the scheduler's number of the task.
        """
        log = read_log(self.array.log_path(job), name)
        code = end.code
        if code is None:
            code = log.code
        output = self.array.beside(f"{name}.{number}.out")
        if output.exists() and not output.stat().st_size:
            output.unlink()
        completed = End(code, log.host or end.host, end.reason)
        if output.exists():
            completed = replace(completed, output=output)
        return completed

    def ask_patiently(self, question: Callable[..., Answer], *words: object) -> Answer:
        """Ask the scheduler until it answers, for as long as the site allows.

        UserError: no answer in that time; the jobs go on, and the record names them.
        """
        began = time.monotonic()
        while True:
            try:
                return question(*words)
            except NoAnswer as error:
                if time.monotonic() - began > self.site.answer_seconds:
                    raise UserError(
                        f"the scheduler gives no answer for {self.site.answer_seconds:g} s: "
                        f"{error}; the jobs in {self.record} go on; run the same "
                        "command again: it adopts those that run"
                    ) from None
                self.say(f"no answer yet: {error}")
                time.sleep(min(self.site.poll_seconds, 1.0))

    def leave_or_cancel(self, number: int) -> None:
        """Cancel or leave the jobs after a signal, as the site says."""
        action = self.site.on_interrupt
        if number == signal.SIGHUP:
            action = self.site.on_hangup
        if action == "leave":
            jobs = ", ".join(submission.job or submission.name for submission in self.submissions)
            with suppress(OSError):  # after a lost login there is no terminal
                print(f"   left running: {jobs}; the same command adopts them", file=sys.stderr)
            return
        for submission in self.submissions:
            job = submission.job or self.ask_patiently(self.engine.find, submission.name)
            if job:
                self.ask_patiently(self.engine.cancel, job)
                with suppress(OSError):
                    print(f"   cancelled job {job}", file=sys.stderr)

    def save_record(self) -> None:
        """Write the record of submitted jobs."""
        write_record(self.record, self.engine.name, self.submissions)

    def print_counts(self, seen: list[TaskState]) -> None:
        """Print how many unfinished tasks run and wait, when that changes."""
        if not seen:
            return
        running = sum(task.state == RUNNING for task in seen)
        waiting = [task for task in seen if task.state == WAITING]
        text = f"{running} running, {len(waiting)} waiting"
        reasons = sorted({task.end.reason for task in waiting if task.end.reason})
        if reasons:
            text += f" ({','.join(reasons)})"
        self.say(text)

    def say(self, words: str) -> None:
        """Print a line, unless it was the last one."""
        if words != self.last_message:
            self.array.line.say(words)
        self.last_message = words
