"""Columns of a table that say which part of a file an utterance is: which they are, by their names, and what a line of them says in seconds.

Any two of start, end and duration say it; with all three they have to agree.  Times are seconds, unless the name of the column says otherwise
(``start_ms``, ``end_samples``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

SECONDS, MILLISECONDS, SAMPLES = "seconds", "milliseconds", "samples"
# How names of columns say the unit; times in the last ones are refused.
UNITS = {
    SECONDS: "s sec secs second seconds",
    MILLISECONDS: "ms msec msecs millis millisecond milliseconds",
    SAMPLES: "sample samples",
    "frames": "frame frames",
    "minutes": "min mins minute minutes",
    "hours": "h hr hrs hour hours",
    "microseconds": "us usec usecs microsecond microseconds",
    "nanoseconds": "ns nsec nanosecond nanoseconds",
}
UNIT_OF = {word: unit for unit, words in UNITS.items() for word in words.split()}
READ_UNITS = (SECONDS, MILLISECONDS, SAMPLES)
ROLES = {
    "start": "start starts begin begins beg onset tstart tbegin tbeg tmin xmin",
    "end": "end ends stop stops finish tend tstop tmax xmax",
    "duration": "duration durations dur length len tdur",
}
ROLE_OF = {word: role for role, words in ROLES.items() for word in words.split()}
# An end beside an onset; a start, or an addition to one (`start_offset`), otherwise.
OFFSET = "offset"
PAIRS = (("from", "to"), ("in", "out"), ("t0", "t1"), ("t1", "t2"))  # times where both are there
# Words beside those above that leave the meaning of a column as it is.
FILLERS = {
    "time",
    "times",
    "timestamp",
    "timestamps",
    "segment",
    "seg",
    "utterance",
    "utt",
    "clip",
    "chunk",
    "audio",
    "speech",
    "voice",
    "wav",
    "file",
    "recording",
    "total",
    "num",
    "number",
    "n",
    "of",
    "at",
    "in",
}
# A column with one of these words describes something else.
OTHER_MATTERS = {
    "rate",
    "hz",
    "khz",
    "frequency",
    "id",
    "index",
    "rank",
    "type",
    "kind",
    "name",
    "label",
    "date",
    "day",
    "month",
    "year",
    "age",
    "cm",
    "mm",
    "inch",
}
# The length of these is none of sound.
OTHER_LENGTHS = {
    "text",
    "sentence",
    "transcript",
    "word",
    "words",
    "char",
    "chars",
    "character",
    "characters",
    "letters",
    "tokens",
    "phones",
    "phonemes",
}
# Names with one of these sound like times, whatever else they say.
TOLD = {*ROLE_OF, OFFSET, "time", "times", "timestamp", "timestamps", *UNIT_OF} - {
    "h",
    "s",
    "min",
    "us",
}
COUNTED = {"samples", "frames", "seconds", "milliseconds"}  # alone: a duration in them
IDS = ("sample", "frame")  # alone: which one it is
FREE = "info_"  # begins names of columns that are no times, whatever else they say
JOINED = re.compile(
    r"(time|t)?(start|begin|onset|offset|end|stop|duration|dur|length|len)(time|sec|secs|seconds|ms|samples?)"
)
CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{0,12})?)")
NUMBER = re.compile(r"([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})(e-?[0-9]{1,2})?", re.IGNORECASE)
TO_THE_END = Decimal(-1)


class TimeColumn(NamedTuple):
    """A column of times.

    Attributes
    ----------
    header : str
        Its name in the table.
    role : str
        start, end or duration.
    unit : str
        One of `UNITS`.
    """

    header: str
    role: str
    unit: str


class Stated(NamedTuple):
    """A duration that a line states besides the times that say which part it is.

    Attributes
    ----------
    number : int
        Of the line.
    column : TimeColumn
        Where it stands.
    seconds : float
        The duration.
    tolerance_seconds : float
        How much it may be off, by how it is rounded.
    """

    number: int
    column: TimeColumn
    seconds: float
    tolerance_seconds: float


@dataclass(frozen=True)
class Times:
    """The columns of times of a table.

    Attributes
    ----------
    columns : dict of str to TimeColumn
        By role.
    suspects : tuple of str
        Columns whose names have a word of times, and that are none of these.
    """

    columns: Mapping[str, TimeColumn] = field(default_factory=dict)
    suspects: tuple[str, ...] = ()

    @property
    def cut(self) -> bool:
        """Whether lines say a part of a file; a duration alone does not."""
        return "start" in self.columns or "end" in self.columns

    @property
    def need_rates(self) -> bool:
        """Whether some are in samples, which takes the files' sample rates."""
        return any(column.unit == SAMPLES for column in self.columns.values())

    def in_words(self) -> str:
        """How the parts are read, for the user."""
        return ", ".join(
            f"{role} from '{column.header}' in {column.unit}"
            for role, column in sorted(self.columns.items(), key=_by_role)
        )


def find_times(path: Path, line: int, header: Sequence[str], given: Mapping[str, str]) -> Times:
    """Which columns of a table are times.

    Parameters
    ----------
    path, line : path, int
        Where the header stands, for messages.
    header : sequence of str
        Names of the columns.
    given : mapping of str to str
        What we call a column -> its name in the table, of those that the user named: ``start``, ``end_samples``, ``duration_ms``.

    Raises
    ------
    UserError
        Two columns say the same.
    """
    roles = {column: known for name, column in given.items() if (known := _role_of_name(name))}
    others = {column for name, column in given.items() if column not in roles}
    found = [
        TimeColumn(name, *known)
        for name in header
        if name not in others and (known := roles.get(name) or _role_of_name(name, header))
    ]
    columns: dict[str, TimeColumn] = {}
    chosen = {role for role, _ in roles.values()}
    for column in found:
        if column.role in chosen and column.header not in roles:
            continue
        other = columns.setdefault(column.role, column)
        if other is not column:
            raise UserError(
                f"{path}:{line}: two columns for {column.role}, '{other.header}' and '{column.header}'; "
                f'remove one, call it {FREE}{column.header}, or choose: --columns "{{{column.role}: {other.header}}}"'
            )
    taken = {column.header for column in found} | others
    suspects = tuple(name for name in header if name not in taken and _sounds_like_time(name))
    return Times(columns, suspects)


def is_time(name: str) -> bool:
    """Whether a name is one of a column of times, with or without a unit.

    Parameters
    ----------
    name : str
        As in ``--columns``.
    """
    return _role_of_name(name) is not None


def _words_of(name: str) -> list[str]:
    """The words of a column's name, in small letters: ``startTime (ms)`` has three."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = []
    for word in re.findall(r"[a-z]+[01]?(?![0-9])|[0-9]+|[a-z]+", spaced.lower()):
        joined = JOINED.fullmatch(word)
        words += (
            [part for part in joined.groups() if part] if joined and word not in ROLE_OF else [word]
        )
    return words


def _role_of_name(name: str, header: Iterable[str] = ()) -> tuple[str, str] | None:
    """Role and unit that a column's name says; None: it says none."""
    words = _words_of(name)
    if _is_of_other_matters(name, words):
        return None
    names = {other.lower() for other in header}
    pair = next((pair for pair in PAIRS if names.issuperset(pair)), ())
    if name.lower() in pair:
        return ("start", "end")[pair.index(name.lower())], SECONDS
    whole = ROLE_OF.get("".join(words))
    if whole:
        return whole, SECONDS
    units = [UNIT_OF[word] for word in words if word in UNIT_OF]
    rest = [word for word in words if word not in UNIT_OF and word not in FILLERS]
    unit = units[0] if units else SECONDS
    if len(rest) > 1 and OFFSET in rest:  # start_offset
        rest.remove(OFFSET)
    core = "".join(rest)
    if core == OFFSET:
        return ("end" if any("onset" in _words_of(other) for other in header) else "start"), unit
    if core in ROLE_OF:
        return ROLE_OF[core], unit
    return ("duration", unit) if not core and COUNTED.intersection(words) else None


def _is_of_other_matters(name: str, words: Sequence[str]) -> bool:
    if name.lower().startswith(FREE) or OTHER_MATTERS.intersection(words):
        return True
    bounds = {"start", "end"}.intersection(ROLE_OF.get(word, "") for word in words)
    return bool(OTHER_LENGTHS.intersection(words)) and not bounds and OFFSET not in words


def _sounds_like_time(name: str) -> bool:
    words = _words_of(name)
    if _is_of_other_matters(name, words) or name.lower() in IDS:
        return False
    return bool(TOLD.intersection(words)) or any(name.lower() in pair for pair in PAIRS)


def refuse_suspects(
    path: Path, times: Times, lines: Iterable[tuple[int, Mapping[str, str]]]
) -> None:
    """Refuse columns that may be times and are not read as such: they would pass as descriptions, and other sound would be used.

    Parameters
    ----------
    path : path
        The table.
    times : Times
        Of its header.
    lines : iterable of (int, mapping of str to str)
        Number and fields of each line, by the names of the header.

    Raises
    ------
    UserError
        Names the column and the first line.
    """
    if len(times.columns) == 1 and times.cut:
        (column,) = times.columns.values()
        partner, empty = (
            ("end", "to the end of the file")
            if column.role == "start"
            else ("start", "from its start")
        )
        raise UserError(
            f"{path}: column '{column.header}' is the {column.role} of a part, and no other says its {partner} or duration; add a column {partner} "
            f"(empty: {empty}) or duration, or call it {FREE}{column.header} if whole files are meant"
        )
    for column in times.columns.values():
        if column.unit not in READ_UNITS:
            raise UserError(
                f"{path}: column '{column.header}' is in {column.unit}, expected seconds, milliseconds or samples: convert it and call it "
                f"{column.role}, {column.role}_ms or {column.role}_samples, or {FREE}{column.header} if it is no time"
            )
    pending = set(times.suspects)
    first: dict[str, tuple[int, str]] = {}
    for number, fields in lines:
        for name in list(pending):
            value = fields[name]
            if value and _number(value) is None:
                pending.discard(name)
            elif value:
                first.setdefault(name, (number, value))
    for name in times.suspects:
        if name in pending and name in first:
            number, value = first[name]
            raise UserError(
                f"{path}:{number}: column '{name}' ('{value}') looks like times, and it is not known which; call it start, end or duration "
                f"(in samples start_samples, in milliseconds start_ms, ...), or {FREE}{name} if it says nothing of which part of a file is meant"
            )


def _number(text: str) -> Decimal | None:
    """A plain number or a clock (1:02:03.5) as a number; None: it is neither."""
    if NUMBER.fullmatch(text):
        return Decimal(text)
    clock = CLOCK.fullmatch(text)
    if not clock or Decimal(clock[3]) >= 60:
        return None
    return 3600 * Decimal(clock[1] or 0) + 60 * Decimal(clock[2]) + Decimal(clock[3])


def part_of_file(
    path: Path, number: int, fields: Mapping[str, str], times: Times, sample_rate_hz: int | None
) -> tuple[str, str, Stated | None]:
    """Which part of its file a line means.

    Parameters
    ----------
    path, number : path, int
        The table and the line, for messages.
    fields : mapping of str to str
        Role -> what stands there; may be empty: from the start, or to the end.
    times : Times
        Of the header.
    sample_rate_hz : int or None
        Of the file; None where no column is in samples.

    Returns
    -------
    start, end : str
        Seconds, an end of -1 for that of the file.
    stated : Stated or None
        The duration, where it stands there besides start and end or alone: to be compared with the sound.

    Raises
    ------
    UserError
        Something is no time, or the part is none.
    """
    values = {}
    for role, column in times.columns.items():
        text = fields[role]
        if text and (text != "-1" or role == "start"):
            values[role] = _seconds(path, number, column, text, sample_rate_hz)
    duration = values.get("duration")
    stated = None
    if duration is not None and (len(values) == 3 or not times.cut):
        stated = _stated(
            number, times.columns["duration"], fields["duration"], duration, sample_rate_hz
        )
    start, end = values.get("start"), values.get("end")
    if times.cut and duration is not None and end is None:
        end = (start or Decimal(0)) + duration
    if duration is not None and start is None and "start" not in times.columns and end is not None:
        start = end - duration
    start = Decimal(0) if start is None else start
    if start < 0 or (end is not None and end <= start):
        said = " and ".join(
            f"{column.header} '{fields[role]}'"
            for role, column in sorted(times.columns.items(), key=_by_role)
        )
        raise UserError(
            f"{path}:{number}: {said}, expected seconds with 0 <= start < end; mend the line"
            if set(times.columns) <= {"start", "end"}
            else f"{path}:{number}: {said}, expected a part that begins at 0 or later and lasts more than 0 seconds; mend the line"
        )
    return (
        _text(fields, times, "start", start),
        _text(fields, times, "end", TO_THE_END if end is None else end),
        stated,
    )


def _by_role(item: tuple[str, TimeColumn]) -> int:
    return list(ROLES).index(item[0])


def _seconds(
    path: Path, number: int, column: TimeColumn, text: str, sample_rate_hz: int | None
) -> Decimal:
    value = _number(text)
    whole = value is not None and value == value.to_integral_value()
    if value is None or (column.unit == SAMPLES and not whole):
        raise UserError(
            f"{path}:{number}: {column.header} '{text}', expected {'a whole number of ' if column.unit == SAMPLES else ''}{column.unit} "
            "from 0 on, with a point for decimals; mend the line"
        )
    if column.unit == SAMPLES:
        assert sample_rate_hz is not None  # `need_rates`
        return value / sample_rate_hz
    return value / 1000 if column.unit == MILLISECONDS else value


def _stated(
    number: int, column: TimeColumn, text: str, seconds: Decimal, sample_rate_hz: int | None
) -> Stated:
    """A duration with what its rounding, and that of a start and an end, may make it off."""
    places = (
        len(text.partition(".")[2]) if NUMBER.fullmatch(text) and "e" not in text.lower() else 2
    )
    unit_seconds = {SECONDS: 1.0, MILLISECONDS: 0.001, SAMPLES: 1 / (sample_rate_hz or 1)}[
        column.unit
    ]
    return Stated(number, column, float(seconds), max(0.02, 1.5 * unit_seconds * 10**-places))


def _text(fields: Mapping[str, str], times: Times, role: str, seconds: Decimal) -> str:
    """Seconds as segments have them: as they stand in the table, where they do."""
    column = times.columns.get(role)
    if column and column.unit == SECONDS and re.fullmatch(r"[0-9.]+", fields[role]):
        return fields[role]
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def refuse_other_durations(
    path: Path,
    stated: Mapping[str, Stated],
    utt2dur: Mapping[str, str],
    recording_seconds: Mapping[str, float],
) -> None:
    """Refuse a table whose durations are neither those of the parts nor those of the files.

    Parameters
    ----------
    path : path
        The table.
    stated : mapping of str to Stated
        Of utterances, from `part_of_file`.
    utt2dur : mapping of str to str
        Seconds of each utterance that can be used.
    recording_seconds : mapping of str to float
        Seconds of the whole file of each utterance.

    Raises
    ------
    UserError
        Names the first line.
    """
    for utterance, (number, column, seconds, tolerance) in stated.items():
        if utterance not in utt2dur:
            continue
        part, whole = float(utt2dur[utterance]), recording_seconds[utterance]
        # of a file: decoders of compressed sound differ by that much
        if abs(seconds - part) <= tolerance or abs(seconds - whole) <= tolerance + 0.1:
            continue
        is_part = f"the part that start and end say lasts {part:g} s, " if part != whole else ""
        raise UserError(
            f"{path}:{number}: {column.header} says {seconds:g} s, but {is_part}the file lasts {whole:g} s; mend the line; if a part is meant, "
            f"add a column start; if '{column.header}' is no duration in {column.unit}, call it {FREE}{column.header}"
        )
