"""Columns of a table that describe its speakers and utterances: their sets, sexes, sessions and texts, and whatever else there is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.own.corpus import SETS
from utils.errors import UserError

TAKEN = {
    "spk",
    "dur",
    "utt",
    "num_frames",
    "num_samples",
    "session",
    "gender",
    "sex",
    "name",
    "uniq",
    "original",
}  # of maps that mean something else
UNKNOWN = "unknown"
TEXT_BLANKS = re.compile(r"[ \t\r\n\xa0\u3000]+")


@dataclass
class Row:
    """One line of a table.

    Attributes
    ----------
    number : int
        Of the line.
    fields : dict of str to str
        By the name of the column, ours where we know it.
    """

    number: int
    fields: dict[str, str]


def sets_of(path: Path, lines: Mapping[str, Row], utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Speaker -> set, of those who have one.

    Parameters
    ----------
    path : path
        The table.
    lines : mapping of str to Row
        By utterance.
    utt2spk : mapping of str to str
        Of them.

    Raises
    ------
    UserError
        A set has another name than ours, or a speaker is in two.
    """
    other_names = {
        "dev": ("valid", "validation"),
        "test": ("eval", "evaluation"),
        "train": ("training",),
    }
    ours = {other: name for name in SETS for other in (*other_names[name], name)}
    spk2set: dict[str, str] = {}
    for utterance, row in lines.items():
        given = row.fields["set"]
        if given and given.lower() not in ours:
            raise UserError(
                f"{path}:{row.number}: set '{given}', expected {', '.join(SETS)} or nothing; correct it"
            )
        first = spk2set.setdefault(utt2spk[utterance], ours[given.lower()] if given else "")
        if first != (ours[given.lower()] if given else ""):
            raise UserError(
                f"{path}:{row.number}: speaker '{row.fields['speaker']}' is in {given or 'no set'}, but in {first or 'no set'} above; a "
                "speaker is in one set, or the test would be of voices heard in training; correct it, or leave the column out"
            )
    return {speaker: name for speaker, name in spk2set.items() if name}


def lists_of_columns(
    path: Path, lines: Mapping[str, Row], utt2spk: Mapping[str, str], names: Sequence[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Lists of a data directory from the other columns: of speakers where all lines of each say the same, else of utterances.

    Parameters
    ----------
    path, lines, utt2spk
        As of `sets_of`.
    names : sequence of str
        Of the columns.

    Returns
    -------
    maps : dict of str to dict of str to str
        Name of each list -> its content.
    notes : list of str
        What is worth saying.

    Raises
    ------
    UserError
        A speaker has two sexes.
    """
    maps: dict[str, dict[str, str]] = {}
    notes = []
    for name in names:
        values = {utterance: row.fields[name] for utterance, row in lines.items()}
        if name == "text":
            empty = sum(not value for value in values.values())
            notes += (
                [f"{empty} of {len(values)} lines have no text: the list is left out"]
                if empty
                else []
            )
            maps |= (
                {}
                if empty
                else {
                    "text": {
                        utterance: TEXT_BLANKS.sub(" ", value)
                        for utterance, value in values.items()
                    }
                }
            )
            continue
        words = {
            utterance: _sex(value)
            if name == "sex"
            else re.sub(r"[\x00-\x20\x7f]+", "_", value) or UNKNOWN
            for utterance, value in values.items()
        }
        of_speaker: dict[str, str] = {}
        differing = next(
            (
                utterance
                for utterance in words
                if of_speaker.setdefault(utt2spk[utterance], words[utterance]) != words[utterance]
            ),
            None,
        )
        if name == "sex":
            if differing:
                raise UserError(
                    f"{path}:{lines[differing].number}: speaker '{utt2spk[differing]}' has two sexes; correct one"
                )
            known = sum(sex != UNKNOWN for sex in of_speaker.values())
            maps["spk2gender" if known == len(of_speaker) else "spk2sex"] = of_speaker
            notes += (
                [f"the sex of {len(of_speaker) - known} of {len(of_speaker)} speakers is unknown"]
                if known < len(of_speaker)
                else []
            )
        elif name == "session":
            maps["utt2session"] = words
        elif name:
            kind = f"{name}_column" if name in TAKEN else re.sub(r"[^A-Za-z0-9_]", "_", name)
            maps[f"utt2{kind}" if differing else f"spk2{kind}"] = words if differing else of_speaker
    return maps, notes


def _sex(value: str) -> str:
    """m or f of the usual words; anything else is unknown."""
    word = value.lower()
    return (
        "f"
        if word in ("f", "w", "woman") or word.startswith("female")
        else "m"
        if word in ("m", "man") or word.startswith("male")
        else UNKNOWN
    )
