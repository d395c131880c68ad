"""The rules of a data directory: those within each list, then those between lists.

Within: order and values.  Between: coverage, speakers, trials (trial_rules.py).

The rules are those of Kaldi's validate_data_dir.sh, so that its tools read what passes here: every
list in byte order with one line per id; every list that is keyed by utterance, speaker or
recording covers exactly the utterances of utt2spk, their speakers, or the recordings of segments;
utt2spk in the order of its speakers too.  Three differences: text and feats.scp are not required,
but feats.scp may stand in place of wav.scp; vad.scp, utt2num_frames and, beside a wav.scp,
feats.scp may lack utterances, since the steps that make them drop unreadable ones by a ledger
(packing then drops those from every list); and trials, enroll.spk2utt, every utt2* and spk2* list,
pipes and the plainness of numbers are checked, which Kaldi leaves alone.
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
QUOTED_BAR = re.compile(r"\|[ \t]*[\"'`]+$")
TO_THE_END = -1  # of the recording, as Kaldi's extract-segments reads the end of a segment
MAY_LACK_UTTERANCES = {"vad.scp", "feats.scp", "utt2num_frames"}
OWNERS = {"utterance": "utt2spk", "speaker": "utt2spk", "recording": "segments"}  # of the ids
TO_DO = f"add it there or remove it here ({FIX})"
NEEDED = ", and its trials and enrolment models"


def may_lack_utterances(file: str, files: Iterable[str]) -> bool:
    """Whether a list need not have all utterances."""
    is_source = file == "feats.scp" and "wav.scp" not in files
    return file in MAY_LACK_UTTERANCES and not is_source


def rule_faults(tables: Tables, allow_pipes: bool) -> Iterator[Fault]:
    """What is wrong with the well-formed lists of a data directory."""
    for file, columns in tables.items():
        if file != "trials":
            yield from order_faults(file, columns[0])
        yield from _value_faults(file, columns, allow_pipes)
    if "utt2spk" in tables:
        yield from _coverage_faults(tables)
        yield from _speaker_faults(tables)
        yield from trial_faults(tables)


def order_faults(file: str, keys: Sequence[str]) -> Iterator[Fault]:
    """Ids that stand twice, and the first that is out of byte order."""
    if all(map(lt, keys, keys[1:])):
        return
    for number in (n for n in range(2, len(keys) + 1) if keys[n - 1] < keys[n - 2]):
        yield Fault(
            file,
            number,
            f"'{keys[number - 1]}' after '{keys[number - 2]}', expected byte order (LC_ALL=C sort); {FIX}",
        )
        break
    first: dict[str, int] = {}
    for number, key in enumerate(keys, start=1):
        if first.setdefault(key, number) != number:
            yield Fault(
                file,
                number,
                f"'{key}' again, expected one line per id (the first is line {first[key]}); remove one of them",
            )


def _value_faults(
    file: str, columns: Sequence[Sequence[str]], allow_pipes: bool
) -> Iterator[Fault]:
    """Values that cannot be: durations, times, sexes, pipes."""
    values = columns[1]
    if file in POSITIVE:
        amounts = _numbers(values)
        bad = ~((amounts > 0) & (amounts < np.inf))
        if file == "utt2num_frames":
            bad |= amounts != np.floor(amounts)
        for row in np.flatnonzero(bad).tolist():
            yield Fault(
                file,
                row + 1,
                f"'{values[row]}' {POSITIVE[file]}, expected a positive number; correct it or remove the utterance",
            )
    elif file == "segments":
        starts, ends = _numbers(columns[2]), _numbers(columns[3])
        has_end = (starts < ends) & (ends < np.inf) | (ends == TO_THE_END)
        for row in np.flatnonzero(~((starts >= 0) & has_end)).tolist():
            yield Fault(
                file,
                row + 1,
                f"start '{columns[2][row]}' and end '{columns[3][row]}', expected seconds with 0 <= start < end, "
                "or an end of -1; correct the segment or remove it",
            )
    elif file == "spk2gender" and not set(values) <= {"m", "f"}:
        for number in (n for n, value in enumerate(values, start=1) if value not in ("m", "f")):
            yield Fault(file, number, f"'{values[number - 1]}', expected m or f; correct it")
    elif file == "wav.scp":
        for number, value in enumerate(values, start=1):
            if value[-1] == "|" and not allow_pipes:
                yield Fault(
                    file,
                    number,
                    f"pipe '{value}', expected a path or archive:offset; it runs a command of whoever wrote the list: "
                    "--allow-pipes if you trust them",
                )
            elif QUOTED_BAR.search(value):
                yield Fault(
                    file,
                    number,
                    f"'{value}': a quote behind the bar, expected the bar of a pipe at the end of the line; take the quotes away",
                )
            elif value[0] in "~|":
                yield Fault(
                    file,
                    number,
                    f"'{value}', expected a path that opens as it stands, without a shell; write it out",
                )


def _numbers(words: Sequence[str]) -> np.ndarray:
    """Plain decimal numbers as floats; NaN for anything else."""
    text = "".join(words)
    if text.isascii() and "_" not in text:
        try:
            return np.array(list(map(float, words)))
        except ValueError:
            pass
    return np.array([float(word) if PLAIN_NUMBER.fullmatch(word) else np.nan for word in words])


def key_kind(file: str, files: Iterable[str]) -> str:
    """What the first column of a list names: ``utterance``, ``speaker``, ``recording``, ``model`` or ``trial``."""
    if file == "trials":
        return "trial"
    if file == "enroll.spk2utt":
        return "model"
    if file.startswith("reco2") or file == "wav.scp":
        return "recording" if "segments" in files else "utterance"
    return "speaker" if file.startswith("spk2") or file == "cmvn.scp" else "utterance"


def _coverage_faults(tables: Tables) -> Iterator[Fault]:
    """Ids that one list has and another lacks."""
    needed: set[str] | None = None
    for fault, kind, key in _missing_ids(tables):
        if fault.file == OWNERS[kind]:  # where `fix` would take it out
            needed = _needed_by_trials(tables) if needed is None else needed
            if not needed.isdisjoint(_names_that_go(tables, kind, key)):
                fault = fault._replace(text=fault.text.replace(f" ({FIX})", NEEDED))
        yield fault


def _missing_ids(tables: Tables) -> Iterator[tuple[Fault, str, str]]:
    """As `_coverage_faults`, each with the kind of the id and the id; the remedy is `fix`."""
    utterances, speakers = tables["utt2spk"]
    for file in tables:
        kind, found = key_kind(file, tables), tables[file][0]
        if file != "utt2spk" and kind == "utterance":
            may_lack = may_lack_utterances(file, tables)
            yield from _difference(kind, utterances, file, found, may_lack)
        if file != "spk2utt" and kind == "speaker":
            yield from _difference(kind, speakers, file, found)
        if "segments" in tables and kind == "recording":
            yield from _difference(kind, tables["segments"][1], file, found)


def _difference(
    kind: str, wanted: Sequence[str], file: str, found: Sequence[str], may_lack: bool = False
) -> Iterator[tuple[Fault, str, str]]:
    """Ids that only one of two lists has: the one that owns ids of this kind, and another."""
    if wanted == found:
        return
    source = OWNERS[kind]
    is_foreign = set(wanted).isdisjoint(found)
    to_do = "are these lists of one data directory?" if is_foreign else TO_DO
    lacking = () if may_lack else _only_in(wanted, found)
    for where, other, odd in ((source, file, lacking), (file, source, _only_in(found, wanted))):
        for number, key in odd:
            found_here = f"{kind} '{key}' is not in {other}, expected the same {kind}s in both"
            yield Fault(where, number, f"{found_here}; {to_do}"), kind, key


def _needed_by_trials(tables: Tables) -> set[str]:
    """Whom trials and enrolment models name: they are for the owner to take out."""
    _, members = tables.get("enroll.spk2utt", [[], []])
    enrol, test, *_ = tables.get("trials", [[], []])
    return {utterance for line in members for utterance in line.split()}.union(enrol, test)


def _names_that_go(tables: Tables, kind: str, key: str) -> set[str]:
    """Utterances and speakers that go where an id of a list goes."""
    if kind == "utterance":
        return {key}
    owners = zip(*tables[OWNERS[kind]][:2], strict=True)
    gone = {utterance for utterance, name in owners if name == key}
    return gone | {key} if kind == "speaker" else gone


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
        number = next(n for n in range(2, len(speakers) + 1) if speakers[n - 1] < speakers[n - 2])
        yield Fault(
            "utt2spk",
            number,
            f"speaker '{speakers[number - 1]}' after '{speakers[number - 2]}', expected speakers in byte order too, "
            f"since Kaldi's tools need it; {_remedy_for_order(utterances, speakers, number)}",
        )
    if "spk2utt" not in tables:
        return
    expected = {
        speaker: " ".join(members) for speaker, members in invert(utterances, speakers).items()
    }
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
                f"utterances of speaker '{speaker}' are not those of utt2spk ({what}), expected its inverse; {FIX}",
            )


def _remedy_for_order(utterances: Sequence[str], speakers: Sequence[str], number: int) -> str:
    """What brings speakers into byte order where utterances are in it; `number` is the line of the first that is not."""
    owners = list(zip(utterances, speakers, strict=True))
    if not all(utterance.startswith(speaker) for utterance, speaker in owners):
        return "begin every utterance id with its speaker id"
    (before, longer), (utterance, shorter) = owners[number - 2 : number]
    differing = next(((a, b) for a, b in zip(before, utterance, strict=False) if a != b), None)
    signs = ", as '{}' before '{}'".format(*differing) if differing else ""
    why = f"'{before}' comes before '{utterance}'{signs}"
    names = sorted(set(speakers))
    if names == sorted(names, key="{}-".format):
        return f"{why}; write ids as <speaker>-<rest>, since '-' comes before letters and digits, or pad the speakers' ids to one length"
    return f"{why}; pad the speakers' ids to one length ({shorter} and {longer} differ)"


def invert(utterances: Sequence[str], speakers: Sequence[str]) -> dict[str, list[str]]:
    """The utterances of each speaker, speakers in byte order, utterances as they come."""
    members: dict[str, list[str]] = defaultdict(list)
    changes = compress(range(1, len(speakers)), map(ne, speakers, speakers[1:]))
    for start, end in pairwise(sorted({0, *changes, len(speakers)})):
        members[speakers[start]] += utterances[start:end]
    return dict(sorted(members.items()))
