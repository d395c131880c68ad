"""The ledger: how many utterances a step received, how many it kept, and why it dropped the others.

Jobs of an array write their parts (``<name>.J.dropped``); the step that collects them reads the
parts, checks that no utterance is missing, and applies the limits (docs/architecture.md).
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from utils.data_dir.lists import read_spk2utt
from utils.errors import UserError
from utils.files import atomic_write, read_json_object, read_lines

# cannot be opened, no samples, fewer samples than the header says, NaN or Inf
UNREADABLE = "unreadable"
POLICY = "policy:"  # + the rule: policy:short, policy:little_speech, policy:silent
PIECE_OUTCOMES = ("packed", "short", "silent")
# First words of the remarks on kept utterances that a ledger counts.
FOUND = ("of ", "with ", "upsampled ")
# defaults of the steps; one utterance is always allowed
MAX_UNREADABLE_FRACTION, MAX_POLICY_FRACTION = 0.001, 0.01


class Ledger:
    """Kept and dropped utterances of a step, with reasons.

    ``where`` is the data directory, for messages.  Utterances in ``in_trials`` may not be dropped,
    unless ``allow_missing_trials``: their trials are then lost, and counted in ``lost_trials``,
    which watermarks every result.  ``kept`` lists utterances, ``dropped`` maps them to (reason,
    detail), ``pieces`` counts the pieces of split utterances by `PIECE_OUTCOMES`, and ``found``
    counts kept utterances by a remark that begins with one of `FOUND`.
    """

    def __init__(
        self, where: str | Path, in_trials: Collection[str] = (), allow_missing_trials: bool = False
    ):
        self.where, self.in_trials = str(where), in_trials
        self.allow_missing_trials = allow_missing_trials
        self.kept: list[str] = []
        self.dropped: dict[str, tuple[str, str]] = {}
        self.lost_trials = 0
        self.pieces: Counter[str] = Counter()
        self.found: Counter[str] = Counter()

    def keep(self, utterance: str) -> None:
        """Record a kept utterance."""
        self.kept.append(utterance)

    def drop(self, utterance: str, reason: str, detail: str) -> None:
        """Record a dropped utterance: `UNREADABLE`, or `POLICY` and the rule, with details.

        UserError if a trial needs it and lost trials are not allowed.
        """
        if utterance in self.in_trials and not self.allow_missing_trials:
            raise UserError(
                f"{self.where}: utterance '{utterance}' is named in trials and would be dropped "
                f"({reason}: {detail}); "
                "repair it, or give --allow-missing-trials to lose its trials"
            )
        self.dropped[utterance] = reason, " ".join(detail.split())

    @property
    def _came_in(self) -> int:
        return len(self.kept) + len(self.dropped)

    @property
    def _reasons(self) -> Counter[str]:
        """Dropped utterances by reason, in byte order."""
        reasons = Counter(reason for reason, _ in self.dropped.values())
        return Counter(dict(sorted(reasons.items())))

    @property
    def counts(self) -> dict[str, int]:
        """``came_in``, ``went_on``, one number per reason, and the other counts that are not 0.

        These are ``lost_trials``, ``pieces:...`` and the remarks of ``found``.
        """
        counts = {"came_in": self._came_in, "went_on": len(self.kept), **self._reasons}
        if self.lost_trials:
            counts["lost_trials"] = self.lost_trials
        for fate, number in sorted(self.pieces.items()):
            if number:
                counts[f"pieces:{fate}"] = number
        return counts | {phrase: number for phrase, number in sorted(self.found.items()) if number}

    @property
    def summary(self) -> str:
        """The counts in a line: ``dropped 2 of 148,642 utterances (2 unreadable)``."""
        text = f"dropped {len(self.dropped):,} of {self._came_in:,} utterances"
        if self.dropped:
            text += f" ({_join_counts(self._reasons)})"
        if self.pieces.total():
            text += f"; pieces: {_join_counts(self.pieces)}"
        return text

    def observation_lines(self) -> list[str]:
        """A line for each remark: ``data/x/train: 16 of 20 utterances of 2 channels, ...``."""
        lines = []
        for phrase, number in sorted(self.found.items()):
            if number:
                lines.append(f"{self.where}: {number:,} of {self._came_in:,} utterances {phrase}")
        return lines

    def check_limits(
        self,
        max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
        max_policy_fraction: float = MAX_POLICY_FRACTION,
        receipts: Path | None = None,
        has_options: bool = True,
    ) -> None:
        """Refuse to go on if too many utterances were dropped; one is always allowed.

        ``receipts``: folder of receipts of finished jobs, which would not process repaired files.
        ``has_options``: the command has ``--max-unreadable-fraction`` and
        ``--max-policy-fraction``.
        """
        self._check_limit("unreadable", UNREADABLE, max_unreadable_fraction, receipts, has_options)
        self._check_limit("policy", POLICY, max_policy_fraction, receipts, has_options)

    def _check_limit(self, option, reason, fraction, receipts, has_options):
        names = [name for name, why in self.dropped.items() if why[0].startswith(reason)]
        limit = max(1, int(fraction * self._came_in + 1e-9))
        if len(names) <= limit:
            return
        first = min(names)
        remedy = "repair them"
        if receipts:
            remedy += f", remove {receipts}"
        remedy += " and run the stage again"
        if has_options:
            remedy += f", or raise --max-{option}-fraction"
        raise UserError(
            f"{self.where}: {len(names):,} of {self._came_in:,} utterances dropped as {option}, "
            f"at most {limit:,} may be; the first is '{first}' "
            f"({': '.join(self.dropped[first])}); {remedy}"
        )

    def write_part(self, path: Path) -> None:
        """Write the dropped utterances in byte order: lines ``<utterance> <reason> <detail>``."""
        with atomic_write(path) as file:
            for utterance, (reason, detail) in sorted(self.dropped.items()):
                file.write(f"{utterance} {reason} {detail}\n")

    def read_parts(
        self, paths: Iterable[Path], kept: Iterable[str], expected: Collection[str]
    ) -> None:
        """Add the utterances that the jobs of an array dropped (``paths``) and kept.

        UserError if one of the ``expected`` is in none of the parts, or one is in two; or as
        `drop`.
        """
        self.kept += kept
        seen = set(self.kept)
        for path in paths:
            for utterance, reason, detail in read_dropped(path):
                if utterance in seen:
                    raise UserError(f"{path}: '{utterance}' is in two parts; run the jobs again")
                seen.add(utterance)
                self.drop(utterance, reason, detail)
        odd = seen.symmetric_difference(expected)
        if odd:
            raise UserError(
                f"{self.where}: {len(odd):,} utterances are in only one of the list and the jobs' "
                f"outputs ('{min(odd)}'); run the jobs again"
            )

    def write(self, folder: Path) -> list[Path]:
        """Write ``dropped`` and ``ledger.json`` (the counts); returns both paths."""
        self.write_part(Path(folder) / "dropped")
        with atomic_write(Path(folder) / "ledger.json") as file:
            json.dump(self.counts, file, indent=1)
            file.write("\n")
        return [Path(folder) / "dropped", Path(folder) / "ledger.json"]


def _join_counts(counts: Counter[str]) -> str:
    """Such as ``2 policy:short, 1 unreadable``."""
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))


def read_dropped(path: Path) -> Iterator[tuple[str, str, str]]:
    """Utterance, reason and detail of each line that `Ledger.write_part` wrote."""
    for number, line in enumerate(read_lines(path), 1):
        utterance, reason, detail = (line.split(" ", 2) + ["", ""])[:3]
        if not reason:
            raise UserError(
                f"{path}:{number}: '{line[:40]}', expected an utterance, the reason why it was "
                "dropped, and details; run the step that writes it again"
            )
        yield utterance, reason, detail


def read_counts(path: Path) -> Counter[str]:
    """Read the counts of a ``ledger.json``; FileNotFoundError if it is missing."""
    counts = read_json_object(path, {"came_in": int, "went_on": int}, "a ledger")
    # its other keys are reasons and remarks
    return Counter(read_json_object(path, dict.fromkeys(counts, int), "a ledger"))


def count_lost_trials(data: Path) -> int:
    """Number of trials that a data directory has lost; 0 if it has no ledger."""
    path = Path(data) / "ledger.json"
    return read_counts(path)["lost_trials"] if path.exists() else 0


def utterances_in_trials(data: Path) -> set[str]:
    """The utterances that the trials of a data directory need, those of models included."""
    trials = Path(data) / "trials"
    if not trials.exists():
        return set()
    with open(trials, "rb") as file:  # binary: only LF ends a line
        words = {word for line in file for word in line.split()[:2]}
    enrolment = Path(data) / "enroll.spk2utt"
    models = read_spk2utt(enrolment) if enrolment.exists() else {}
    utterances: set[str] = set()
    for word in words:
        name = word.decode()
        utterances.update(models.get(name, [name]))
    return utterances
