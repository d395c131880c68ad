"""In what two trainings differ: values, lists, facts of their receipts, and learning curves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.config import differences, read_yaml
from utils.errors import UserError, WrongArguments
from utils.files import read_entries
from utils.receipts.contents import DIGITS, existing_receipt, read_receipt
from utils.receipts.without_paths import content_without_paths
from utils.report.page import LEARNING_CURVES, Section, series_style
from utils.report.plots import History, learning_plot
from utils.report.render import drawing, render
from utils.training.progress import describe_progress

YAMLS = ("config", "augmentation")  # inputs whose values are compared in place of their bytes
WEIGHTS_FROM = "weights_from"
PREVIOUS = "previous"  # the input of a phase that is the phase before
RECEIPT = Path("receipts") / "train.json"
COUNTS = {
    "steps": "steps",
    "classes": "classes",
    "utterances": "training utterances",
    "parameters": "parameters",
    "processes": "processes",
    "device": "device",
}
NONE = "–"
MOST_CHARACTERS = 60  # of a value on the terminal; the page has the whole
Pair = tuple[str, str]
Complete = Callable[[Mapping], Mapping]  # fills the defaults of options into a configuration


@dataclass(frozen=True)
class Run:
    """A finished training: its name, resolved values, lists, facts, history and phases.

    Names of earlier phases' values, facts and lists begin with the phase; of these lists there are
    those that the last phase does not have.  ``lists`` has inputs as receipts record them; the
    steps of ``history`` count on from phase to phase.
    """

    name: str
    values: Mapping
    lists: Mapping[str, Mapping]  # label -> path and content
    facts: Mapping[str, str]
    history: list[dict]
    phases: Sequence[str]  # names; empty without phases


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


def run_names(first: Path, second: Path) -> Pair:
    """The names of two experiments: of the folders, with their parents as far as they are equal.

    UserError if they are one experiment.
    """
    if first.resolve() == second.resolve():
        raise WrongArguments(
            f"{first} and {second}: one experiment given twice; name two experiments"
        )
    one, other = first.absolute().parts, second.absolute().parts
    length = 1
    while one[-length:] == other[-length:]:
        length += 1
    return str(Path(*one[-length:])), str(Path(*other[-length:]))


def run_inputs(folder: Path, name: str) -> dict[str, Path]:
    """Files that `read_run` reads, as inputs of a Task; UserError if the training isn't finished.

    Labels begin with the name.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder, expected the experiment of a finished training")
    if not (folder / RECEIPT).exists():
        raise UserError(_unfinished(folder))
    inputs = {}
    for home in _phase_folders(folder):
        for path in (home / RECEIPT, home / "config.yaml", home / "log" / "history.jsonl"):
            if path.exists():
                inputs[f"{name}/{path.relative_to(folder)}"] = path
    return inputs


def _unfinished(folder: Path) -> str:
    """The message about an experiment whose training has no receipt."""
    for home in (folder, *sorted(folder.glob("phases/*"), key=_phase_number, reverse=True)):
        progress = describe_progress(home)
        if not progress:
            continue
        if home != folder:
            progress += f", {home.relative_to(folder)}"
        remedy = "finish it with steps.train (stage 3)"
        if progress.startswith("running"):
            remedy = "wait until it is done"
        return f"{folder}: its training has not finished; it is {progress}; {remedy}, then compare"
    return f"{folder}: no {RECEIPT} in it, expected the experiment of a finished training"


def _phase_number(home: Path) -> int:
    """The number of a phase's folder; 0 if its name has none."""
    digits = home.name.partition("_")[0]
    return int(digits) if digits.isdecimal() else 0


def _phase_folders(folder: Path) -> list[Path]:
    """Folders of the phases of a training in their order; the last one, or only one, is its own.

    A phase whose receipt is not there any more ends the search; what remains of it is read.
    """
    homes = [folder]
    while True:
        receipt = read_receipt(homes[0] / RECEIPT)
        if receipt is None or PREVIOUS not in receipt["inputs"]:
            return homes
        before = Path(receipt["inputs"][PREVIOUS]["path"]).parents[1]
        homes.insert(0, folder / "phases" / before.name)


def read_run(folder: Path, name: str, complete: Complete) -> Run:
    """A finished training from the receipts, configurations and histories of its phases.

    ``complete`` fills in the defaults that a configuration lacks, since an option that is written
    as its default is no difference.
    """
    *earlier, last = _phase_folders(folder)
    last_receipt = existing_receipt(last / RECEIPT)
    last_lists = _lists(last_receipt)
    values: dict = dict(_values(last, complete))
    facts: dict[str, str] = {}
    lists: dict[str, Mapping] = {}
    history: list[dict] = []
    phases = []
    num_steps = 0
    for home in earlier:
        phase = home.name.partition("_")[2]
        phases.append(phase)
        own = _values(home, complete)
        values.setdefault("phases", {})[phase] = own
        receipt = read_receipt(home / RECEIPT)
        if receipt is None:
            facts[f"phase {phase}"] = "not there any more"
            continue
        for title, text in _facts(receipt, own).items():
            facts[f"phase {phase}: {title}"] = text
        for label, entry in _lists(receipt).items():
            if entry != last_lists.get(label):
                lists[f"phase {phase}: {label}"] = entry
        history += _history_after(home, num_steps)
        num_steps += receipt["counts"].get("steps", 0)
    if earlier:
        phases.append(_phase_name(last))
    facts |= _facts(last_receipt, values)
    history += _history_after(last, num_steps)
    lists |= last_lists
    return Run(name, values, lists, facts, history, phases)


def _values(home: Path, complete: Complete) -> Mapping:
    """The resolved values of a phase, without its number and name; empty if they are not there."""
    path = home / "config.yaml"
    if not path.exists():
        return {}
    values = dict(complete(read_yaml(path)))
    if "phase" in values:
        values["phase"] = {WEIGHTS_FROM: values["phase"].get(WEIGHTS_FROM)}
    return values


def _phase_name(home: Path) -> str:
    """The name of a phase, from its configuration; empty without phases."""
    path = home / "config.yaml"
    phase = read_yaml(path).get("phase") if path.exists() else None
    return phase["name"] if phase else ""


def _lists(receipt: Mapping) -> dict[str, Mapping]:
    """The inputs of a phase whose content is compared."""
    return {label: entry for label, entry in receipt["inputs"].items() if label not in YAMLS}


def _history_after(home: Path, num_steps: int) -> list[dict]:
    """The history of a phase after so many steps of the phases before."""
    entries = read_entries(home / "log" / "history.jsonl")
    return [entry | {"step": entry["step"] + num_steps} for entry in entries]


def _facts(receipt: Mapping, values: Mapping) -> dict[str, str]:
    """Peak learning rate, batch, counts, hours and commit, as far as they are known."""
    counts = receipt["counts"]
    facts = {}
    optimizer = values.get("optimizer")
    if isinstance(optimizer, Mapping) and "learning_rate" in optimizer:
        facts["peak learning rate"] = _as_yaml(optimizer["learning_rate"])  # of the schedule
    if counts.get("draws") and counts.get("steps"):
        facts["crops per step, of all processes"] = f"{counts['draws'] // counts['steps']:,}"
    for key, title in COUNTS.items():
        if key in counts:
            count = counts[key]
            facts[title] = f"{count:,}" if isinstance(count, int) else str(count)
    facts["hours of the last process"] = f"{receipt['seconds'] / 3600:.2f}"
    facts["commit"] = receipt.get("commit", "")
    return facts


def _as_yaml(value: object) -> str:
    """A value in one line, as a YAML has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_as_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_as_yaml, value)) + "]"
    return str(value)


def compare_two_runs(first: Run, second: Run) -> RunDifferences:
    """All facts of two trainings, and the values and lists that differ."""
    facts = {}
    for name in dict.fromkeys([*first.facts, *second.facts]):
        facts[name] = (first.facts.get(name, NONE), second.facts.get(name, NONE))
    values = {}
    ours, theirs = _values_beside(first, second), _values_beside(second, first)
    for name, one, other in differences(ours, theirs):
        values[name] = (_value_text(one), _value_text(other))
    lists = {}
    for label in sorted(first.lists.keys() | second.lists.keys()):
        digests = _digests(first.lists.get(label), second.lists.get(label))
        if digests[0] != digests[1]:
            lists[label] = digests
    return RunDifferences(facts, values, lists)


def _values_beside(run: Run, other: Run) -> dict:
    """The values of a training for its comparison with another one.

    A phase that the other one lacks has those that differ from its own last phase.
    """
    phases = {}
    for phase, values in run.values.get("phases", {}).items():
        phases[phase] = values
        if phase not in other.phases[:-1]:
            last = {section: run.values.get(section) for section in values}
            phases[phase] = {name: value for name, _, value in differences(last, values)}
    return {**run.values, "phases": phases}


def _value_text(value: object) -> str:
    """A value that differs; nothing is a dash."""
    return NONE if value is None else _as_yaml(value)


def _digests(first: Mapping | None, second: Mapping | None) -> Pair:
    """The first digits of the digests of an input of two trainings; of a missing one a dash.

    The paths in a list count only if one of the two is not there any more.
    """
    found = [entry for entry in (first, second) if entry]
    same = len(found) == 2 and found[0]["content"] == found[1]["content"]
    contents = [entry["content"] if same else content_without_paths(entry) for entry in found]
    mark = ""
    if not all(contents):
        contents = [entry["content"] for entry in found]
        mark = " (with paths)"
    texts = [f"{content[:DIGITS]}{mark}" for content in contents]
    one = texts.pop(0) if first else NONE
    other = texts.pop(0) if second else NONE
    return one, other


def phases_note(first: Run, second: Run) -> str:
    """What stands for which phase; empty if neither training has phases."""
    notes = [f"{run.name}: {', '.join(run.phases)}" for run in (first, second) if run.phases]
    if not notes:
        return ""
    text = (
        f"Phases of {'; '.join(notes)}. Names without a phase are of the last one; the curves show "
        "all phases, one after the other."
    )
    if {*first.phases[:-1]} != {*second.phases[:-1]}:
        text += " Of a phase that only one has, the values are those that differ from its last one."
    return text


def differences_text(found: RunDifferences, names: Pair) -> str:
    """The differences as lines for a terminal; of the facts those that differ."""
    rows = [("", *names)]
    for name, (one, other) in found.facts.items():
        if one != other:
            rows.append((name, one, other))
    for part in (found.values, found.lists):
        rows += [(name, _shortened(one), _shortened(other)) for name, (one, other) in part.items()]
    if len(rows) == 1:
        return f"{names[0]} and {names[1]} do not differ in values, lists and facts"
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{name:{widths[0]}}  {one:{widths[1]}}  {other}" for name, one, other in rows]
    return "\n".join(line.rstrip() for line in lines)


def _shortened(text: str) -> str:
    """A text for the terminal, cut if it is long."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}..."


def runs_section(
    first: Run, second: Run, found: RunDifferences, notes: Sequence[str] = ()
) -> Section:
    """The differences as tables, both trainings' learning curves in the same pictures, notes."""
    names = (first.name, second.name)
    histories: list[History] = []
    for number, run in enumerate((first, second)):
        histories.append((run.name, series_style(number), run.history))
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
    body = render("runs.html", names=names, tables=tables, keys=keys, figures=figures, notes=notes)
    return Section("Trainings", body, len(keys))
