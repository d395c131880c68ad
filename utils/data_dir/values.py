"""The rules within one list of a data directory: order, numbers, classes, pipes."""

import re
from collections.abc import Iterator, Sequence
from operator import lt

import numpy as np

from utils.data_dir.formats import FIX, Fault

POSITIVE = {"utt2dur": "seconds", "reco2dur": "seconds", "utt2num_frames": "frames"}
PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
TO_THE_END = -1  # of the recording, as Kaldi's extract-segments reads the end of a segment


def order_faults(file: str, keys: Sequence[str]) -> Iterator[Fault]:
    """Ids that stand twice, and the first that is out of byte order.

    Parameters
    ----------
    file : str
        Name of the list.
    keys : sequence of str
        Its first column.
    """
    if all(map(lt, keys, keys[1:])):
        return
    for number in (n for n in range(2, len(keys) + 1) if keys[n - 1] < keys[n - 2]):
        yield Fault(file, number, f"'{keys[number - 1]}' after '{keys[number - 2]}', expected byte order (LC_ALL=C sort); {FIX}")
        break
    first = {}
    for number, key in enumerate(keys, start=1):
        if first.setdefault(key, number) != number:
            yield Fault(file, number, f"'{key}' again, expected one line per id (the first is line {first[key]}); remove one of them")


def value_faults(file: str, columns: Sequence[Sequence[str]], allow_pipes: bool) -> Iterator[Fault]:
    """Values that cannot be: durations, times, sexes, pipes.

    Parameters
    ----------
    file : str
        Name of the list.
    columns : sequence of columns
        Its content.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    """
    values = columns[1]
    if file in POSITIVE:
        amounts = numbers(values)
        for row in np.flatnonzero(~((amounts > 0) & (amounts < np.inf)) | ((file == "utt2num_frames") & (amounts != np.floor(amounts)))):
            yield Fault(file, row + 1, f"'{values[row]}' {POSITIVE[file]}, expected a positive number; correct it or remove the utterance")
    elif file == "segments":
        starts, ends = numbers(columns[2]), numbers(columns[3])
        for row in np.flatnonzero(~((starts >= 0) & ((starts < ends) & (ends < np.inf) | (ends == TO_THE_END)))):
            yield Fault(file, row + 1, f"start '{columns[2][row]}' and end '{columns[3][row]}', expected seconds with 0 <= start < end, "
                                       "or an end of -1; correct the segment or remove it")
    elif file == "spk2gender" and not set(values) <= {"m", "f"}:
        for number in (n for n, value in enumerate(values, start=1) if value not in ("m", "f")):
            yield Fault(file, number, f"'{values[number - 1]}', expected m or f; correct it")
    elif file == "wav.scp":
        for number, value in enumerate(values, start=1):
            if value[-1] == "|" and not allow_pipes:
                yield Fault(file, number, f"pipe '{value}', expected a path or archive:offset; it runs a command of whoever wrote the list: "
                                          "--allow-pipes if you trust them")
            elif value[0] in "~|":
                yield Fault(file, number, f"'{value}', expected a path that opens as it stands, without a shell; write it out")


def numbers(words: Sequence[str]) -> np.ndarray:
    """Plain decimal numbers; NaN for anything else.

    Parameters
    ----------
    words : sequence of str
        As they stand in the list.

    Returns
    -------
    (N,) float array
        One per word.
    """
    text = "".join(words)
    if text.isascii() and "_" not in text:
        try:
            return np.array(list(map(float, words)))
        except ValueError:
            pass
    return np.array([float(word) if PLAIN_NUMBER.fullmatch(word) else np.nan for word in words])


def class_faults(file: str, classes: Sequence[str]) -> Iterator[Fault]:
    """Classes other than target and nontarget, or one of them missing.

    Parameters
    ----------
    file : str
        Name of the list of trials.
    classes : sequence of str
        Its third column.
    """
    present = set(classes)
    if not present <= {"target", "nontarget"}:
        for number, word in enumerate(classes, start=1):
            if word not in ("target", "nontarget"):
                yield Fault(file, number, f"class '{word}', expected target or nontarget; write the list as '<enrol> <test> target|nontarget'")
    elif len(present) == 1:
        yield Fault(file, 0, f"all {len(classes)} trials are {classes[0]}, expected both target and nontarget: one class alone has no error rate; "
                             "add trials of the other")
