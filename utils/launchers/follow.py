"""What the launchers of clusters have in common: find what runs already, submit the rest, follow it to its end, cancel or leave it when asked."""

import hashlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from utils.errors import UserError
from utils.launchers.array import GONE, Array, End, read_log
from utils.launchers.engine import ENDED, RUNNING, WAITING, Engine, Seen
from utils.launchers.failures import unfinished
from utils.launchers.record import Submission, alone_at, read_record, write_record
from utils.launchers.script import NoAnswer

SHORTEST_POLL_SECONDS, SHARE_OF_TIME_WAITED = 0.2, 0.05
LOOKS_UNTIL_GONE = 2  # a job just submitted may not be shown yet
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Answer = TypeVar("Answer")


class Stopped(KeyboardInterrupt):
    """A signal came.

    Parameters
    ----------
    number : int
        Which.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def follow(engine: Engine, array: Array) -> dict[int, End]:
    """Have the tasks run by a scheduler, those of an earlier launcher included, and wait for their ends.

    Parameters
    ----------
    engine : Engine
        The scheduler.
    array : Array
        What is to run; its site says how patient to be.

    Returns
    -------
    dict of int to End
        JOB -> how it ended.

    Raises
    ------
    UserError
        Jobs of another command still work on the same outputs; another launcher is at it; the scheduler refused or gave no answer.
    """
    watch = Watch(engine, array)
    with alone_at(watch.record), _signals_raised():
        try:
            watch.adopt()
            watch.start()
            watch.wait()
        except Stopped as stopped:
            # the death of the shell that it was sent to, too, comes as a hang-up
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            watch.leave_or_cancel(stopped.number)
            raise
    return watch.done


@contextmanager
def _signals_raised() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP raise `Stopped`."""

    def stop(number: int, _) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watch:
    """The submissions of one array.

    Parameters
    ----------
    engine : Engine
        The scheduler.
    array : Array
        See `follow`.
    """

    def __init__(self, engine: Engine, array: Array):
        self.engine, self.array, self.site = engine, array, array.cluster
        self.record = array.beside("jobs.json")
        work = json.dumps([array.log, *array.command])
        self.digest = hashlib.sha256(work.encode()).hexdigest()[:16]
        self.submissions: list[Submission] = []
        self.done: dict[int, End] = {}
        self.told = ""
        self.ended: set[int] = set()  # tasks of an earlier launcher

    def adopt(self) -> None:
        """Find what an earlier launcher left running; what has ended is forgotten."""
        for submission in read_record(self.record)[1]:
            submission.job = submission.job or self.patiently(self.engine.find, submission.name)
            seen = self.patiently(self.engine.look, submission.job) if submission.job else {}
            self.ended |= {
                job
                for number, job in submission.tasks.items()
                if seen.get(number, Seen(ENDED)).state == ENDED
            }
            submission.tasks = {
                number: job
                for number, job in submission.tasks.items()
                if seen.get(number, Seen(ENDED)).state != ENDED
            }
            if not submission.tasks:
                continue
            if submission.digest != self.digest:
                raise UserError(
                    f"{self.record}: job {submission.job} of an earlier command still works on the same outputs; "
                    "wait for it, or cancel it"
                )
            jobs = sorted(submission.tasks.values())
            self.array.line.say(
                f"tasks {jobs} run already as job {submission.job}: waiting for them"
            )
            self.submissions.append(submission)

    def start(self) -> None:
        """Submit the tasks that nobody runs."""
        running = {job for submission in self.submissions for job in submission.tasks.values()}
        jobs = [job for job in self.array.jobs if job not in running]
        if self.ended & set(jobs):  # they may have ended since receipts were looked at
            jobs = list(unfinished(self.array.command, jobs))
        if not jobs:
            return self.keep()
        submission = Submission(self.digest, self.engine.numbers(jobs))
        self.submissions.append(submission)
        self.keep()  # before the scheduler is asked: it may take the job and this process not live to hear it
        submission.job = self.patiently(self.submit, submission)
        self.keep()
        if submission.job:
            self.array.line.say(
                f"submitted {len(jobs)} tasks as job {submission.job} ({submission.name})"
            )
        return None

    def submit(self, submission: Submission) -> str:
        """Submit, unless a try that seemed to fail did it.

        Parameters
        ----------
        submission : Submission
            Not known to the scheduler as far as we know.
        """
        return (
            self.engine.find(submission.name)
            or self.engine.start(self.array, submission)
            or self.engine.find(submission.name)
        )

    def wait(self) -> None:
        """Ask the scheduler until every task has ended."""
        began = time.monotonic()
        while self.submissions:
            states = {
                job: seen
                for submission in self.submissions
                for job, seen in self.states(submission).items()
            }
            for job, seen in states.items():
                if seen.state == ENDED:
                    self.done[job] = seen.end
                    self.array.line.ended(job, seen.end.code, seen.end.host)
            self.array.line.show()
            self.submissions = [submission for submission in self.submissions if submission.tasks]
            self.keep()
            self.tell([seen for seen in states.values() if seen.state != ENDED])
            if self.submissions:
                time.sleep(
                    min(
                        self.site.poll_seconds,
                        SHORTEST_POLL_SECONDS + SHARE_OF_TIME_WAITED * (time.monotonic() - began),
                    )
                )

    def states(self, submission: Submission) -> dict[int, Seen]:
        """JOB -> state of the tasks of a submission that had not ended; those that have are taken out of it.

        Parameters
        ----------
        submission : Submission
            Changed.
        """
        seen = self.patiently(self.engine.look, submission.job) if submission.job else {}
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
        accounts = (
            self.patiently(self.engine.ends, submission.job) if gone and submission.job else {}
        )
        seen |= {number: Seen(ENDED, accounts.get(number, End(reason=GONE))) for number in gone}
        states = {}
        for number, job in list(submission.tasks.items()):
            if number not in seen:
                continue
            states[job] = seen[number]
            if seen[number].state == ENDED:
                del submission.tasks[number]
                states[job] = Seen(
                    ENDED, self.completed(seen[number].end, job, submission.name, number)
                )
        return states

    def completed(self, end: End, job: int, name: str, number: int) -> End:
        """An end with what only the task's log says, and the scheduler's output where there is any.

        Parameters
        ----------
        end : End
            From the scheduler.
        job : int
            The task.
        name : str
            Of its submission.
        number : int
            The scheduler's of the task.
        """
        log, output = (
            read_log(self.array.log_of(job), name),
            self.array.beside(f"{name}.{number}.out"),
        )
        if output.exists() and not output.stat().st_size:
            output.unlink()
        return End(
            log.code if end.code is None else end.code,
            log.host or end.host,
            end.reason,
            output if output.exists() else None,
        )

    def patiently(self, question: Callable[..., Answer], *words: object) -> Answer:
        """Ask the scheduler, again where it gives no answer, for as long as the site says.

        Parameters
        ----------
        question : callable
            Of the engine.
        *words : object
            What it takes.

        Raises
        ------
        UserError
            No answer in that time; the jobs are left as they are, and the record names them.
        """
        began = time.monotonic()
        while True:
            try:
                return question(*words)
            except NoAnswer as error:
                if time.monotonic() - began > self.site.answer_seconds:
                    raise UserError(
                        f"the scheduler gives no answer for {self.site.answer_seconds:g} s: {error}; the jobs in {self.record} are left "
                        "as they are; run the same command again: it finds those that run"
                    ) from None
                self.say(f"no answer yet: {error}")
                time.sleep(min(self.site.poll_seconds, 1.0))

    def leave_or_cancel(self, number: int) -> None:
        """Do with the jobs what the site says for a signal.

        Parameters
        ----------
        number : int
            The signal.
        """
        with suppress(OSError):  # a lost login leaves nowhere to write to
            if (
                self.site.on_hangup if number == signal.SIGHUP else self.site.on_interrupt
            ) == "leave":
                jobs = ", ".join(
                    submission.job or submission.name for submission in self.submissions
                )
                print(f"   left running: {jobs}; the same command finds them", file=sys.stderr)
                return
        for submission in self.submissions:
            job = submission.job or self.patiently(self.engine.find, submission.name)
            if job:
                self.patiently(self.engine.cancel, job)
                with suppress(OSError):
                    print(f"   cancelled job {job}", file=sys.stderr)

    def keep(self) -> None:
        """Write the record."""
        write_record(self.record, self.engine.name, self.submissions)

    def tell(self, seen: list[Seen]) -> None:
        """Say how many wait and run, when that changes.

        Parameters
        ----------
        seen : list of Seen
            Of tasks that have not ended.
        """
        counts = {state: sum(each.state == state for each in seen) for state in (WAITING, RUNNING)}
        reasons = sorted(
            {each.end.reason for each in seen if each.state == WAITING and each.end.reason}
        )
        if seen:
            self.say(
                f"{counts[RUNNING]} running, {counts[WAITING]} waiting{f' ({chr(44).join(reasons)})' if reasons else ''}"
            )

    def say(self, words: str) -> None:
        """Print what was not the last thing said.

        Parameters
        ----------
        words : str
            One line.
        """
        if words != self.told:
            self.array.line.say(words)
        self.told = words
