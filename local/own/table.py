"""A corpus that is a table: a header of column names, and one line for each utterance."""

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local.corpus import path_from_checkout
from local.own.columns import Row, read_descriptions, read_sets
from local.own.corpus import Corpus, plain, refuse_few_speakers, renamed_speakers, speaker_ids
from local.own.measure import Rates
from local.own.times import (
    ROLES,
    SECONDS,
    StatedDuration,
    Times,
    find_times,
    is_time,
    read_part,
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
MAX_LETTERS = 100  # of a column's name, which becomes that of a file


@dataclass
class Table:
    """A table as read.

    ``names`` has the name of each column: ours where it is known, and the role (start, end,
    duration) of a column of times if lines are parts of files. ``time_names`` has role -> name.
    """

    rows: list[Row]
    names: list[str]
    times: Times
    time_names: dict[str, str]


@dataclass
class _Utterances:
    """Lines, files, parts of files (start, end) and stated durations, by utterance."""

    lines: dict[str, Row]
    files: dict[str, str]
    parts: dict[str, tuple[str, str]]
    stated: dict[str, StatedDuration]


def read_table(path: Path, columns: Mapping[str, str], root: Path | None) -> Corpus:
    """The utterances of a table in UTF-8; its delimiter is a tab, comma, semicolon or bar.

    ``columns`` has our name of a column -> its name in the table, where that is not one of ours;
    ``start_samples`` and ``end_ms`` name units too. Relative paths start at ``root``, or else at
    the table's folder. UserError: a column is missing, a line is malformed, an utterance or a file
    comes twice, or there are too few speakers.
    """
    table = _read_rows(path, columns)
    rows, times = table.rows, table.times
    speakers = {row.fields["speaker"] for row in rows}
    refuse_few_speakers(
        len(speakers), path, f"{len(rows)} lines", "expected several in the column 'speaker'"
    )
    ids = speaker_ids(speakers, path)
    start = root or path.parent
    content = _read_utterances(path, table, ids, start)
    lines = content.lines
    utt2spk = {utterance: ids[row.fields["speaker"]] for utterance, row in lines.items()}
    if times.cut:
        wav_scp, segments = _name_recordings(path, content)
    else:
        _refuse_same_file(path, content)
        wav_scp, segments = content.files, None
    read_already = {"path", "speaker", "utterance", "set"}
    if times.cut:
        read_already.update(ROLES)
    others = [name for name in table.names if name not in read_already]
    maps, notes = read_descriptions(path, lines, utt2spk, others)
    spk2name, renaming_notes = renamed_speakers(ids)
    data = DataDir(path, wav_scp, utt2spk, segments, maps | spk2name)
    corpus = Corpus("a table", data, notes=notes + renaming_notes, stated=content.stated)
    if not all(os.path.isabs(row.fields["path"]) for row in rows):
        corpus.start = start
    if times.cut:
        corpus.notes.append(f"parts of files: {times.describe()}")
    if "set" in table.names:
        corpus.spk2set = read_sets(path, lines, utt2spk)
    return corpus


def _read_utterances(path: Path, table: Table, ids: Mapping[str, str], start: Path) -> _Utterances:
    """The utterance of each line; UserError if one comes twice."""
    content = _Utterances({}, {}, {}, {})
    rates = Rates()
    for row in table.rows:
        file = path_from_checkout(start / row.fields["path"])
        rate_hz = None
        if table.times.need_rates:
            rate_hz = rates.read(file)
        values = {role: row.fields[name] for role, name in table.time_names.items()}
        part_start, part_end, stated = read_part(path, row.number, values, table.times, rate_hz)
        times_in_id = []
        if table.times.cut:
            times_in_id = [time for time in (part_start, part_end) if time not in ("", "-1")]
        utterance = _utterance_id(row.fields, ids[row.fields["speaker"]], times_in_id)
        first = content.lines.setdefault(utterance, row)
        if first is not row:
            raise UserError(
                f"{path}:{row.number}: utterance '{utterance}' again (first: line {first.number}), "
                "expected each once; remove one line"
            )
        content.files[utterance] = file
        content.parts[utterance] = part_start, part_end
        if stated:
            content.stated[utterance] = stated
    return content


def read_time_columns(path: Path, columns: Mapping[str, str]) -> dict[str, list[str]]:
    """Role -> name and unit of each column of times, for the receipt.

    Empty if there are no parts of files, or if their columns are start and end in seconds.
    """
    header, names, _ = _read_header(path)
    times = find_times(path, header + 1, names, columns)
    if not times.cut:
        return {}
    usual_names = {"start", "end", "start_seconds", "end_seconds", *columns.values()}
    is_usual = True
    for column in times.columns.values():
        if column.role == "duration" or column.unit != SECONDS:
            is_usual = False
        if column.header.lower() not in usual_names:
            is_usual = False
    if is_usual:
        return {}
    return {column.role: [column.header, column.unit] for column in times.columns.values()}


def _read_header(path: Path) -> tuple[int, list[str], "Reader"]:
    """Number of lines before the header, its names, and a reader of the lines after it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; convert the table, for example with iconv"
        ) from None
    lines = list(io.StringIO(text, newline="\n"))  # LF ends a line; a quoted field may contain one
    header = 0
    while header < len(lines) and (not lines[header].strip() or lines[header].startswith("#")):
        header += 1
    if header == len(lines):
        raise UserError(
            f"{path}: empty, expected a line of column names and one line for each utterance"
        )
    delimiter = max(DELIMITERS, key=lines[header].count)
    if delimiter == "\t":
        reader = csv.reader(lines[header:], delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines[header:], delimiter=delimiter)
    try:
        names = next(reader)
    except csv.Error as error:
        raise _malformed(path, header + 1, error) from None
    return header, [name.strip() for name in names], reader


def _read_rows(path: Path, columns: Mapping[str, str]) -> Table:
    """The lines of a table, and the meaning of its columns."""
    header, table_names, reader = _read_header(path)
    times = find_times(path, header + 1, table_names, columns)
    names = _our_names(path, header + 1, table_names, columns, times)
    rows = []
    suspects = []
    for number, fields in _numbered(path, header, reader):
        if len(fields) != len(table_names):
            raise UserError(
                f"{path}:{number}: {len(fields)} fields, expected the {len(table_names)} of the "
                f"header ({', '.join(table_names)}); correct the line"
            )
        values = [field.strip() for field in fields]
        row = Row(number, dict(zip(names, values, strict=True)))
        _check_row(path, row)
        rows.append(row)
        if times.suspects:
            suspects.append((number, dict(zip(table_names, values, strict=True))))
    refuse_suspects(path, times, suspects)
    time_names = {}
    for role, column in times.columns.items():
        time_names[role] = names[table_names.index(column.header)]
    return Table(rows, names, times, time_names)


def _check_row(path: Path, row: Row) -> None:
    for name in ("path", "speaker"):
        if not row.fields[name]:
            raise UserError(
                f"{path}:{row.number}: no {name}, expected one in each line; add it, or remove the "
                "line"
            )
    if row.fields["path"].endswith("|"):
        raise UserError(
            f"{path}:{row.number}: '{row.fields['path']}' is a command, expected a file; for "
            "commands give a Kaldi directory, which has them in wav.scp"
        )


def _numbered(path: Path, header: int, reader: "Reader") -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, each with its number in the file."""
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield header + reader.line_num, fields
    except csv.Error as error:
        raise _malformed(path, header + reader.line_num, error) from None


def _malformed(path: Path, number: int, error: csv.Error) -> UserError:
    if "new-line character" in str(error):  # a CR that is not in quotes
        return UserError(
            f"{path}:{number}: a carriage return inside the line, expected LF or CR LF at its end; "
            "convert the table"
        )
    return UserError(f"{path}:{number}: {error}; correct the line")


def _our_names(
    path: Path, line: int, header: Sequence[str], columns: Mapping[str, str], times: Times
) -> list[str]:
    """Our name of each column; UserError if one is missing, comes twice or cannot be a name."""
    _check_given_columns(path, line, header, columns)
    given = {column: name for name, column in columns.items()}
    if times.cut:
        for role, column in times.columns.items():
            given[column.header] = role
    ours = {}
    for name, others in OTHER_NAMES.items():
        ours.update(dict.fromkeys([*others, name], name))
    names = []
    for name in header:
        if len(name) > MAX_LETTERS:
            raise UserError(
                f"{path}:{line}: a column of {len(name)} letters, '{name[:40]}...', expected a "
                "name; is this line the header?"
            )
        names.append(given.get(name) or _name_other(name, ours, columns, times))
    missing = [name for name in ("path", "speaker") if name not in names]
    if missing:
        raise UserError(
            f"{path}:{line}: no column {' and no column '.join(missing)} among "
            f"{', '.join(header)}, expected path and speaker; name them: "
            f'--columns "{{{missing[0]}: {header[0]}}}"'
        )
    for name in names:
        if name and names.count(name) > 1:
            raise UserError(
                f"{path}:{line}: two columns for {name} among {', '.join(header)}, expected one; "
                f'choose: --columns "{{{name}: ...}}"'
            )
    return names


def _check_given_columns(
    path: Path, line: int, header: Sequence[str], columns: Mapping[str, str]
) -> None:
    """Refuse names of --columns that we do not know, or that the table does not have."""
    for name, column in columns.items():
        if (name not in OTHER_NAMES and not is_time(name)) or column not in header:
            raise UserError(
                f"{path}:{line}: --columns {name}: {column}: expected one of "
                f"{', '.join(OTHER_NAMES)}, start, end, duration (in other units start_samples, "
                f"end_ms, ...), and a column of {', '.join(header)}"
            )


def _name_other(
    name: str, ours: Mapping[str, str], columns: Mapping[str, str], times: Times
) -> str:
    """Our name of a column that the user did not name."""
    is_taken = ours.get(name.lower()) in columns or (times.cut and plain(name) in ROLES)
    if is_taken:
        return f"{plain(name)}_column"
    return ours.get(name.lower(), plain(name))


def _utterance_id(fields: Mapping[str, str], speaker: str, times: Sequence[str]) -> str:
    """The id from the table, or from the path and the times in hundredths of a second.

    It begins with the speaker's.
    """
    given = fields.get("utterance")
    if given:
        name = plain(given, "-")
    else:
        stem = re.sub(r"\.[A-Za-z0-9]+$", "", fields["path"].strip("./"))
        name = plain(stem.replace("/", "-"), "-")
    if not name.startswith(f"{speaker}-"):
        name = f"{speaker}-{name}"
    if not given:
        for time in times:
            name += f"-{round(100 * float(time)):07d}"
    return name


def _refuse_same_file(path: Path, content: _Utterances) -> None:
    """Refuse a file that comes twice, if lines are whole files."""
    first: dict[str, str] = {}
    for utterance, file in content.files.items():
        other = first.setdefault(file, utterance)
        if other != utterance:
            raise UserError(
                f"{path}:{content.lines[utterance].number}: {file} again (first: line "
                f"{content.lines[other].number}), expected each file once, or columns start and "
                "end; remove one of the lines"
            )


def _name_recordings(path: Path, content: _Utterances) -> tuple[dict[str, str], dict[str, str]]:
    """wav.scp and segments of lines that are parts of files."""
    wav_scp: dict[str, str] = {}
    segments = {}
    for utterance, row in content.lines.items():
        stem = os.path.normpath(row.fields["path"]).strip("./")
        recording, file = plain(stem.replace("/", "-"), "-"), content.files[utterance]
        first = wav_scp.setdefault(recording, file)
        if first != file:
            raise UserError(
                f"{path}:{row.number}: {first} and {file} would both have the id '{recording}'; "
                "rename one"
            )
        segments[utterance] = " ".join([recording, *content.parts[utterance]])
    return wav_scp, segments
