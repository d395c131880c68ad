"""One list of a data directory: known lists, the format of their lines, and the faults of a line.

Extra blanks and tabs before a value and at a line's end are accepted, since Kaldi's programs write
them (wav-to-duration and feat-to-len, one at every line's end); they are never written.  Blanks
inside the last field of an scp file or of text are part of it: a path may contain two blanks in a
row, but not begin or end with one, as in Kaldi.  Only LF ends a line.

A good file is parsed without a Python loop over its lines: with its printable characters deleted,
every line has to leave the same blanks and line end.  Only a file that fails this is parsed line by
line, to name the line.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from utils.data_dir.trial_list import columns_of_words, is_regular
from utils.files import BLANKS, MARK, UTF16_MARKS, UTF16_MESSAGE

ID = r"[!-~]+"
WORD = r"[^\x00-\x20\x7f]+"
IDS = rf"{ID}(?:[ \t]+{ID})*"
REST = r"[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?"
# the last field of text: as REST, and also VT, FF and FS to US, which do not end a line here
LETTER = r"[^\x00-\x0a\x0d-\x1b\x20\x7f]"
TEXT = rf"{LETTER}(?:[^\x00-\x08\x0a\x0d-\x1b\x7f]*{LETTER})?"
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MAP = re.compile(r"(utt|spk|reco)2[A-Za-z0-9_]+")
FIX = "`python -m utils.data_dir fix` repairs it"

Columns = list[list[str]]  # of one list; the keys come first
Tables = Mapping[str, Columns]  # name of a list -> its columns
ReadTables = Mapping[str, Columns | None]  # None where a line is malformed


class Format(NamedTuple):
    """The format of a list: a line as messages show it, and a regular expression per column."""

    shape: str
    columns: tuple[str, ...]

    @property
    def line(self) -> str:
        """Regular expression of a whole line as it is read, one group per column."""
        return "[ \t]+".join(f"({column})" for column in self.columns) + "[ \t]*"

    @property
    def expected(self) -> str:
        """The shape, after the number of fields where that is fixed."""
        if self.columns[-1] in (IDS, REST, TEXT):
            return self.shape
        return f"{len(self.columns)}: {self.shape}"


class Fault(NamedTuple):
    """A fault of a data directory.

    ``line`` counts from 1; 0: the file as a whole.  ``text``: found, expected, what to do.
    """

    file: str
    line: int
    text: str


FORMATS = {
    "wav.scp": Format("<recording> <path, archive:offset or pipe>", (ID, REST)),
    "vad.scp": Format("<utterance> <archive:offset>", (ID, REST)),
    "feats.scp": Format("<utterance> <archive:offset>", (ID, REST)),
    "cmvn.scp": Format("<speaker> <archive:offset>", (ID, REST)),
    "text": Format("<utterance> <words>", (ID, TEXT)),
    "utt2spk": Format("<utterance> <speaker>", (ID, ID)),
    "spk2utt": Format("<speaker> <utterance> ...", (ID, IDS)),
    "enroll.spk2utt": Format("<model> <utterance> ...", (ID, IDS)),
    "segments": Format("<utterance> <recording> <start seconds> <end seconds>", (ID, ID, ID, ID)),
    "trials": Format("<enrol> <test> target|nontarget", (ID, ID, ID)),
    "reco2file_and_channel": Format("<recording> <file> <channel>", (ID, ID, ID)),
}
TRIALS_WITHOUT_CLASSES = Format("<enrol> <test>", (ID, ID))
HEAD_BYTES = 1 << 16  # of a list of trials: its first line is in them


def is_list(file: str) -> bool:
    """Whether a file of this name is one of a data directory's lists.

    Parameters
    ----------
    file : str
        Name without folder.
    """
    return file in FORMATS or MAP.fullmatch(file) is not None


def list_names(folder: Path) -> list[str]:
    """Names of the lists in a folder, in byte order; none for a folder that does not exist."""
    return sorted(path.name for path in folder.glob("*") if is_list(path.name))


def list_format(file: str) -> Format:
    """The format of a list by its name: ``dev.spk2utt`` is a spk2utt, any other name a map."""
    kind = file if file in FORMATS else file.rpartition(".")[2]
    return FORMATS.get(kind, Format("<id> <value>", (ID, WORD)))


def format_in(file: str, content: bytes) -> Format:
    """The format of a list by name and content: trials have classes if their first line has one."""
    if file != "trials":
        return list_format(file)
    for line in content[:HEAD_BYTES].split(b"\n"):
        words = line.split()
        if len(words) == len(TRIALS_WITHOUT_CLASSES.columns):
            return TRIALS_WITHOUT_CLASSES
        if words:
            break
    return list_format(file)


def parse(file: str, content: bytes) -> Columns | None:
    """The columns of a list, or None if a line is malformed; `line_faults` says which.

    The name decides the format.  Trials without classes have two columns.  Several ids in one
    column have one blank between them.
    """
    format = format_in(file, content)
    count, width = content.count(b"\n"), len(format.columns)
    if is_regular(content, width):
        if file == "trials":
            columns = columns_of_words(content, width)
        else:
            words = content.decode("ascii").split()
            columns = [words[column::width] for column in range(width)]
        if all(len(column) == count for column in columns):
            return columns
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    rows = re.findall(f"^{format.line}$", text, re.MULTILINE)
    if len(rows) != count or not text.endswith("\n"):
        return None
    columns = [list(column) for column in zip(*rows, strict=True)]
    if format.columns[-1] == IDS:
        columns[-1] = [" ".join(ids.split()) for ids in columns[-1]]
    return columns


def line_faults(file: str, content: bytes) -> Iterator[Fault]:
    """The faults of a list that `parse` refuses, at least one, in the order of its lines."""
    if not content:
        yield Fault(
            file,
            0,
            f"empty, expected lines '{list_format(file).shape}'; "
            "write them, or remove the file if this directory needs none",
        )
        return
    if content.startswith(UTF16_MARKS):
        yield Fault(file, 1, UTF16_MESSAGE)
        return
    format = format_in(file, content)
    lines = content.split(b"\n")
    is_finished = not lines[-1]
    if is_finished:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if text := fault_of_line(line, format):
            yield Fault(file, number, text)
    if not is_finished:
        yield Fault(
            file,
            len(lines),
            "no line end after the last line, expected LF: the file may be cut short; "
            f"if it is whole, {FIX}",
        )


def fault_of_line(line: bytes, format: Format) -> str:
    """The fault of one line, which has no line end; empty if it has none."""
    if line.startswith(MARK):
        return f"begins with a byte order mark, expected the id first; {FIX}"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return (
            f"byte {line[error.start]:#04x} in {line!r}, expected UTF-8; "
            "convert the file, for example with iconv"
        )
    if re.fullmatch(format.line, text):
        return ""
    if text.endswith("\r"):
        return f"CR LF at the end of the line, expected LF alone; {FIX}"
    if not text.strip(" \t"):
        return f"empty line, expected '{format.shape}'; {FIX}"
    if match := CONTROL.search(text):
        return f"control character {match[0]!r} in {text!r}, expected printable text; remove it"
    if text[0] in " \t":
        return f"blank at the start of '{text}', expected none; {FIX}"
    fields = BLANKS.split(text.rstrip(" \t"))
    for field in fields[: len(format.columns)]:
        if not re.fullmatch(ID, field):
            return (
                f"id '{field}' has characters other than printable ASCII, "
                f"expected '{format.shape}'; rename it"
            )
    found = f"{len(fields)} fields '{text}', expected {format.expected}"
    if format in (FORMATS["trials"], TRIALS_WITHOUT_CLASSES) and len(fields) in (2, 3):
        return (
            f"{found} as in the first line; give all trials a class (target or nontarget), or none"
        )
    return f"{found}; add what is missing, or remove the blanks in the ids"
