"""Read and write one list of a data directory; folders that appear complete or not at all."""

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
    is_list,
    line_faults,
    list_format,
    parse,
)
from utils.data_dir.rules import order_faults
from utils.data_dir.trial_list import Trials, target_mask
from utils.data_dir.trial_rules import class_faults, no_error_rate
from utils.errors import UserError
from utils.files import (
    atomic_write,
    make_folder,
    publish,
    read_lines,
    split_words,
    temporary_path,
    without_mark,
)


def raise_first(path: Path, faults: Iterable[Fault]) -> None:
    """Raise the first fault, if there is one; ``path`` is the folder of the list."""
    for fault in faults:
        raise UserError(problem(path, fault))


def problem(path: Path, fault: Fault) -> str:
    """The message of a fault, one line; ``path`` is the folder of the list."""
    file = path / fault.file
    text = fault.text.replace(FIX, _remedy(path, fault))
    return f"{file}:{fault.line}: {text}" if fault.line else f"{file}: {text}"


def _remedy(path: Path, fault: Fault) -> str:
    """The command that repairs a list; `utils.data_dir fix` works on data directories only."""
    if is_list(fault.file) and (path / "utt2spk").exists():
        return f"`python -m utils.data_dir fix {shlex.quote(str(path))}` repairs it"
    file = path / fault.file
    if "byte order mark" in fault.text:
        return f"remove it: {without_mark(file)}"
    if fault.text.startswith("CR LF"):
        return f"convert the file: sed -i 's/\\r$//' {shlex.quote(str(file))}"
    return "repair the file"


def read_map(path: str | Path) -> dict[str, str]:
    """Read one list with one line per key, in byte order.

    Parameters
    ----------
    path : path
        For example ``data/train/utt2dur``: a map of two columns, or a list with a known name.

    Returns
    -------
    dict
        First column -> rest of the line.

    Raises
    ------
    UserError
        It is missing, malformed or out of order, or an id is repeated.
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
    """Write one list, sorted in byte order, complete or not at all.

    Parameters
    ----------
    path : path
        Output file.
    mapping : mapping of str
        Key -> value, written as ``str`` does.

    Raises
    ------
    UserError
        A key or value would break the format (blanks, line ends, non-ASCII ids): nothing is
        written.
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
    """Whether the two sides of each trial are the same speaker, (T,) bool.

    UserError if the list has no classes, or one class only; ``path`` is its file, for messages.
    """
    if trials.kinds is None:
        raise UserError(
            f"{path}:1: 2 fields '{trials[0]}', expected 3: <enrol> <test> target|nontarget: "
            "without classes trials can be scored, but have no error rate; add the classes"
        )
    if reason := no_error_rate(trials):
        raise UserError(f"{path}: {reason}; add trials of the other class")
    return target_mask(trials.kinds)


def read_trial_list(path: str | Path) -> Trials:
    """Read a list of trials with classes or without, in the file's order; any file name.

    UserError if it is missing or malformed, only some lines have a class, or a class is unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, expected a list of trials; is the step that makes it finished?"
        )
    content = path.read_bytes()
    columns = parse("trials", content)
    faults: Iterable[Fault] = ()
    if columns is None:
        faults = line_faults("trials", content)
    elif len(columns) > 2:
        faults = class_faults("trials", columns[2])
    raise_first(path.parent, (fault._replace(file=path.name) for fault in faults))
    assert columns is not None, "a list that does not parse has a fault"
    return Trials(*columns)


def map_bytes(path: Path, mapping: Mapping[str, object]) -> bytes:
    """The content of a map in byte order; the name of ``path`` decides its format.

    Python's order of strings is that of their UTF-8 bytes.  UserError for a key or value that
    would not be read back unchanged: an id with blanks or non-ASCII, a value with a line end.
    """
    ordered = sorted(mapping.items())
    content = "".join([f"{key} {value}\n" for key, value in ordered]).encode()
    columns = parse_tidy(path.name, content)
    if mapping and (columns is None or columns[0] != [key for key, _ in ordered]):
        for key, value in ordered:
            _refuse_entry(path, key, value)
    return content


def _refuse_entry(path: Path, key: str, value: object) -> None:
    """Refuse a key or value that would not be read back unchanged."""
    if not re.fullmatch(ID, key):
        raise UserError(f"{path}: id '{key}', expected printable ASCII without blanks; rename it")
    line = f"{key} {value}".encode()
    if text := fault_of_line(line, list_format(path.name)):
        raise UserError(f"{path}: {text.removesuffix(f'; {FIX}')}")
    if parse_tidy(path.name, line + b"\n") is None:
        raise UserError(
            f"{path}: value '{value}' of '{key}', "
            "expected no blanks around it, nor two between ids; remove them"
        )


def parse_tidy(file: str, content: bytes) -> Columns | None:
    """As `parse`, but None unless fields have one blank or tab between them and none elsewhere.

    Lists that this project writes are like that.
    """
    columns = parse(file, content)
    if columns and any(blanks in content for blanks in (b"  ", b" \n", b"\t")):
        is_tidy = len(as_bytes(columns)) == len(content)
        return columns if is_tidy else None
    return columns


def as_map(columns: Columns) -> dict[str, str]:
    """First column -> rest of the line."""
    if len(columns) == 2:
        return dict(zip(*columns, strict=True))
    values = [" ".join(fields) for fields in zip(*columns[1:], strict=True)]
    return dict(zip(columns[0], values, strict=True))


def as_bytes(columns: Columns) -> bytes:
    """The content of a list, one blank between fields."""
    lines = columns[0]
    if len(columns) > 1:
        lines = list(map(" ".join, zip(*columns, strict=True)))
    return ("\n".join(lines) + "\n").encode()


def write_contents(contents: Mapping[str, bytes], folder: Path) -> None:
    """Write files (name -> content) into a folder, each complete or not at all."""
    for file, content in contents.items():
        with atomic_write(folder / file, "wb") as opened:
            opened.write(content)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that gets its name only when the block ends without an exception.

    Yields a folder with a temporary name beside it; ``path`` must not exist.
    """
    refuse_existing(path)
    make_folder(path.parent)
    temporary = temporary_path(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        publish(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(path: Path) -> None:
    """Refuse a file or folder that exists."""
    if path.exists():
        raise UserError(
            f"{path}: exists already, expected a new folder; choose another name or remove it"
        )


def read_spk2utt(path: Path) -> dict[str, list[str]]:
    """Read models (or speakers) and their utterances, ``<model> <utterance> ...`` on each line.

    UserError for a model without utterances, or a repeated one.
    """
    models: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        model, *members = split_words(line) or [""]
        if not members:
            raise UserError(
                f"{path}:{number}: '{line}', expected 2 or more fields: <model> <utterance> ...; "
                "add them, or remove the line"
            )
        if model in models:
            raise UserError(
                f"{path}:{number}: '{model}' again, expected one line per model; join them"
            )
        models[model] = members
    return models
