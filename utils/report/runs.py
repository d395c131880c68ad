"""In what two trainings differ: values, lists, facts of their receipts, and learning curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from utils.config import differences, read_yaml
from utils.errors import UserError
from utils.files import read_entries
from utils.receipts.contents import DIGITS, read_receipt
from utils.report.page import LEARNING_CURVES, Section, series_style
from utils.report.plots import History, learning_plot
from utils.report.render import drawing, render
from utils.training.progress import describe_progress

YAMLS = ("config", "augmentation")  # inputs whose values are compared in place of their bytes
COUNTS = {
    "steps": "steps",
    "classes": "classes",
    "utterances": "training utterances",
    "parameters": "parameters",
    "processes": "processes",
    "device": "device",
}
NONE = "–"
Pair = tuple[str, str]


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, resolved values by phase, lists, facts and history."""

    folder: Path
    values: Mapping
    lists: Mapping[str, str]  # label -> digest of the content
    facts: Mapping[str, str]
    history: list[dict]


@dataclass(frozen=True)
class RunDifferences:
    """What is known of two trainings: name -> of the first, of the second, as text."""

    facts: Mapping[str, Pair]  # all of them
    values: Mapping[str, Pair]  # those that differ
    lists: Mapping[str, Pair]  # those that differ, by the first digits of their digests

    def entries(self) -> list[dict[str, str]]:
        """The entries of runs.json: ``kind``, ``name``, and the texts of ``first``, ``second``."""
        entries = []
        kinds = {"value": self.values, "list": self.lists, "fact": self.facts}
        for kind, pairs in kinds.items():
            for name, (one, other) in pairs.items():
                entries.append({"kind": kind, "name": name, "first": one, "second": other})
        return entries


def run_inputs(folder: Path) -> dict[str, Path]:
    """Files that `read_run` reads, as inputs of a Task; UserError if the training isn't finished.

    Labels begin with the folder's name.
    """
    receipt = folder / "receipts" / "train.json"
    if not receipt.exists():
        raise UserError(_unfinished(folder))
    paths = [receipt, *_configs(folder), folder / "log" / "history.jsonl"]
    inputs = {}
    for path in paths:
        if path.exists():
            inputs[f"{folder.name}/{path.relative_to(folder)}"] = path
    return inputs


def _unfinished(folder: Path) -> str:
    """The message about an experiment whose training has no receipt."""
    for home in (folder, *sorted(folder.glob("phases/*"), reverse=True)):
        progress = describe_progress(home)
        if progress:
            return (
                f"{folder}: its training has not finished ({progress}); wait for it or run its "
                "command again, then compare"
            )
    return f"{folder}: no receipts/train.json in it, expected the experiment of a finished training"


def _configs(folder: Path) -> list[Path]:
    """Resolved configurations of an experiment: of its earlier phases, and its own."""
    return [*sorted(folder.glob("phases/*/config.yaml")), folder / "config.yaml"]


def read_run(folder: Path) -> Run:
    """A finished training from its receipt, configuration and history."""
    receipt = read_receipt(folder / "receipts" / "train.json")
    assert receipt is not None, "run_inputs has checked it"
    values: dict = {}
    for path in _configs(folder):
        if path.parent != folder:
            values[f"phases.{path.parent.name}"] = read_yaml(path)
        elif path.exists():
            values |= read_yaml(path)
    lists = {}
    for label, entry in receipt["inputs"].items():
        if label not in YAMLS:
            lists[label] = entry["content"]
    history = read_entries(folder / "log" / "history.jsonl")
    return Run(folder, values, lists, _facts(receipt, values), history)


def _facts(receipt: Mapping, values: Mapping) -> dict[str, str]:
    """Peak learning rate, batch, counts, hours and commit, as far as they are known."""
    counts = receipt["counts"]
    facts = {}
    optimizer = values.get("optimizer")
    if isinstance(optimizer, Mapping) and "learning_rate" in optimizer:
        facts["peak learning rate"] = _as_text(optimizer["learning_rate"])  # of the schedule
    if counts.get("draws") and counts.get("steps"):
        facts["crops per step, of all processes"] = f"{counts['draws'] // counts['steps']:,}"
    for key, title in COUNTS.items():
        if key in counts:
            facts[title] = _as_text(counts[key])
    facts["hours of the last process"] = f"{receipt['seconds'] / 3600:.2f}"
    facts["commit"] = receipt.get("commit", "")
    return facts


def _as_text(value: object) -> str:
    """A value of a YAML or a count as text; nothing is a dash."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def compare_two_runs(first: Run, second: Run) -> RunDifferences:
    """All facts of two trainings, and the values and lists that differ."""
    facts = {}
    for name in dict.fromkeys([*first.facts, *second.facts]):
        facts[name] = (first.facts.get(name, NONE), second.facts.get(name, NONE))
    values = {}
    for name, one, other in differences(first.values, second.values):
        values[name] = (_as_text(one), _as_text(other))
    lists = {}
    for label in sorted(first.lists.keys() | second.lists.keys()):
        one, other = first.lists.get(label, NONE), second.lists.get(label, NONE)
        if one != other:
            lists[label] = (one[:DIGITS], other[:DIGITS])
    return RunDifferences(facts, values, lists)


def differences_text(found: RunDifferences, names: Pair) -> str:
    """The differences as lines for a terminal; of the facts those that differ."""
    rows = [("", *names)]
    for name, (one, other) in found.facts.items():
        if one != other:
            rows.append((name, one, other))
    for part in (found.values, found.lists):
        rows += [(name, one, other) for name, (one, other) in part.items()]
    if len(rows) == 1:
        return f"{names[0]} and {names[1]} do not differ in values, lists and facts"
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{name:{widths[0]}}  {one:{widths[1]}}  {other}" for name, one, other in rows]
    return "\n".join(line.rstrip() for line in lines)


def runs_section(first: Run, second: Run, found: RunDifferences, note: str) -> Section:
    """The differences as tables, both trainings' learning curves in the same pictures, a note."""
    names = (first.folder.name, second.folder.name)
    histories: list[History] = []
    for number, run in enumerate((first, second)):
        histories.append((run.folder.name, series_style(number), run.history))
    figures = []
    for key, title, _, zero in LEARNING_CURVES:
        plot = learning_plot(histories, key, title, zero)
        if plot:
            figures.append((title, drawing(plot)))
    tables = [
        ("Values that differ", found.values),
        ("Lists and models that differ", found.lists),
        ("Facts", found.facts),
    ]
    keys = [(style, name) for name, style, _ in histories]
    body = render("runs.html", names=names, tables=tables, keys=keys, figures=figures, note=note)
    return Section("Trainings", body, len(keys))
