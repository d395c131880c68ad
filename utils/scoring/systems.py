"""Which system made a score file: its back end, its options and its protocol, as receipts prove them, wherever the file lies.

A calibration is bound to this, and to no path: an experiment or a score file may be moved.  The digest of a back end is that of its files, the
provenance of its training embeddings among them, which names the network.  Names are for people, and tell score files from outside apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.errors import UserError
from utils.files import sha256_of
from utils.receipts.contents import fingerprint, read_receipt
from utils.scoring.score_files import input_of, receipt_of

MAKERS = ("backend", "calibration", "cohort", "cohort_list", "cohort_utt2spk")
# what calibrations say that were trained before the protocol stood in them
MAKERS_BEFORE = ("options", "backend", "calibration", "cohort")


@dataclass(frozen=True)
class Scored:
    """A score file with the receipt of the step that made it.

    Attributes
    ----------
    path : path
        Score file.
    receipt : mapping or None
        None: the file is from outside.
    """

    path: Path
    receipt: Mapping | None

    @property
    def made_with(self) -> dict | None:
        """What the system is; None where nothing shows it."""
        if self.receipt is None:
            return None
        inputs, options = self.receipt["inputs"], self.receipt["options"]
        return {
            "options": {name: value for name, value in options.items() if name != "allow_leakage"},
            **{label: inputs[label]["content"] for label in MAKERS if label in inputs},
            "protocol": self.protocol,
        }

    @property
    def protocol(self) -> str:
        """Name of the test protocol."""
        return (self.receipt or {"counts": {}})["counts"].get("protocol", "whole")

    @property
    def watermarks(self) -> list[str]:
        """What has to be said beside every figure."""
        return (self.receipt or {"counts": {}})["counts"].get("watermarks", [])


def read_scored(scores: Path, folders: Sequence[Path] = ()) -> Scored:
    """A score file with its receipt: the one of its name, else one that lists the very same content.

    Parameters
    ----------
    scores : path
        Score file.
    folders : sequence of path
        Where receipts are looked for, besides those beside the file.

    Raises
    ------
    UserError
        The file is not what the receipt of its name lists.
    """
    own = receipt_of(scores)
    receipt: Mapping | None = read_receipt(own)
    if receipt is not None and not _lists(receipt, scores):
        raise UserError(
            f"{scores}: not what was written, by {own}; score again, or take that receipt away where the scores are from elsewhere"
        )
    if receipt is None:
        beside = own.parent.glob("score_*.json")
        below = (path for folder in folders for path in folder.glob("**/receipts/score_*.json"))
        receipt = _first_that_lists(scores, [*sorted(beside), *sorted(below)])
    return Scored(scores, receipt)


def _first_that_lists(scores: Path, receipts: Iterable[Path]) -> Mapping | None:
    """The first receipt that lists a file's content; None where none does."""
    for path in receipts:
        receipt = read_receipt(path)
        if receipt is not None and _lists(receipt, scores):
            return receipt
    return None


def _lists(receipt: Mapping, scores: Path) -> bool:
    """Whether a file of this content is among a receipt's outputs."""
    size = scores.stat().st_size
    alike = [facts for facts in receipt["outputs"].values() if facts["bytes"] == size]
    return bool(alike) and sha256_of(scores) in {facts["sha256"] for facts in alike}


def systems_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Score files by the name of the system that made them, in the order of names: results do not depend on the order given.

    ``exp/<experiment>/scores/<set>/[<protocol>/]<backend>.scores`` is ``<experiment>/[<protocol>/]<backend>``: the same for each set.
    Any other path is called by its file alone; of one name, by the folders above, too.

    Parameters
    ----------
    paths : sequence of path
        Score files.

    Raises
    ------
    UserError
        One is there twice.
    """
    first: dict[Path, Path] = {}
    for path in paths:
        if path.absolute() in first:
            raise UserError(
                f"{path}: a second system '{_name_of_system(path, 1)}', the first is {first[path.absolute()]}; "
                "systems differ by experiment, protocol or back end"
            )
        first[path.absolute()] = path
    depth = 1
    while len({_name_of_system(path, depth) for path in paths}) < len(paths):
        depth += 1
    return dict(sorted((_name_of_system(path, depth), path) for path in paths))


def _name_of_system(scores: Path, depth: int) -> str:
    """Experiment, protocol and back end of a score file, as far as its path tells; with more depth, folders above them."""
    parts = scores.absolute().with_suffix("").parts
    at = len(parts) - 1 - parts[::-1].index("scores") if "scores" in parts[:-1] else 0
    if not 0 < at < len(parts) - 2:
        return "/".join(parts[max(len(parts) - depth, 1) :])
    return "/".join([*parts[max(at - depth, 1) : at], *parts[at + 2 :]])


def named_as_before(systems: Mapping[str, Path], receipt: Path) -> dict[str, Path]:
    """Score files by the names that finished work has for the very same: their experiment may have another name since.

    Parameters
    ----------
    systems : mapping of str to path
        From `systems_of`.
    receipt : path
        Of that work; it may be missing.
    """
    done = read_receipt(receipt)
    recorded = done["inputs"] if done else {}
    name_of = {
        entry["content"]: label.removeprefix("scores ")
        for label, entry in recorded.items()
        if label.startswith("scores ")
    }
    sources = {name: input_of(path) for name, path in systems.items()}
    if not all(source.exists() for source in sources.values()):
        return dict(systems)
    contents = {fingerprint(source): systems[name] for name, source in sources.items()}
    if contents.keys() != name_of.keys() or len(contents) < len(systems):
        return dict(systems)
    return dict(sorted((name_of[content], path) for content, path in contents.items()))


def systems_as_trained(
    calibration: Path, learned: Mapping, systems: Mapping[str, Scored]
) -> dict[str, Scored]:
    """Score files by the names of the systems of a calibration that made them.

    Parameters
    ----------
    calibration : path
        Its folder, for messages.
    learned : mapping
        What it says: ``systems``, ``made_with``.
    systems : mapping of str to Scored
        What it is to be applied to, by their own names.

    Raises
    ------
    UserError
        There are more or fewer, or scores were made by another back end, with other options, or by nobody knows whom.
    """
    names = ", ".join(learned["systems"])
    if len(systems) != len(learned["systems"]):
        raise UserError(
            f"{calibration}: trained with systems {names}, given {', '.join(systems)}; give the same"
        )
    left: dict[str, Mapping | None] = {
        name: learned["made_with"].get(name) for name in learned["systems"]
    }
    found: dict[str, Scored] = {}
    # Those that have kept their names come first: two of one kind stay apart.
    for name, scored in sorted(systems.items(), key=lambda item: item[0] not in left):
        fitting = [known for known, made in left.items() if _is_same(made, known, scored, name)]
        if not fitting:
            raise UserError(_why_not(calibration, left, scored, name))
        if name not in fitting and scored.receipt is None and len(fitting) > 1:
            raise UserError(
                f"{calibration}: trained with systems {names}, given {', '.join(systems)}: without receipts names alone tell them "
                "apart; give files of the same names"
            )
        chosen = name if name in fitting else fitting[0]
        found[chosen] = scored
        del left[chosen]
    return dict(sorted(found.items()))


def _is_same(made: Mapping | None, known: str, scored: Scored, name: str) -> bool:
    """Whether a system of a calibration made these scores."""
    now = scored.made_with
    if made is None or now is None or "protocol" in made:
        return made == now
    before = {part: now[part] for part in MAKERS_BEFORE if part in now}
    return made == before and known.partition("/")[2] == name.partition("/")[2]


def _why_not(
    calibration: Path, left: Mapping[str, Mapping | None], scored: Scored, name: str
) -> str:
    """What is wrong with scores that no system of a calibration made."""
    known = name if name in left else next(iter(left))
    before, now = left[known], scored.made_with
    if before is not None and now is None:
        return (
            f"{scored.path}: nothing shows that {known} made it, which {calibration} was trained on; copy the receipt that lies beside the "
            f"original, receipts/score_<name>.json, to {receipt_of(scored.path)}, or score again"
        )
    old, new = before or {}, now or {}
    parts = [part for part in sorted({*old, *new}) if old.get(part) != new.get(part)]
    if "protocol" not in old and len(parts) > 1:
        parts.remove("protocol")
    return (
        f"{scored.path}: the {parts[0]} of its scores is not that of the scores that {calibration} "
        "was trained on; score both alike, or calibrate again"
    )
