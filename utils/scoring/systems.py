"""Which system made a score file: its back end, options and protocol, as its receipt records them.

A calibration is bound to this, and to no path: experiments and score files may be moved.  The
digest of a back end is that of its files, among them the provenance of its training embeddings,
which names the network.  Names of systems are for people, and for score files without a receipt.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.files import file_sha256
from utils.receipts.contents import fingerprint, read_receipt
from utils.scoring.score_files import score_input, score_receipt

MAKERS = ("backend", "calibration", "cohort", "cohort_list", "cohort_utt2spk")
# recorded by calibrations that were trained before the protocol was recorded
MAKERS_BEFORE = ("options", "backend", "calibration", "cohort")


@dataclass(frozen=True)
class Scored:
    """A score file with the receipt of the step that made it; None if the file is from outside."""

    path: Path
    receipt: Mapping | None

    @property
    def made_with(self) -> dict | None:
        """Back end, options and protocol of the system; None without a receipt."""
        if self.receipt is None:
            return None
        options = dict(self.receipt["options"])
        options.pop("allow_leakage", None)
        made: dict = {"options": options}
        for label in MAKERS:
            if label in self.receipt["inputs"]:
                made[label] = self.receipt["inputs"][label]["content"]
        made["protocol"] = self.protocol
        return made

    def _count(self, name: str, default: object) -> Any:
        """An entry of the counts of the receipt."""
        if self.receipt is None:
            return default
        return self.receipt["counts"].get(name, default)

    @property
    def protocol(self) -> str:
        """Name of the test protocol."""
        return self._count("protocol", "whole")

    @property
    def watermarks(self) -> list[str]:
        """Warnings that are shown beside every figure."""
        return self._count("watermarks", [])


def read_scored(scores: Path, folders: Sequence[Path] = ()) -> Scored:
    """A score file with its receipt: the one of its name, else one that lists the same content.

    Receipts are searched beside the file and below ``folders``.  UserError if the file is not what
    the receipt of its name lists.
    """
    own = score_receipt(scores)
    receipt: Mapping | None = read_receipt(own)
    if receipt is not None and not _lists_content(receipt, scores):
        raise UserError(
            f"{scores}: not what was written, by {own}; score again, or remove that receipt if "
            "the scores are from elsewhere"
        )
    if receipt is None:
        beside = own.parent.glob("score_*.json")
        below: list[Path] = []
        for folder in folders:
            below += folder.glob("**/receipts/score_*.json")
        receipt = _first_that_lists(scores, [*sorted(beside), *sorted(below)])
    return Scored(scores, receipt)


def _first_that_lists(scores: Path, receipts: Iterable[Path]) -> Mapping | None:
    """The first receipt that lists a file's content; None where none does."""
    for path in receipts:
        receipt = read_receipt(path)
        if receipt is not None and _lists_content(receipt, scores):
            return receipt
    return None


def _lists_content(receipt: Mapping, scores: Path) -> bool:
    """True if a file with this content is among a receipt's outputs."""
    size = scores.stat().st_size
    digests = set()
    for facts in receipt["outputs"].values():
        if facts["bytes"] == size:
            digests.add(facts["sha256"])
    return bool(digests) and file_sha256(scores) in digests


def name_systems(paths: Sequence[Path]) -> dict[str, Path]:
    """Score files by system, sorted by name, so that results do not depend on the order given.

    ``exp/<experiment>/scores/<set>/[<protocol>/]<backend>.scores`` is called
    ``<experiment>/[<protocol>/]<backend>``, the same for each set; any other file by its own name,
    with as many folders above it as make the names differ.  UserError if a file is given twice.
    """
    first: dict[Path, Path] = {}
    for path in paths:
        if path.absolute() in first:
            name = _system_name(path, 1)
            raise UserError(
                f"{path}: a second system '{name}', the first is {first[path.absolute()]}; "
                "systems differ by experiment, protocol or back end"
            )
        first[path.absolute()] = path
    depth = 1
    while len({_system_name(path, depth) for path in paths}) < len(paths):
        depth += 1
    return dict(sorted((_system_name(path, depth), path) for path in paths))


def _system_name(scores: Path, depth: int) -> str:
    """Name of a system from the path of its score file, with ``depth`` folders above it."""
    parts = scores.absolute().with_suffix("").parts
    index = 0  # of the folder scores/
    if "scores" in parts[:-1]:
        index = len(parts) - 1 - parts[::-1].index("scores")
    if not 0 < index < len(parts) - 2:
        return "/".join(parts[max(len(parts) - depth, 1) :])
    return "/".join([*parts[max(index - depth, 1) : index], *parts[index + 2 :]])


def named_as_before(systems: Mapping[str, Path], receipt: Path) -> dict[str, Path]:
    """Score files by the names in the receipt of finished work, if their contents are the same.

    An experiment that was renamed then stays done.
    """
    done = read_receipt(receipt)
    name_by_content: dict[str, str] = {}
    if done:
        for label, entry in done["inputs"].items():
            if label.startswith("scores "):
                name_by_content[entry["content"]] = label.removeprefix("scores ")
    contents: dict[str, Path] = {}
    for path in systems.values():
        source = score_input(path)
        if not source.exists():
            return dict(systems)
        contents[fingerprint(source)] = path
    if contents.keys() != name_by_content.keys() or len(contents) < len(systems):
        return dict(systems)
    return dict(sorted((name_by_content[content], path) for content, path in contents.items()))


def systems_as_trained(
    calibration: Path, learned: Mapping, systems: Mapping[str, Scored]
) -> dict[str, Scored]:
    """The given score file of each system that a calibration was trained with, by its name there.

    ``learned`` is ``calibration.json``.  UserError if there are more or fewer systems, or scores
    were made by another back end, with other options, or by an unknown one.
    """
    difference = (
        f"{calibration}: trained with systems {', '.join(learned['systems'])}, "
        f"given {', '.join(systems)}"
    )
    if len(systems) != len(learned["systems"]):
        raise UserError(f"{difference}; give the same")
    unmatched: dict[str, Mapping | None] = {}
    for name in learned["systems"]:
        unmatched[name] = learned["made_with"].get(name)
    matched: dict[str, Scored] = {}
    # Those with unchanged names first, so that two of the same back end are not exchanged.
    for name in sorted(systems, key=lambda name: name not in learned["systems"]):
        scored = systems[name]
        candidates = []
        for trained, made in unmatched.items():
            if _is_same(made, trained, scored, name):
                candidates.append(trained)
        if not candidates:
            raise UserError(_describe_mismatch(calibration, unmatched, scored, name))
        chosen = candidates[0]
        if name in candidates:
            chosen = name
        elif scored.receipt is None and len(candidates) > 1:
            raise UserError(
                f"{difference}: without receipts only names distinguish them; "
                "give files of the same names"
            )
        matched[chosen] = scored
        del unmatched[chosen]
    return dict(sorted(matched.items()))


def _is_same(made: Mapping | None, known: str, scored: Scored, name: str) -> bool:
    """True if a system of a calibration made these scores."""
    now = scored.made_with
    if made is None or now is None or "protocol" in made:
        return made == now
    before = {part: now[part] for part in MAKERS_BEFORE if part in now}
    return made == before and known.partition("/")[2] == name.partition("/")[2]


def _describe_mismatch(
    calibration: Path, unmatched: Mapping[str, Mapping | None], scored: Scored, name: str
) -> str:
    """Message for scores that no system of a calibration made."""
    known = name
    if name not in unmatched:
        known = next(iter(unmatched))
    before, now = unmatched[known], scored.made_with
    if before is not None and now is None:
        return (
            f"{scored.path}: no receipt shows that these are scores of {known}, as {calibration} "
            "expects; copy the receipt of the original, receipts/score_<name>.json, to "
            f"{score_receipt(scored.path)}, or score again"
        )
    old, new = before or {}, now or {}
    parts = [part for part in sorted({*old, *new}) if old.get(part) != new.get(part)]
    if "protocol" not in old and len(parts) > 1:
        parts.remove("protocol")
    return (
        f"{scored.path}: the {parts[0]} of its scores is not that of the scores that {calibration} "
        "was trained on; score both alike, or calibrate again"
    )
