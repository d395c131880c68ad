"""What the doctor found about one thing: a verdict, the facts, and the line that mends it."""

# An old Python has to get as far as being told that it is too old.
from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

OK, WARNING, BAD = "ok", "warning", "bad"
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """One line of the doctor.

    Attributes
    ----------
    name : str
        What was looked at.
    verdict : str
        ``ok``, ``warning`` (works, but slower or not always) or ``bad`` (something will fail).
    found : str
        The facts.
    mend : str
        What to do; empty when all is well.
    """

    name: str
    verdict: str
    found: str
    mend: str = ""

    def lines(self) -> str:
        """The finding as it is printed: one line, and one for what mends it."""
        told = f"{self.verdict:8} {self.name:16} {self.found}"
        return told + (f"\n{'':25} -> {self.mend}" if self.mend else "")


def graded(name: str, found: str, *faults: tuple[bool, str, str]) -> Finding:
    """The finding with the first fault that holds, the worst first.

    Parameters
    ----------
    name, found : str
        As of `Finding`.
    *faults : (bool, str, str)
        Whether it holds, the verdict, what mends it.
    """
    _holds, verdict, mend = next((fault for fault in faults if fault[0]), (False, OK, ""))
    return Finding(name, verdict, found, mend)


def joined(name: str, findings: Iterable[Finding]) -> Finding:
    """Several findings about one thing as one: the worst verdict, all facts, what mends each fault.

    Parameters
    ----------
    name : str
        Of the whole.
    findings : iterable of Finding
        Their parts.
    """
    parts = list(findings)
    worst = max((part.verdict for part in parts), key=(OK, WARNING, BAD).index)
    mends = dict.fromkeys(part.mend for part in parts if part.mend)
    return Finding(
        name, worst, "; ".join(part.found for part in parts if part.found), "; ".join(mends)
    )


def ask_program(words: Sequence[str]) -> subprocess.CompletedProcess | None:
    """Run a program that only tells something.

    Parameters
    ----------
    words : sequence of str
        Its command line.

    Returns
    -------
    CompletedProcess or None
        With its texts; None where there is no such program.  Silence for `ANSWER_SECONDS` counts as exit code 124.
    """
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ANSWER_SECONDS,
        )
    except (FileNotFoundError, PermissionError):
        return None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no answer within {ANSWER_SECONDS} s")


def first_line(done: subprocess.CompletedProcess) -> str:
    """The first line that a program printed, of its errors where it failed.

    Parameters
    ----------
    done : CompletedProcess
        Its end.
    """
    texts = (done.stderr, done.stdout) if done.returncode else (done.stdout, done.stderr)
    return next(
        (line.strip() for text in texts for line in text.splitlines() if line.strip()),
        f"exit code {done.returncode} and no word",
    )


def in_turn(checks: Sequence[tuple[str, Callable[[], Finding]]]) -> Iterator[Finding]:
    """Look at one thing after the other; what the operating system refuses to tell is a finding too.

    Parameters
    ----------
    checks : sequence of (str, callable)
        Name of what is looked at, and who looks.
    """
    for name, check in checks:
        try:
            yield check()
        except OSError as error:
            yield Finding(
                name,
                BAD,
                f"cannot be looked at: {error}",
                "see that this user may read and write there",
            )
