"""The ledger: how many utterances came into a step, how many went on, and why each of the others did not (DESIGN.md section 3).

Jobs of an array write their parts (``<name>.J.dropped``); the step that collects them reads the
parts, checks that nobody is missing, and judges the limits.
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
POLICY = "policy:"  # + which rule: policy:short, policy:little_speech, policy:silent
FATES_OF_PIECES = ("packed", "short", "silent")
# Beginnings of counts that lose nobody: what was found in utterances that went on, in words.
FOUND = ("of ", "with ", "upsampled ")
# defaults of the steps; one utterance is always allowed
MAX_UNREADABLE_FRACTION, MAX_POLICY_FRACTION = 0.001, 0.01


class Ledger:
    """Who was kept and who was dropped, by name and reason."""

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
        """Enter an utterance that goes on."""
        self.kept.append(utterance)

    def drop(self, utterance: str, reason: str, detail: str) -> None:
        """Enter an utterance that does not."""
        if utterance in self.in_trials and not self.allow_missing_trials:
            raise UserError(
                f"{self.where}: utterance '{utterance}' is named in trials and would be dropped ({reason}: {detail}); "
                "mend it, or give --allow-missing-trials to lose its trials"
            )
        self.dropped[utterance] = reason, " ".join(detail.split())

    @property
    def counts(self) -> dict[str, int]:
        """``came_in``, ``went_on``, one number per reason that occurred, and ``lost_trials``, ``pieces:...`` and what was found where there are any."""
        reasons = Counter(reason for reason, _ in self.dropped.values())
        lost = {"lost_trials": self.lost_trials} if self.lost_trials else {}
        pieces = {
            f"pieces:{fate}": number for fate, number in sorted(self.pieces.items()) if number
        }
        return {
            "came_in": len(self.kept) + len(self.dropped),
            "went_on": len(self.kept),
            **dict(sorted(reasons.items())),
            **lost,
            **pieces,
            **{words: number for words, number in sorted(self.found.items()) if number},
        }

    @property
    def summary(self) -> str:
        """The counts as a phrase: ``dropped 2 of 148,642 utterances (2 unreadable)``."""
        reasons = Counter(reason for reason, _ in self.dropped.values())
        why = (
            f" ({', '.join(f'{number:,} {reason}' for reason, number in sorted(reasons.items()))})"
            if reasons
            else ""
        )
        pieces = (
            f"; pieces: {', '.join(f'{number:,} {fate}' for fate, number in sorted(self.pieces.items()))}"
            if self.pieces.total()
            else ""
        )
        return f"dropped {len(self.dropped):,} of {len(self.kept) + len(self.dropped):,} utterances{why}{pieces}"

    def found_lines(self) -> list[str]:
        """A line for each thing that was found: ``data/x/train: 16 of 20 utterances of 2 channels, channel 0 is taken``."""
        came_in = len(self.kept) + len(self.dropped)
        return [
            f"{self.where}: {number:,} of {came_in:,} utterances {words}"
            for words, number in sorted(self.found.items())
            if number
        ]

    def check_limits(
        self,
        max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
        max_policy_fraction: float = MAX_POLICY_FRACTION,
        receipts: Path | None = None,
        has_options: bool = True,
    ) -> None:
        """Refuse to go on where too much would be lost."""
        came_in = len(self.kept) + len(self.dropped)
        for option, kind, fraction in (
            ("unreadable", UNREADABLE, max_unreadable_fraction),
            ("policy", POLICY, max_policy_fraction),
        ):
            of_kind = {
                utterance: why for utterance, why in self.dropped.items() if why[0].startswith(kind)
            }
            limit = max(1, int(fraction * came_in + 1e-9))
            if len(of_kind) > limit:
                first = min(of_kind)
                raise UserError(
                    f"{self.where}: {len(of_kind):,} of {came_in:,} utterances dropped as {option}, at most {limit:,} may be; the first is '{first}' "
                    f"({': '.join(of_kind[first])}); mend them{f', remove {receipts}' if receipts else ''} and run the stage again"
                    + (f", or raise --max-{option}-fraction" if has_options else "")
                )

    def write_part(self, path: Path) -> None:
        """Write the list of the dropped: one line each, ``<utterance> <reason> <detail>``, byte order; empty where nobody was."""
        with atomic_write(path) as file:
            file.writelines(
                f"{utterance} {reason} {detail}\n"
                for utterance, (reason, detail) in sorted(self.dropped.items())
            )

    def read_parts(
        self, paths: Iterable[Path], kept: Iterable[str], expected: Collection[str]
    ) -> None:
        """Take in what the jobs of an array dropped and kept."""
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
                f"{self.where}: {len(odd):,} utterances are in the list or in the jobs' outputs only ('{min(odd)}'); run the jobs again"
            )

    def write(self, home: Path) -> list[Path]:
        """Write ``dropped`` and ``ledger.json`` (the counts)."""
        self.write_part(Path(home) / "dropped")
        with atomic_write(Path(home) / "ledger.json") as file:
            json.dump(self.counts, file, indent=1)
            file.write("\n")
        return [Path(home) / "dropped", Path(home) / "ledger.json"]


def read_dropped(path: Path) -> Iterator[tuple[str, str, str]]:
    """Utterance, reason and detail of each line of a list of the dropped."""
    for number, line in enumerate(read_lines(path), 1):
        utterance, reason, detail = (line.split(" ", 2) + ["", ""])[:3]
        if not reason:
            raise UserError(
                f"{path}:{number}: '{line[:40]}', expected an utterance, the reason why it was dropped, and details; "
                "have the step that writes it do so again"
            )
        yield utterance, reason, detail


def read_counts(path: Path) -> Counter[str]:
    """The counts of a ``ledger.json``."""
    counts = read_json_object(path, {"came_in": int, "went_on": int}, "a ledger")
    every = dict.fromkeys(counts, int)  # the other names are its own
    return Counter(read_json_object(path, every, "a ledger"))


def lost_trials_of(data: Path) -> int:
    """Trials that a data directory has lost, by its ledger; none where it has no ledger."""
    path = Path(data) / "ledger.json"
    return read_counts(path)["lost_trials"] if path.exists() else 0


def utterances_in_trials(data: Path) -> set[str]:
    """All utterances that the trials of a data directory need, those of enrolment models included; empty without trials."""
    trials = Path(data) / "trials"
    if not trials.exists():
        return set()
    with open(trials, "rb") as file:  # whose lines end at LF, unlike those of a text
        words = {word for line in file for word in line.split()[:2]}
    names = {word.decode() for word in words}
    enrolment = Path(data) / "enroll.spk2utt"
    models = read_spk2utt(enrolment) if enrolment.exists() else {}
    return {utterance for name in names for utterance in models.get(name, [name])}
