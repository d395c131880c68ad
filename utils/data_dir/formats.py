"""One list of a data directory: which lists there are, what a line of each looks like, and what is wrong with a line.

Blanks and tabs before a value and at a line's end are read, as Kaldi's programs write them (the
lists of wav-to-duration and feat-to-len have one at every line's end), and never written.  Those
inside the last field of wav.scp, another scp or text are part of it: a path may have two blanks in
a row, but none at its ends, where Kaldi takes them away too.  Only LF ends a line.

A good file is parsed without a step of Python per line: once its printable characters are deleted,
what is left has to be the same blanks and line end for every line.  Only a file that fails this is
walked, to name the line.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from utils.data_dir.trial_list import columns_of_words, is_regular
from utils.files import BLANKS, MARK, UTF16_FOUND, UTF16_MARKS

ID = r"[!-~]+"
WORD = r"[^\x00-\x20\x7f]+"
IDS = rf"{ID}(?:[ \t]+{ID})*"
REST = r"[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?"
# of a text: as REST, but VT, FF and FS to US, which are no line ends here, are letters of it
LETTER = r"[^\x00-\x0a\x0d-\x1b\x20\x7f]"
TEXT = rf"{LETTER}(?:[^\x00-\x08\x0a\x0d-\x1b\x7f]*{LETTER})?"
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MAP = re.compile(r"(utt|spk|reco)2[A-Za-z0-9_]+")
FIX = "`python -m utils.data_dir fix` mends it"

Columns = list[list[str]]  # of one list; the keys come first
Tables = Mapping[str, Columns]  # name of a list -> its columns
ReadTables = Mapping[str, Columns | None]  # None where a line is malformed


class Format(NamedTuple):
    """What a line of one list looks like."""

    shape: str
    columns: tuple[str, ...]

    @property
    def line(self) -> str:
        """Regular expression of a whole line as it is read, one group per column."""
        return "[ \t]+".join(f"({column})" for column in self.columns) + "[ \t]*"

    @property
    def expected(self) -> str:
        """The shape, after the number of fields where that is fixed."""
        return (
            self.shape
            if self.columns[-1] in (IDS, REST, TEXT)
            else f"{len(self.columns)}: {self.shape}"
        )


class Fault(NamedTuple):
    """One thing that is wrong with a data directory."""

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
HEAD_BYTES = 1 << 16  # of a list of trials, in which its first line is looked for


def is_list(file: str) -> bool:
    """Whether a file of this name is one of a data directory's lists.

    Parameters
    ----------
    file : str
        Name without folder.
    """
    return file in FORMATS or MAP.fullmatch(file) is not None


def lists_of(folder: Path) -> list[str]:
    """Names of the lists that a folder has, in byte order."""
    return sorted(path.name for path in folder.glob("*") if is_list(path.name))


def format_of(file: str) -> Format:
    """The format of a list; a name that is not known is a map of two columns."""
    kind = file if file in FORMATS else file.rpartition(".")[2]
    return FORMATS.get(kind, Format("<id> <value>", (ID, WORD)))


def format_in(file: str, content: bytes) -> Format:
    """The format of a list that is there: trials are as their first line is, with a class or without."""
    if file == "trials":
        lines = content[:HEAD_BYTES].split(b"\n")
        first = next(filter(None, map(bytes.split, lines)), [])
        if len(first) == len(TRIALS_WITHOUT_CLASSES.columns):
            return TRIALS_WITHOUT_CLASSES
    return format_of(file)


def parse(file: str, content: bytes) -> Columns | None:
    """The columns of a list."""
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
    """What is wrong with the lines of a list that does not parse."""
    if not content:
        yield Fault(
            file,
            0,
            f"empty, expected lines '{format_of(file).shape}'; write them, or remove the file if this directory needs none",
        )
        return
    if content.startswith(UTF16_MARKS):
        yield Fault(file, 1, UTF16_FOUND)
        return
    format, lines = format_in(file, content), content.split(b"\n")
    unfinished = lines.pop()
    for number, line in enumerate([*lines, unfinished] if unfinished else lines, start=1):
        if fault := fault_of_line(line, format):
            yield Fault(file, number, fault)
    if unfinished:
        yield Fault(
            file,
            len(lines) + 1,
            f"no line end after the last line, expected LF: the file may be cut short; if it is whole, {FIX}",
        )


def fault_of_line(line: bytes, format: Format) -> str:
    """What is wrong with one line, or an empty string."""
    if line.startswith(MARK):
        return f"begins with a byte order mark, expected the id first; {FIX}"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"byte {line[error.start]:#04x} in {line!r}, expected UTF-8; convert the file, for example with iconv"
    if re.fullmatch(format.line, text):
        return ""
    if text.endswith("\r"):
        return f"CR LF at the end of the line, expected LF alone; {FIX}"
    if not text.strip(" \t"):
        return f"empty line, expected '{format.shape}'; {FIX}"
    if found := CONTROL.search(text):
        return f"control character {found[0]!r} in {text!r}, expected printable text; remove it"
    if text[0] in " \t":
        return f"blank at the start of '{text}', expected none; {FIX}"
    fields = BLANKS.split(text.rstrip(" \t"))
    for field in fields[: len(format.columns)]:
        if not re.fullmatch(ID, field):
            return f"id '{field}' has characters other than printable ASCII, expected '{format.shape}'; rename it"
    if format in (FORMATS["trials"], TRIALS_WITHOUT_CLASSES) and len(fields) in (2, 3):
        return (
            f"{len(fields)} fields '{text}', expected {format.expected} as in the first line; "
            "give all trials a class (target or nontarget), or none"
        )
    return f"{len(fields)} fields '{text}', expected {format.expected}; add what is missing, or take the blanks out of the ids"
