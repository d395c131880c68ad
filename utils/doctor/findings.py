"""The results of checks: a verdict, the facts, and a remedy."""

# Old Pythons must be able to report that they are too old.
from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

OK, WARNING, BAD = "ok", "warning", "bad"
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class Finding:
    """The result of a check."""

    name: str
    verdict: str  # ok, warning (works, but slower or not always) or bad (something will fail)
    facts: str
    remedy: str = ""

    def lines(self) -> str:
        """The finding as it is printed: one line, and one for the remedy."""
        text = f"{self.verdict:8} {self.name:16} {self.facts}"
        if self.remedy:
            text += f"\n{'':25} -> {self.remedy}"
        return text


def graded(name: str, facts: str, *faults: tuple[bool, str, str]) -> Finding:
    """A finding with verdict and remedy of the first fault (applies, verdict, remedy), else ok."""
    for applies, verdict, remedy in faults:
        if applies:
            return Finding(name, verdict, facts, remedy)
    return Finding(name, OK, facts)


def joined(name: str, findings: Iterable[Finding]) -> Finding:
    """Several findings as one: the worst verdict, all facts, all remedies."""
    parts = list(findings)
    worst = max((part.verdict for part in parts), key=(OK, WARNING, BAD).index)
    remedies = dict.fromkeys(part.remedy for part in parts if part.remedy)
    facts = [part.facts for part in parts if part.facts]
    return Finding(name, worst, "; ".join(facts), "; ".join(remedies))


def ask_program(words: Sequence[str]) -> subprocess.CompletedProcess | None:
    """Run a program and capture its output; None if it does not exist.

    No answer within `ANSWER_SECONDS` counts as exit code 124.
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
    """The first line of a program's output; of stderr first, if it failed."""
    text = done.stdout + "\n" + done.stderr
    if done.returncode:
        text = done.stderr + "\n" + done.stdout
    for line in text.splitlines():
        if line.strip():
            return line.strip()
    return f"exit code {done.returncode} without a message"


def in_turn(checks: Sequence[tuple[str, Callable[[], Finding]]]) -> Iterator[Finding]:
    """Run named checks; an error of the operating system is a finding too."""
    for name, check in checks:
        try:
            yield check()
        except OSError as error:
            yield Finding(
                name,
                BAD,
                f"cannot be checked: {error}",
                "make sure that this user may read and write there",
            )
