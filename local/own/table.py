"""A corpus that is a table: one line for each utterance, columns with names."""

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.corpus import path_from_checkout
from local.own.columns import Row, lists_of_columns, sets_of
from local.own.corpus import Corpus, plain, refuse_few_speakers, renamed_speakers, speaker_ids
from local.own.measure import Rates
from local.own.times import (
    ROLES,
    SECONDS,
    Stated,
    Times,
    find_times,
    is_time,
    part_of_file,
    refuse_suspects,
)
from utils.data_dir import DataDir
from utils.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = "\t,;|"
OTHER_NAMES = {
    "path": ("file", "filename", "file_name", "filepath", "wav", "audio", "audio_path"),
    "speaker": ("speaker_id", "spk", "spk_id", "client_id"),
    "utterance": ("utterance_id", "utt", "utt_id"),
    "sex": ("gender",),
    "session": ("session_id",),
    "text": ("sentence", "transcript"),
    "set": ("split", "subset"),
}
MOST_LETTERS = 100  # of a column's name, which becomes that of a file


@dataclass
class Table:
    """A table as it was read.

    Attributes
    ----------
    rows : list of Row
        Its lines.
    names : list of str
        Of its columns, ours where we know them; of those of times their roles, where lines say parts of files.
    times : Times
        Which columns are times.
    time_names : dict of str to str
        Role -> which of the names.
    """

    rows: list[Row]
    names: list[str]
    times: Times
    time_names: dict[str, str]


def read_table(path: Path, columns: Mapping[str, str], root: Path | None) -> Corpus:
    """The utterances of a table.

    Parameters
    ----------
    path : path
        UTF-8, a header of names first; the delimiter (tab, comma, semicolon or bar) is found from it.
    columns : mapping of str to str
        What we call a column -> its name in the table, where that is none of ours; ``start_samples`` and ``end_ms`` say units too.
    root : path or None
        Where relative paths start; None: the table's folder.

    Raises
    ------
    UserError
        A column is missing, a line is malformed, an utterance or a file comes twice, or there are too few speakers.
    """
    table = _read_rows(path, columns)
    rows, names, times = table.rows, table.names, table.times
    refuse_few_speakers(
        len({row.fields["speaker"] for row in rows}),
        path,
        f"{len(rows)} lines",
        "expected several in the column 'speaker'",
    )
    ids = speaker_ids({row.fields["speaker"] for row in rows}, path)
    lines: dict[str, Row] = {}
    parts: dict[str, tuple[str, str]] = {}
    stated: dict[str, Stated] = {}
    rates = Rates()
    for row in rows:
        file = path_from_checkout((root or path.parent) / row.fields["path"])
        rate_hz = rates.of(file) if times.need_rates else None
        said = {role: row.fields[name] for role, name in table.time_names.items()}
        start, end, duration = part_of_file(path, row.number, said, times, rate_hz)
        utterance = _utterance_of(row.fields, ids[row.fields["speaker"]], times.cut, start, end)
        first = lines.setdefault(utterance, row)
        if first is not row:
            raise UserError(
                f"{path}:{row.number}: utterance '{utterance}' again (first: line {first.number}), expected each once; remove one line"
            )
        parts[utterance] = start, end
        if duration:
            stated[utterance] = duration
    utt2spk = {utterance: ids[row.fields["speaker"]] for utterance, row in lines.items()}
    files = {
        utterance: path_from_checkout((root or path.parent) / row.fields["path"])
        for utterance, row in lines.items()
    }
    wav_scp, segments = _recordings(path, lines, files, parts if times.cut else None)
    maps, notes = lists_of_columns(
        path,
        lines,
        utt2spk,
        [
            name
            for name in names
            if name not in ("path", "speaker", "utterance", "set", *(ROLES if times.cut else ()))
        ],
    )
    spoken, renamed = renamed_speakers(ids)
    corpus = Corpus(
        "a table",
        DataDir(path, wav_scp, utt2spk, segments, maps | spoken),
        notes=[*notes, *renamed],
        start=None
        if all(os.path.isabs(row.fields["path"]) for row in rows)
        else root or path.parent,
        stated=stated,
    )
    if times.cut:
        corpus.notes.append(f"parts of files: {times.in_words()}")
    if "set" in names:
        corpus.spk2set = sets_of(path, lines, utt2spk)
    return corpus


def times_of_table(path: Path, columns: Mapping[str, str]) -> dict[str, list[str]]:
    """Role -> name and unit of each column of times; empty where they are start and end in seconds, or there is none that says a part.

    Parameters
    ----------
    path, columns
        As of `read_table`.
    """
    header, found, _ = _read_header(path)
    times = find_times(path, header + 1, found, columns)
    plain_times = all(
        column.role in ("start", "end") and column.unit == SECONDS
        for column in times.columns.values()
    )
    known = {f"{role}{unit}" for role in ("start", "end") for unit in ("", "_seconds")} | set(
        columns.values()
    )
    if not times.cut or (
        plain_times and all(c.header.lower() in known for c in times.columns.values())
    ):
        return {}
    return {column.role: [column.header, column.unit] for column in times.columns.values()}


def _read_header(path: Path) -> tuple[int, list[str], "Reader"]:
    """How many lines stand before the header, its names, and a reader of the lines behind it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; convert the table, for example with iconv"
        ) from None
    lines = list(
        io.StringIO(text, newline="\n")
    )  # which end at LF; a quoted field may have one in it
    header = next(
        (number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")),
        None,
    )
    if header is None:
        raise UserError(
            f"{path}: empty, expected a line of column names and one line for each utterance"
        )
    delimiter = max(DELIMITERS, key=lines[header].count)
    reader = csv.reader(
        lines[header:],
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
    )
    try:
        return header, [name.strip() for name in next(reader)], reader
    except csv.Error as error:
        raise _malformed(path, header + 1, error) from None


def _read_rows(path: Path, columns: Mapping[str, str]) -> Table:
    """The lines of a table, and what its columns are."""
    header, found, reader = _read_header(path)
    times = find_times(path, header + 1, found, columns)
    names = _our_names(path, header + 1, found, columns, times)
    rows = []
    suspects = []
    for number, fields in _numbered(path, header, reader):
        if len(fields) != len(found):
            raise UserError(
                f"{path}:{number}: {len(fields)} fields, expected the {len(found)} of the header ({', '.join(found)}); mend the line"
            )
        values = list(map(str.strip, fields))
        row = Row(number, dict(zip(names, values, strict=True)))
        for name in ("path", "speaker"):
            if not row.fields[name]:
                raise UserError(
                    f"{path}:{number}: no {name}, expected one in each line; add it, or remove the line"
                )
        if row.fields["path"].endswith("|"):
            raise UserError(
                f"{path}:{number}: '{row.fields['path']}' is a command, expected a file; commands stand in a Kaldi directory's wav.scp"
            )
        rows.append(row)
        if times.suspects:
            suspects.append((number, dict(zip(found, values, strict=True))))
    refuse_suspects(path, times, suspects)
    time_names = {role: names[found.index(column.header)] for role, column in times.columns.items()}
    return Table(rows, names, times, time_names)


def _numbered(path: Path, header: int, reader: "Reader") -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, each with its number in the file."""
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield header + reader.line_num, fields
    except csv.Error as error:
        raise _malformed(path, header + reader.line_num, error) from None


def _malformed(path: Path, number: int, error: csv.Error) -> UserError:
    """What to say of a line that is no line of a table."""
    if "new-line character" in str(error):  # csv's words for a CR that no quotes hold
        return UserError(
            f"{path}:{number}: a carriage return inside the line, expected LF or CR LF at its end; convert the table"
        )
    return UserError(f"{path}:{number}: {error}; mend the line")


def _our_names(
    path: Path, line: int, found: Sequence[str], columns: Mapping[str, str], times: Times
) -> list[str]:
    ours = {other: name for name, others in OTHER_NAMES.items() for other in (*others, name)}
    for name, column in columns.items():
        if (name not in OTHER_NAMES and not is_time(name)) or column not in found:
            raise UserError(
                f"{path}:{line}: --columns {name}: {column}: expected one of {', '.join(OTHER_NAMES)}, start, end, duration (in other units "
                f"start_samples, end_ms, ...), and a column of {', '.join(found)}"
            )
    if long := next((name for name in found if len(name) > MOST_LETTERS), None):
        raise UserError(
            f"{path}:{line}: a column of {len(long)} letters, '{long[:40]}...', expected a name; is this line the header?"
        )
    given = {column: name for name, column in columns.items()}
    if times.cut:
        given |= {column.header: role for role, column in times.columns.items()}
    names = [given.get(name) or _name_of_other(name, ours, columns, times) for name in found]
    missing = [name for name in ("path", "speaker") if name not in names]
    if missing:
        raise UserError(
            f"{path}:{line}: columns found: {', '.join(found)}; expected path and speaker among them, without {' and '.join(missing)} "
            f'it cannot be read; name them: --columns "{{{missing[0]}: {found[0]}}}"'
        )
    doubled = next((name for name in names if name and names.count(name) > 1), None)
    if doubled:
        raise UserError(
            f'{path}:{line}: two columns for {doubled} among {", ".join(found)}; choose: --columns "{{{doubled}: ...}}"'
        )
    return names


def _name_of_other(
    name: str, ours: Mapping[str, str], columns: Mapping[str, str], times: Times
) -> str:
    """What we call a column that the user did not name."""
    if ours.get(name.lower()) in columns or (times.cut and plain(name) in ROLES):
        return f"{plain(name)}_column"
    return ours.get(name.lower(), plain(name))


def _utterance_of(fields: Mapping[str, str], speaker: str, cut: bool, start: str, end: str) -> str:
    """The utterance's id: that of the table or its path, behind the speaker's; of a part of a file with its times in hundredths of a second."""
    given = fields.get("utterance")
    name = plain(
        given or re.sub(r"\.[A-Za-z0-9]+$", "", fields["path"].strip("./")).replace("/", "-"), "-"
    )
    times = ""
    if cut and not given:
        times = "".join(
            f"-{round(100 * float(time)):07d}" for time in (start, end) if time not in ("", "-1")
        )
    return (name if name.startswith(f"{speaker}-") else f"{speaker}-{name}") + times


def _recordings(
    path: Path,
    lines: Mapping[str, Row],
    files: Mapping[str, str],
    parts: Mapping[str, tuple[str, str]] | None,
) -> tuple[dict[str, str], dict[str, str] | None]:
    """wav.scp, and segments where lines have times; without them a file may come once only."""
    if parts is None:
        first: dict[str, str] = {}
        for utterance, file in files.items():
            other = first.setdefault(file, utterance)
            if other != utterance:
                raise UserError(
                    f"{path}:{lines[utterance].number}: {file} again (first: line {lines[other].number}), expected each file once, or "
                    "columns start and end; remove one of the lines"
                )
        return dict(files), None
    wav_scp: dict[str, str] = {}
    segments = {}
    for utterance, row in lines.items():
        recording = plain(os.path.normpath(row.fields["path"]).strip("./").replace("/", "-"), "-")
        if wav_scp.setdefault(recording, files[utterance]) != files[utterance]:
            raise UserError(
                f"{path}:{row.number}: {wav_scp[recording]} and {files[utterance]} would both be called '{recording}'; rename one"
            )
        segments[utterance] = " ".join([recording, *parts[utterance]])
    return wav_scp, segments
