"""Columns of a table that describe speakers and utterances: set, sex, session, text and others."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.own.corpus import SETS, replace_blanks
from utils.errors import UserError

# Columns with these names would become lists that mean something else: spk2gender, utt2dur ...
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
}
UNKNOWN = "unknown"
TEXT_BLANKS = re.compile(r"[ \t\r\n\xa0\u3000]+")
NAMES_OF_SETS = {  # as tables have them -> ours
    "training": "train",
    "valid": "dev",
    "validation": "dev",
    "eval": "test",
    "evaluation": "test",
    **{name: name for name in SETS},
}


@dataclass
class Row:
    """One line of a table: its number, and its fields by our names of the columns."""

    number: int
    fields: dict[str, str]


def read_sets(path: Path, lines: Mapping[str, Row], utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Speaker -> set, from the lines of each utterance; speakers without a set are left out.

    UserError: a set has an unknown name, or a speaker is in two.
    """
    spk2set: dict[str, str] = {}
    for utterance, row in lines.items():
        name = row.fields["set"]
        ours = NAMES_OF_SETS.get(name.lower(), "")
        if name and not ours:
            raise UserError(
                f"{path}:{row.number}: set '{name}', expected {', '.join(SETS)} or nothing; "
                "correct it"
            )
        first = spk2set.setdefault(utt2spk[utterance], ours)
        if first != ours:
            raise UserError(
                f"{path}:{row.number}: speaker '{row.fields['speaker']}' is in "
                f"{name or 'no set'}, but in {first or 'no set'} above, expected each speaker in "
                "one set; correct it, or remove the column"
            )
    return {speaker: name for speaker, name in spk2set.items() if name}


def read_descriptions(
    path: Path, lines: Mapping[str, Row], utt2spk: Mapping[str, str], names: Sequence[str]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Lists of a data directory from columns, and notes.

    A column becomes a list of speakers if all lines of each agree, else one of utterances.
    UserError: a speaker has two sexes.
    """
    maps: dict[str, dict[str, str]] = {}
    notes = []
    for name in names:
        values = {utterance: row.fields[name] for utterance, row in lines.items()}
        if name == "text":
            empty = sum(not value for value in values.values())
            if empty:
                notes.append(f"{empty} of {len(values)} lines have no text: the list is left out")
            else:
                maps["text"] = {key: TEXT_BLANKS.sub(" ", text) for key, text in values.items()}
        elif name == "sex":
            spk2sex = _read_sexes(path, lines, values, utt2spk)
            unknown = sum(sex == UNKNOWN for sex in spk2sex.values())
            if unknown:
                notes.append(f"the sex of {unknown} of {len(spk2sex)} speakers is unknown")
                maps["spk2sex"] = spk2sex
            else:
                maps["spk2gender"] = spk2sex
        elif name:
            words = {key: replace_blanks(value) or UNKNOWN for key, value in values.items()}
            if name == "session":
                maps["utt2session"] = words
            else:
                _add_list(maps, name, words, utt2spk)
    return maps, notes


def _add_list(
    maps: dict[str, dict[str, str]],
    name: str,
    utt2word: Mapping[str, str],
    utt2spk: Mapping[str, str],
) -> None:
    """Add a column as spk2<name>, or as utt2<name> if the lines of a speaker differ."""
    kind = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if name in TAKEN:
        kind = f"{name}_column"
    spk2word, differing = _per_speaker(utt2word, utt2spk)
    if differing:
        maps[f"utt2{kind}"] = dict(utt2word)
    else:
        maps[f"spk2{kind}"] = spk2word


def _per_speaker(
    utt2word: Mapping[str, str], utt2spk: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """First word of each speaker, and the first utterance with another one (empty: none has)."""
    spk2word: dict[str, str] = {}
    for utterance, word in utt2word.items():
        first = spk2word.setdefault(utt2spk[utterance], word)
        if first != word:
            return spk2word, utterance
    return spk2word, ""


def _read_sexes(
    path: Path, lines: Mapping[str, Row], values: Mapping[str, str], utt2spk: Mapping[str, str]
) -> dict[str, str]:
    """Speaker -> m, f or unknown."""
    sexes = {utterance: _to_sex(value) for utterance, value in values.items()}
    spk2sex, differing = _per_speaker(sexes, utt2spk)
    if differing:
        raise UserError(
            f"{path}:{lines[differing].number}: speaker '{utt2spk[differing]}' has two sexes, "
            "expected one; correct the line"
        )
    return spk2sex


def _to_sex(value: str) -> str:
    """m or f of the usual words; anything else is unknown."""
    word = value.lower()
    if word in ("f", "w", "woman") or word.startswith("female"):
        return "f"
    if word in ("m", "man") or word.startswith("male"):
        return "m"
    return UNKNOWN
