"""One list of a data directory read and written, and folders that appear whole."""

import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from utils.data_dir.formats import (
    FIX,
    ID,
    Columns,
    Fault,
    fault_of_line,
    format_of,
    is_list,
    line_faults,
    parse,
)
from utils.data_dir.rules import order_faults
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import class_faults, no_error_rate
from utils.errors import UserError
from utils.files import (
    atomic_write,
    make_folder,
    publish,
    read_lines,
    temporary_of,
    without_mark,
    words_of,
)


def raise_first(path: Path, faults: Iterable[Fault]) -> None:
    """Raise the first fault there is."""
    for fault in faults:
        raise UserError(problem(path, fault))


def problem(path: Path, fault: Fault) -> str:
    """A fault as one line."""
    where = path / fault.file
    text = fault.text.replace(FIX, _remedy(path, fault))
    return f"{where}:{fault.line}: {text}" if fault.line else f"{where}: {text}"


def _remedy(path: Path, fault: Fault) -> str:
    """The command that mends a list, which for one outside a data directory is no command of ours."""
    if is_list(fault.file) and (path / "utt2spk").exists():
        return f"`python -m utils.data_dir fix {shlex.quote(str(path))}` mends it"
    file = path / fault.file
    if "byte order mark" in fault.text:
        return f"take it away: {without_mark(file)}"
    if fault.text.startswith("CR LF"):
        return f"convert the file: sed -i 's/\\r$//' {shlex.quote(str(file))}"
    return "mend the file"


def read_map(path: str | Path) -> dict[str, str]:
    """Read one list with one line per key, in byte order: a map of two columns, or any list whose format its name tells.

    Parameters
    ----------
    path : path
        For example ``data/train/utt2dur``.

    Returns
    -------
    dict
        First column -> rest of the line.

    Raises
    ------
    UserError
        It is missing or malformed, out of order, or an id stands twice.
    """
    path = Path(path)
    columns = _read_columns(path)
    raise_first(path.parent, order_faults(path.name, columns[0]))
    return as_map(columns)


def _read_columns(path: Path) -> Columns:
    """The columns of one list."""
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected a list; is the step that makes it finished?"
        )
    content = path.read_bytes()
    columns = parse(path.name, content)
    if columns is None:
        raise_first(path.parent, line_faults(path.name, content))
    assert columns is not None, "a list that does not parse has a fault"
    return columns


def write_map(path: str | Path, mapping: Mapping[str, object]) -> None:
    """Write one list, sorted in byte order, whole or not at all.

    Parameters
    ----------
    path : path
        File.
    mapping : mapping of str
        Key -> value, written as ``str`` does.

    Raises
    ------
    UserError
        A key or value would break the format (blanks, line ends, other than ASCII in an id):
        nothing is written.
    """
    path = Path(path)
    write_contents({path.name: map_bytes(path, mapping)}, path.parent)


def read_trials(path: str | Path) -> tuple[list[str], list[str], np.ndarray]:
    """Read a list of trials of both classes.

    Parameters
    ----------
    path : path
        Lines ``<enrol> <test> target|nontarget``, in any order; the file may have any name.

    Returns
    -------
    enrol, test : lists of str
        The two sides, in the file's order.
    is_target : (T,) bool array
        Whether the two sides are the same speaker.

    Raises
    ------
    UserError
        It is missing or malformed, has no classes, or one class only.
    """
    trials = read_trial_list(path)
    return trials.enrol, trials.test, are_targets(trials, path)


def are_targets(trials: Trials, path: str | Path) -> np.ndarray:
    """Whether the two sides of each trial are the same speaker."""
    if trials.kinds is None:
        raise UserError(
            f"{path}:1: 2 fields '{trials[0]}', expected 3: <enrol> <test> target|nontarget: without classes trials can be scored, "
            "but have no error rate; add the classes"
        )
    if reason := no_error_rate(trials):
        raise UserError(f"{path}: {reason}; add trials of the other class")
    return np.fromiter(map("target".__eq__, trials.kinds), bool, len(trials))


def read_trial_list(path: str | Path) -> Trials:
    """Read a list of trials, with classes or without: for scores none are needed."""
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected a list of trials; is the step that makes it finished?"
        )
    content = path.read_bytes()
    columns = parse("trials", content)
    if columns is None:
        faults = line_faults("trials", content)
    else:
        faults = class_faults("trials", columns[2] if len(columns) > 2 else ())
    raise_first(path.parent, (fault._replace(file=path.name) for fault in faults))
    assert columns is not None, "a list that does not parse has a fault"
    return Trials(*columns)


def map_bytes(path: Path, mapping: Mapping[str, object]) -> bytes:
    """The file of a map, in byte order: Python's order of strings is that of their UTF-8 bytes."""
    ordered = sorted(mapping.items())
    content = "".join([f"{key} {value}\n" for key, value in ordered]).encode()
    columns = parse_tidy(path.name, content)
    if mapping and (columns is None or columns[0] != [key for key, _ in ordered]):
        for key, value in ordered:
            if not re.fullmatch(ID, key):
                raise UserError(
                    f"{path}: id '{key}', expected printable ASCII without blanks; rename it"
                )
            line = f"{key} {value}".encode()
            if fault := fault_of_line(line, format_of(path.name)):
                raise UserError(f"{path}: {fault.removesuffix(f'; {FIX}')}")
            if parse_tidy(path.name, line + b"\n") is None:
                raise UserError(
                    f"{path}: value '{value}' of '{key}', expected no blanks around it, nor two between ids; take them away"
                )
    return content


def parse_tidy(file: str, content: bytes) -> Columns | None:
    """As `parse`, of a list as our writers leave it: one blank or tab where one is needed and none elsewhere."""
    columns = parse(file, content)
    if columns and any(blanks in content for blanks in (b"  ", b" \n", b"\t")):
        is_tidy = len(as_bytes(columns)) == len(content)
        return columns if is_tidy else None
    return columns


def as_map(columns: Columns) -> dict[str, str]:
    """First column -> rest of the line."""
    values = columns[1] if len(columns) == 2 else map(" ".join, zip(*columns[1:], strict=True))
    return dict(zip(columns[0], values, strict=True))


def _as_lines(columns: Columns) -> list[str]:
    """Lines with one blank between fields."""
    return list(map(" ".join, zip(*columns, strict=True)))


def as_bytes(columns: Columns) -> bytes:
    """The file of a list."""
    lines = columns[0] if len(columns) == 1 else _as_lines(columns)
    return ("\n".join(lines) + "\n").encode()


def write_contents(contents: Mapping[str, bytes], folder: Path) -> None:
    """Write files, each whole or not at all."""
    for file, content in contents.items():
        with atomic_write(folder / file, "wb") as opened:
            opened.write(content)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that appears under its name only when the block ends without an exception."""
    refuse_existing(path)
    make_folder(path.parent)
    temporary = temporary_of(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        publish(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Raise when a file or folder is there already."""
    if path.exists():
        raise UserError(
            f"{path}: exists already, expected a new folder; choose another name or remove it"
        )


def read_spk2utt(path: Path) -> dict[str, list[str]]:
    """Models and their utterances."""
    models: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        model, *members = words_of(line) or [""]
        if not members:
            raise UserError(
                f"{path}:{number}: '{line}', expected 2 or more fields: <model> <utterance> ...; add them, or remove the line"
            )
        if model in models:
            raise UserError(
                f"{path}:{number}: '{model}' again, expected one line per model; join them"
            )
        models[model] = members
    return models
