"""The rules of a data directory: order and values of each list, then coverage, speakers and trials.

The rules are those of Kaldi's validate_data_dir.sh, so that its tools read what passes here: every
list in byte order with one line per id; every list that is keyed by utterance, speaker or recording
covers exactly the utterances of utt2spk, their speakers, or the recordings of segments; utt2spk in
the order of its speakers too.

Three differences: text and feats.scp are not required, and feats.scp may replace wav.scp; vad.scp,
utt2num_frames and, beside a wav.scp, feats.scp may lack utterances, since the steps that make them
record unreadable ones in a ledger and drop them (packing then drops those from every list); and
trials, enroll.spk2utt, every utt2* and spk2* list, pipes and the syntax of numbers are checked,
which Kaldi does not.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, pairwise
from operator import lt, ne

import numpy as np

from utils.data_dir.formats import FIX, Fault, Tables
from utils.data_dir.trial_rules import trial_faults

POSITIVE = {"utt2dur": "seconds", "reco2dur": "seconds", "utt2num_frames": "frames"}
PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
QUOTES = "\"'`"
QUOTED_BAR = re.compile(r"\|[ \t]*[\"'`]+$")
TO_THE_END = -1  # of the recording, as Kaldi's extract-segments reads the end of a segment
MAY_LACK_UTTERANCES = {"vad.scp", "feats.scp", "utt2num_frames"}
OWNERS = {"utterance": "utt2spk", "speaker": "utt2spk", "recording": "segments"}  # of the ids
REMEDY = f"add it there or remove it here ({FIX})"
REMEDY_WITH_TRIALS = ", and its trials and enrolment models"


def may_lack_utterances(file: str, files: Iterable[str]) -> bool:
    """Whether a list may lack utterances; feats.scp may if ``files`` contain wav.scp."""
    is_source = file == "feats.scp" and "wav.scp" not in files
    return file in MAY_LACK_UTTERANCES and not is_source


def rule_faults(tables: Tables, allow_pipes: bool) -> Iterator[Fault]:
    """The faults of the well-formed lists of a data directory: within a list, then between lists.

    ``allow_pipes``: accept entries of wav.scp that run a command.
    """
    for file, columns in tables.items():
        if file != "trials":
            yield from order_faults(file, columns[0])
        yield from _value_faults(file, columns, allow_pipes)
    if "utt2spk" in tables:
        yield from _coverage_faults(tables)
        yield from _speaker_faults(tables)
        yield from trial_faults(tables)


def is_ascending(keys: Sequence[str]) -> bool:
    """Whether each key is larger than the one before."""
    return all(map(lt, keys, keys[1:]))


def _first_descent(keys: Sequence[str]) -> int | None:
    """Line number of the first key that is smaller than the one before."""
    for number, (before, key) in enumerate(pairwise(keys), start=2):
        if key < before:
            return number
    return None


def order_faults(file: str, keys: Sequence[str]) -> Iterator[Fault]:
    """The first id that is out of byte order, and repeated ids."""
    if is_ascending(keys):
        return
    if number := _first_descent(keys):
        yield Fault(
            file,
            number,
            f"'{keys[number - 1]}' after '{keys[number - 2]}', "
            f"expected byte order (LC_ALL=C sort); {FIX}",
        )
    first: dict[str, int] = {}
    for number, key in enumerate(keys, start=1):
        if first.setdefault(key, number) != number:
            yield Fault(
                file,
                number,
                f"'{key}' again, expected one line per id (the first is line {first[key]}); "
                "remove one of them",
            )


def _value_faults(
    file: str, columns: Sequence[Sequence[str]], allow_pipes: bool
) -> Iterator[Fault]:
    """Impossible durations, times, sexes; pipes."""
    if file in POSITIVE:
        yield from _duration_faults(file, columns[1])
    elif file == "segments":
        yield from _segment_faults(file, columns)
    elif file == "spk2gender" and not set(columns[1]) <= {"m", "f"}:
        for number, value in enumerate(columns[1], start=1):
            if value not in ("m", "f"):
                yield Fault(file, number, f"'{value}', expected m or f; correct it")
    elif file == "wav.scp":
        for number, value in enumerate(columns[1], start=1):
            if text := _path_fault(value, allow_pipes):
                yield Fault(file, number, text)


def _duration_faults(file: str, values: Sequence[str]) -> Iterator[Fault]:
    amounts = _parse_numbers(values)
    bad = ~((amounts > 0) & (amounts < np.inf))
    if file == "utt2num_frames":
        bad |= amounts != np.floor(amounts)
    for row in np.flatnonzero(bad).tolist():
        yield Fault(
            file,
            row + 1,
            f"'{values[row]}' {POSITIVE[file]}, expected a positive number; "
            "correct it or remove the utterance",
        )


def _segment_faults(file: str, columns: Sequence[Sequence[str]]) -> Iterator[Fault]:
    starts, ends = _parse_numbers(columns[2]), _parse_numbers(columns[3])
    has_end = (starts < ends) & (ends < np.inf) | (ends == TO_THE_END)
    bad = ~((starts >= 0) & has_end)
    for row in np.flatnonzero(bad).tolist():
        yield Fault(
            file,
            row + 1,
            f"start '{columns[2][row]}' and end '{columns[3][row]}', "
            "expected seconds with 0 <= start < end, or an end of -1; "
            "correct the segment or remove it",
        )


def _path_fault(value: str, allow_pipes: bool) -> str:
    """The fault of a value of wav.scp; empty if it has none."""
    last = value[-1]
    if last == "|" and not allow_pipes:
        return (
            f"pipe '{value}', expected a path or archive:offset; "
            "it runs a command of whoever wrote the list: --allow-pipes if you trust them"
        )
    if last in QUOTES and QUOTED_BAR.search(value):
        return (
            f"'{value}': a quote after the bar, expected the bar of a pipe at the end of the line; "
            "remove the quotes"
        )
    if value[0] in "~|":
        return f"'{value}', expected a path that can be opened without a shell; write it in full"
    return ""


def _parse_numbers(words: Sequence[str]) -> np.ndarray:
    """Plain decimal numbers as floats; NaN for anything else."""
    text = "".join(words)
    if text.isascii() and "_" not in text:
        try:
            return np.array(list(map(float, words)))
        except ValueError:
            pass
    return np.array([float(word) if PLAIN_NUMBER.fullmatch(word) else np.nan for word in words])


def key_kind(file: str, files: Iterable[str]) -> str:
    """Kind of the keys of a list: utterance, speaker, recording, model or trial.

    wav.scp has utterances unless ``files``, the names of all lists, contain segments.
    """
    if file == "trials":
        return "trial"
    if file == "enroll.spk2utt":
        return "model"
    if file.startswith("reco2") or file == "wav.scp":
        return "recording" if "segments" in files else "utterance"
    if file.startswith("spk2") or file == "cmvn.scp":
        return "speaker"
    return "utterance"


def _coverage_faults(tables: Tables) -> Iterator[Fault]:
    """Ids that one list has and another lacks."""
    needed: set[str] | None = None
    for fault, kind, key in _missing_ids(tables):
        if fault.file == OWNERS[kind]:  # `fix` would remove it there
            if needed is None:
                needed = _needed_by_trials(tables)
            if not needed.isdisjoint(_removed_with(tables, kind, key)):
                fault = fault._replace(text=fault.text.replace(f" ({FIX})", REMEDY_WITH_TRIALS))
        yield fault


def _missing_ids(tables: Tables) -> Iterator[tuple[Fault, str, str]]:
    """As `_coverage_faults`, each with the kind of the id and the id; the remedy is `fix`."""
    utterances, speakers = tables["utt2spk"]
    for file in tables:
        kind, keys = key_kind(file, tables), tables[file][0]
        if file != "utt2spk" and kind == "utterance":
            may_lack = may_lack_utterances(file, tables)
            yield from _difference(kind, utterances, file, keys, may_lack)
        if file != "spk2utt" and kind == "speaker":
            yield from _difference(kind, speakers, file, keys)
        if "segments" in tables and kind == "recording":
            yield from _difference(kind, tables["segments"][1], file, keys)


def _difference(
    kind: str, wanted: Sequence[str], file: str, keys: Sequence[str], may_lack: bool = False
) -> Iterator[tuple[Fault, str, str]]:
    """Ids that only one of two lists has: the one that defines ids of this kind, and another."""
    if wanted == keys:
        return
    owner = OWNERS[kind]
    remedy = REMEDY
    if set(wanted).isdisjoint(keys):
        remedy = "are these lists of one data directory?"
    if not may_lack:
        for number, key in _only_in(wanted, keys):
            yield _coverage_fault(owner, number, kind, key, file, remedy), kind, key
    for number, key in _only_in(keys, wanted):
        yield _coverage_fault(file, number, kind, key, owner, remedy), kind, key


def _coverage_fault(file: str, number: int, kind: str, key: str, other: str, remedy: str) -> Fault:
    return Fault(
        file,
        number,
        f"{kind} '{key}' is not in {other}, expected the same {kind}s in both; {remedy}",
    )


def _needed_by_trials(tables: Tables) -> set[str]:
    """All names in trials and enrolment models: only the owner may remove them."""
    _, members = tables.get("enroll.spk2utt", [[], []])
    enrol, test, *_ = tables.get("trials", [[], []])
    needed = {*enrol, *test}
    for line in members:
        needed.update(line.split())
    return needed


def _removed_with(tables: Tables, kind: str, key: str) -> set[str]:
    """Utterances and speakers that are removed with an id."""
    if kind == "utterance":
        return {key}
    utterances, names = tables[OWNERS[kind]][:2]
    removed = {utt for utt, name in zip(utterances, names, strict=True) if name == key}
    if kind == "speaker":
        removed.add(key)
    return removed


def _only_in(keys: Sequence[str], others: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Line number and id of each key that is not among the others, once."""
    unknown = set(keys).difference(others)
    if unknown:
        for number, key in enumerate(keys, start=1):
            if key in unknown:
                unknown.remove(key)
                yield number, key


def _speaker_faults(tables: Tables) -> Iterator[Fault]:
    """Speakers of utt2spk out of order, and a spk2utt that is not its inverse."""
    utterances, speakers = tables["utt2spk"]
    if speakers != sorted(speakers) and utterances == sorted(utterances):
        number = _first_descent(speakers)
        assert number is not None, "speakers are not sorted"
        yield Fault(
            "utt2spk",
            number,
            f"speaker '{speakers[number - 1]}' after '{speakers[number - 2]}', "
            "expected speakers in byte order too, since Kaldi's tools need it; "
            f"{_order_remedy(utterances, speakers, number)}",
        )
    if "spk2utt" not in tables:
        return
    expected = {}
    for speaker, members in invert(utterances, speakers).items():
        expected[speaker] = " ".join(members)
    listed, values = tables["spk2utt"]
    found = dict(zip(listed, values, strict=True))
    if found == expected:
        return
    for fault, _, _ in _difference("speaker", speakers, "spk2utt", listed):
        yield fault
    for number, speaker in enumerate(listed, start=1):
        if speaker in expected and found[speaker] != expected[speaker]:
            odd = sorted(set(found[speaker].split()) ^ set(expected[speaker].split()))
            what = f"'{odd[0]}' is in only one of them" if odd else "the order or number differs"
            yield Fault(
                "spk2utt",
                number,
                f"utterances of speaker '{speaker}' are not those of utt2spk ({what}), "
                f"expected its inverse; {FIX}",
            )


def _order_remedy(utterances: Sequence[str], speakers: Sequence[str], number: int) -> str:
    """How to bring speakers into byte order if utterances are in it; ``number``: first bad line."""
    for utterance, speaker in zip(utterances, speakers, strict=True):
        if not utterance.startswith(speaker):
            return "begin every utterance id with its speaker id"
    before, utterance = utterances[number - 2 : number]
    longer, shorter = speakers[number - 2 : number]
    why = f"'{before}' comes before '{utterance}'"
    for sign, other in zip(before, utterance, strict=False):
        if sign != other:
            why += f", as '{sign}' before '{other}'"
            break
    names = sorted(set(speakers))
    if is_ascending([f"{name}-" for name in names]):
        return (
            f"{why}; write ids as <speaker>-<rest>, since '-' comes before letters and digits, "
            "or pad the speakers' ids to one length"
        )
    return f"{why}; pad the speakers' ids to one length ({shorter} and {longer} differ)"


def invert(utterances: Sequence[str], speakers: Sequence[str]) -> dict[str, list[str]]:
    """Speaker -> utterances from the two columns of utt2spk; speakers in byte order."""
    members: dict[str, list[str]] = defaultdict(list)
    changes = compress(range(1, len(speakers)), map(ne, speakers, speakers[1:]))
    for start, end in pairwise(sorted({0, *changes, len(speakers)})):
        members[speakers[start]] += utterances[start:end]
    return dict(sorted(members.items()))
