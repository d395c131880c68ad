"""Columns of a table with the times of utterances in files: recognised by name, read as seconds.

Two of start, end and duration define a part of a file; with all three they have to agree. Times
are in seconds, unless the name of the column has another unit (``start_ms``, ``end_samples``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

SECONDS, MILLISECONDS, SAMPLES = "seconds", "milliseconds", "samples"
# Words for units in names of columns; times in units other than READ_UNITS are refused.
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
UNIT_BY_WORD = {word: unit for unit, words in UNITS.items() for word in words.split()}
READ_UNITS = (SECONDS, MILLISECONDS, SAMPLES)
ROLES = {
    "start": "start starts begin begins beg onset tstart tbegin tbeg tmin xmin",
    "end": "end ends stop stops finish tend tstop tmax xmax",
    "duration": "duration durations dur length len tdur",
}
ROLE_BY_WORD = {word: role for role, words in ROLES.items() for word in words.split()}
# An end if there is an onset; else a start, or part of its name (`start_offset`).
OFFSET = "offset"
PAIRS = (("from", "to"), ("in", "out"), ("t0", "t1"), ("t1", "t2"))  # times if both exist


def _split_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that do not change the meaning of a column.
FILLERS = _split_words(
    """
    time times timestamp timestamps segment seg utterance utt clip chunk audio speech voice
    wav file recording total num number n of at in
    """
)
# A column with one of these words describes something else.
OTHER_SUBJECTS = _split_words(
    """
    rate hz khz frequency id index rank type kind name label date day month year age cm mm
    inch
    """
)
# The length of these is not a time.
OTHER_LENGTHS = _split_words(
    """
    text sentence transcript word words char chars character characters letters tokens phones
    phonemes
    """
)
# Names with one of these words look like times.
TIME_WORDS = {*ROLE_BY_WORD, OFFSET, "time", "times", "timestamp", "timestamps", *UNIT_BY_WORD} - {
    "h",
    "s",
    "min",
    "us",
}
COUNTED = {"samples", "frames", "seconds", "milliseconds"}  # alone: a duration in them
IDS = ("sample", "frame")  # alone: an id
FREE = "info_"  # prefix of names of columns that are no times
JOINED = re.compile(
    r"(time|t)?(start|begin|onset|offset|end|stop|duration|dur|length|len)"
    r"(time|sec|secs|seconds|ms|samples?)"
)
CLOCK = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,4}):([0-9]{1,2}(?:\.[0-9]{0,12})?)")
NUMBER = re.compile(r"([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})(e-?[0-9]{1,2})?", re.IGNORECASE)
TO_THE_END = Decimal(-1)


class TimeColumn(NamedTuple):
    """A column of times: its name in the table, its role (start, end, duration), one of `UNITS`."""

    header: str
    role: str
    unit: str


class StatedDuration(NamedTuple):
    """A duration that a line has besides the times of its part: line, column, value, tolerance.

    The tolerance comes from the rounding of the times.
    """

    number: int
    column: TimeColumn
    seconds: float
    tolerance_seconds: float


@dataclass(frozen=True)
class Times:
    """Columns of times by role, and ``suspects``: other columns whose names look like times."""

    columns: Mapping[str, TimeColumn] = field(default_factory=dict)
    suspects: tuple[str, ...] = ()

    @property
    def cut(self) -> bool:
        """Whether lines are parts of files; a duration alone does not make them so."""
        return "start" in self.columns or "end" in self.columns

    @property
    def need_rates(self) -> bool:
        """Whether some times are in samples, so that the files' sample rates are needed."""
        return any(column.unit == SAMPLES for column in self.columns.values())

    def in_order(self) -> list[TimeColumn]:
        """The columns in the order start, end, duration."""
        return [self.columns[role] for role in ROLES if role in self.columns]

    def describe(self) -> str:
        """How the parts are read, for the user."""
        return ", ".join(
            f"{column.role} from '{column.header}' in {column.unit}" for column in self.in_order()
        )


def find_times(path: Path, line: int, header: Sequence[str], given: Mapping[str, str]) -> Times:
    """The columns of times of a table whose header is at ``path``, ``line``.

    ``given`` has the columns that the user named: our name (``start``, ``end_samples``,
    ``duration_ms``) -> name in the table. UserError: two columns have the same role.
    """
    roles = {}
    for name, column in given.items():
        if meaning := _read_name(name):
            roles[column] = meaning
    others = {column for column in given.values() if column not in roles}
    context = _read_header(header)
    candidates = []
    for name in header:
        if name in others:
            continue
        if meaning := roles.get(name) or _read_name(name, context):
            candidates.append(TimeColumn(name, *meaning))
    given_roles = {role for role, _ in roles.values()}
    columns: dict[str, TimeColumn] = {}
    for candidate in candidates:
        if candidate.role in given_roles and candidate.header not in roles:
            continue
        other = columns.setdefault(candidate.role, candidate)
        if other is not candidate:
            raise UserError(
                f"{path}:{line}: two columns for {candidate.role}, '{other.header}' and "
                f"'{candidate.header}', expected one; remove one, call it "
                f"{FREE}{candidate.header}, or choose: "
                f'--columns "{{{candidate.role}: {other.header}}}"'
            )
    known = {candidate.header for candidate in candidates} | others
    suspects = [name for name in header if name not in known and _looks_like_time(name)]
    return Times(columns, tuple(suspects))


def is_time(name: str) -> bool:
    """Whether a name, as in ``--columns``, is that of a column of times, with or without a unit."""
    return _read_name(name) is not None


def _split_name(name: str) -> list[str]:
    """The words of a column's name in small letters: ``startTime (ms)`` has three."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = []
    for word in re.findall(r"[a-z]+[01]?(?![0-9])|[0-9]+|[a-z]+", spaced.lower()):
        joined = JOINED.fullmatch(word)
        if joined and word not in ROLE_BY_WORD:
            words += [part for part in joined.groups() if part]
        else:
            words.append(word)
    return words


class _Context(NamedTuple):
    """What the other columns say about the name of one."""

    paired_roles: Mapping[str, str] = {}  # of the first of `PAIRS` that is complete
    has_onset: bool = False


def _read_header(header: Sequence[str]) -> _Context:
    names = {name.lower() for name in header}
    paired_roles: dict[str, str] = {}
    for start, end in PAIRS:
        if start in names and end in names:
            paired_roles = {start: "start", end: "end"}
            break
    return _Context(paired_roles, any("onset" in _split_name(name) for name in header))


def _read_name(name: str, context: _Context | None = None) -> tuple[str, str] | None:
    """Role and unit in the name of a column; None if it is not one of times."""
    context = context or _Context()
    words = _split_name(name)
    if _has_other_subject(name, words):
        return None
    paired_role = context.paired_roles.get(name.lower())
    if paired_role:
        return paired_role, SECONDS
    whole = ROLE_BY_WORD.get("".join(words))
    if whole:
        return whole, SECONDS
    units = [UNIT_BY_WORD[word] for word in words if word in UNIT_BY_WORD]
    unit = SECONDS
    if units:
        unit = units[0]
    rest = [word for word in words if word not in UNIT_BY_WORD and word not in FILLERS]
    if len(rest) > 1 and OFFSET in rest:  # start_offset
        rest.remove(OFFSET)
    core = "".join(rest)
    if core == OFFSET:
        if context.has_onset:
            return "end", unit
        return "start", unit
    if core in ROLE_BY_WORD:
        return ROLE_BY_WORD[core], unit
    if not core and COUNTED.intersection(words):
        return "duration", unit
    return None


def _has_other_subject(name: str, words: Sequence[str]) -> bool:
    """Whether a column is no time, by its words or by its prefix."""
    if name.lower().startswith(FREE) or OTHER_SUBJECTS.intersection(words):
        return True
    has_bound = OFFSET in words or any(ROLE_BY_WORD.get(word) in ("start", "end") for word in words)
    return bool(OTHER_LENGTHS.intersection(words)) and not has_bound


def _looks_like_time(name: str) -> bool:
    words = _split_name(name)
    if _has_other_subject(name, words) or name.lower() in IDS:
        return False
    return bool(TIME_WORDS.intersection(words)) or any(name.lower() in pair for pair in PAIRS)


def refuse_suspects(
    path: Path, times: Times, lines: Iterable[tuple[int, Mapping[str, str]]]
) -> None:
    """Raise UserError for columns that may be times and are not read as such.

    Taken for descriptions, they would be ignored, and other audio than meant would be used.
    ``lines`` has number and fields of each line, by the names in the table.
    """
    _refuse_single_bound(path, times)
    for column in times.columns.values():
        if column.unit not in READ_UNITS:
            raise UserError(
                f"{path}: column '{column.header}' is in {column.unit}, expected seconds, "
                f"milliseconds or samples: convert it and call it {column.role}, {column.role}_ms "
                f"or {column.role}_samples, or {FREE}{column.header} if it is not a time"
            )
    pending = set(times.suspects)
    first: dict[str, tuple[int, str]] = {}
    for number, fields in lines:
        for name in list(pending):
            value = fields[name]
            if not value:
                continue
            if _to_number(value) is None:
                pending.discard(name)
            else:
                first.setdefault(name, (number, value))
    for name in times.suspects:
        if name in pending and name in first:
            number, value = first[name]
            raise UserError(
                f"{path}:{number}: column '{name}' ('{value}') looks like times, expected a name "
                "that says which; call it start, end or duration (in samples start_samples, in "
                f"milliseconds start_ms, ...), or {FREE}{name} if it is not the time of a part"
            )


def _refuse_single_bound(path: Path, times: Times) -> None:
    """Refuse a start without an end or duration, and an end without a start or duration."""
    if len(times.columns) != 1 or not times.cut:
        return
    (column,) = times.columns.values()
    partner, empty = "start", "from the start of the file"
    if column.role == "start":
        partner, empty = "end", "to the end of the file"
    raise UserError(
        f"{path}: column '{column.header}' is the {column.role} of a part, and no other is its "
        f"{partner} or duration; add a column {partner} (empty: {empty}) or duration, or call it "
        f"{FREE}{column.header} if whole files are meant"
    )


def _to_number(text: str) -> Decimal | None:
    """A plain number, or a clock time (1:02:03.5) in seconds; None if it is neither."""
    if NUMBER.fullmatch(text):
        return Decimal(text)
    clock = CLOCK.fullmatch(text)
    if not clock or Decimal(clock[3]) >= 60:
        return None
    return 3600 * Decimal(clock[1] or 0) + 60 * Decimal(clock[2]) + Decimal(clock[3])


def read_part(
    path: Path, number: int, fields: Mapping[str, str], times: Times, sample_rate_hz: int | None
) -> tuple[str, str, StatedDuration | None]:
    """The part of its file that a line means.

    ``fields`` has role -> field; an empty one is the start or end of the file. ``sample_rate_hz``
    is needed for times in samples. Returns start and end in seconds (end -1: that of the file), and
    the duration if it is given besides start and end, or alone, to be compared with the audio.
    UserError: a field is not a time, or the part is impossible.
    """
    values = {}
    for role, column in times.columns.items():
        text = fields[role]
        if text and (text != "-1" or role == "start"):
            values[role] = _to_seconds(path, number, column, text, sample_rate_hz)
    start, end, duration = values.get("start"), values.get("end"), values.get("duration")
    stated = None
    if duration is not None:
        if len(values) == 3 or not times.cut:
            stated = _state_duration(
                number, times.columns["duration"], fields["duration"], duration, sample_rate_hz
            )
        if times.cut and end is None:
            end = (start or Decimal(0)) + duration
        if start is None and "start" not in times.columns and end is not None:
            start = end - duration
    if start is None:
        start = Decimal(0)
    if start < 0 or (end is not None and end <= start):
        raise _impossible_part(path, number, fields, times)
    if end is None:
        end = TO_THE_END
    return _to_text(fields, times, "start", start), _to_text(fields, times, "end", end), stated


def _impossible_part(path: Path, number: int, fields: Mapping[str, str], times: Times) -> UserError:
    given = " and ".join(f"{column.header} '{fields[column.role]}'" for column in times.in_order())
    expected = "seconds with 0 <= start < end"
    if "duration" in times.columns:
        expected = "a part that begins at 0 or later and lasts more than 0 seconds"
    return UserError(f"{path}:{number}: {given}, expected {expected}; correct the line")


def _to_seconds(
    path: Path, number: int, column: TimeColumn, text: str, sample_rate_hz: int | None
) -> Decimal:
    value = _to_number(text)
    is_whole = value is not None and value == value.to_integral_value()
    if value is None or (column.unit == SAMPLES and not is_whole):
        kind = column.unit
        if column.unit == SAMPLES:
            kind = "a whole number of samples"
        raise UserError(
            f"{path}:{number}: {column.header} '{text}', expected {kind} from 0 on, with a point "
            "for decimals; correct the line"
        )
    if column.unit == SAMPLES:
        assert sample_rate_hz is not None  # `need_rates`
        return value / sample_rate_hz
    if column.unit == MILLISECONDS:
        return value / 1000
    return value


def _state_duration(
    number: int, column: TimeColumn, text: str, seconds: Decimal, sample_rate_hz: int | None
) -> StatedDuration:
    """A duration, with the tolerance for its rounding and for that of a start and an end."""
    decimals = 2
    if NUMBER.fullmatch(text) and "e" not in text.lower():
        decimals = len(text.partition(".")[2])
    unit_seconds = {SECONDS: 1.0, MILLISECONDS: 0.001, SAMPLES: 1 / (sample_rate_hz or 1)}
    tolerance_seconds = max(0.02, 1.5 * unit_seconds[column.unit] * 10**-decimals)
    return StatedDuration(number, column, float(seconds), tolerance_seconds)


def _to_text(fields: Mapping[str, str], times: Times, role: str, seconds: Decimal) -> str:
    """Seconds for segments: as in the table, if they are plain seconds there."""
    column = times.columns.get(role)
    if column and column.unit == SECONDS and re.fullmatch(r"[0-9.]+", fields[role]):
        return fields[role]
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def refuse_other_durations(
    path: Path,
    stated: Mapping[str, StatedDuration],
    utt2dur: Mapping[str, str],
    recording_seconds: Mapping[str, float],
) -> None:
    """Raise UserError if a stated duration is neither that of the part nor that of the file.

    ``utt2dur`` and ``recording_seconds`` have the utterances that can be used: seconds of the part
    and of the whole file.
    """
    for utterance, (number, column, seconds, tolerance) in stated.items():
        if utterance not in utt2dur:
            continue
        part, whole = float(utt2dur[utterance]), recording_seconds[utterance]
        # Decoders of compressed audio differ by 0.1 s in the duration of a file.
        if abs(seconds - part) <= tolerance or abs(seconds - whole) <= tolerance + 0.1:
            continue
        actual = f"the file lasts {whole:g} s"
        if part != whole:
            actual = f"the part from start to end lasts {part:g} s, {actual}"
        raise UserError(
            f"{path}:{number}: {column.header} is {seconds:g} s, but {actual}; correct the line; "
            f"if a part is meant, add a column start; if '{column.header}' is not a duration in "
            f"{column.unit}, call it {FREE}{column.header}"
        )
