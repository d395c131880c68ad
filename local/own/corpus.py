"""A corpus of the user's own, in any form: a tree of folders, a table, or Kaldi directories."""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.own.times import StatedDuration
from utils.data_dir import DataDir
from utils.errors import UserError

SETS = ("train", "dev", "test")
BLANKS = re.compile(r"[\x00-\x20\x7f]+")  # and control characters


@dataclass
class Corpus:
    """A corpus before its speakers are divided into sets."""

    form: str  # a description for messages
    data: DataDir  # all utterances; paths of wav.scp as `path_from_checkout` writes them
    spk2set: dict[str, str] = field(default_factory=dict)  # where the corpus has sets
    # Set -> trials that came with the corpus, and the enrolment models of those trials.
    trials: dict[str, Sequence[str]] = field(default_factory=dict)
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # lines to print
    start: Path | None = None  # folder that relative paths start from; None: all are absolute
    # Durations of utterances in a table, to be compared with the audio.
    stated: dict[str, StatedDuration] = field(default_factory=dict)

    @property
    def spk2sex(self) -> dict[str, str]:
        """Speaker -> sex, ``unknown`` if the corpus does not have it."""
        spk2sex = dict.fromkeys(self.data.utt2spk.values(), "unknown")
        spk2sex |= self.data.maps.get("spk2sex", {})
        spk2sex |= self.data.maps.get("spk2gender", {})
        return spk2sex


def plain(name: str, extra: str = "") -> str:
    """A name as part of an id: ASCII letters, digits, ``_.`` and ``extra``; others become ``_``.

    Letters lose their accents; those of other scripts become ``u`` and their code point, so that
    names of one length stay different. Utterance ids are ``<speaker>-...``: the dash sorts before
    all these characters, so that utterances and speakers have the same byte order, as Kaldi needs.
    """
    if name.isascii() and name.isalnum():  # most are
        return name
    if not name.isascii():
        name = "".join(_to_ascii(letter) for letter in unicodedata.normalize("NFC", name))
    return re.sub(f"[^A-Za-z0-9_.{re.escape(extra)}]", "_", name)


@functools.cache
def _to_ascii(character: str) -> str:
    """One character in ASCII."""
    if character.isascii():
        return character
    decomposed = unicodedata.normalize("NFKD", character)
    base = "".join(part for part in decomposed if not unicodedata.combining(part))
    if base.isascii() and base.isalnum():
        return base
    if unicodedata.category(character)[0] in "LMN":
        return f"u{ord(character):04x}"
    return "_"


def replace_blanks(value: str) -> str:
    """A value as one field of a list: blanks and control characters become ``_``."""
    return BLANKS.sub("_", value)


def speaker_ids(names: set[str], where: Path) -> dict[str, str]:
    """Name of each speaker -> id; UserError, about ``where``, if two would have the same id."""
    names_by_id: dict[str, str] = {}
    for name in sorted(names):
        other = names_by_id.setdefault(plain(name), name)
        if other != name:
            raise UserError(
                f"{where}: speakers '{other}' and '{name}' would both have the id "
                f"'{plain(name)}'; rename one"
            )
    return {name: key for key, name in names_by_id.items()}


def renamed_speakers(ids: dict[str, str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The list ``spk2name`` and a note, if some ids of `speaker_ids` differ from the names."""
    changed = [name for name, key in ids.items() if name != key]
    if not changed:
        return {}, []
    note = (
        f"ids of {len(changed)} speakers differ from their names, which have blanks or other "
        f"characters: '{changed[0]}' is {ids[changed[0]]}"
    )
    return {"spk2name": {key: replace_blanks(name) for name, key in ids.items()}}, [note]


def refuse_few_speakers(num_speakers: int, where: Path, detail: str, remedy: str) -> None:
    """Raise UserError, with a detail and a remedy, if there are fewer than two speakers."""
    if num_speakers == 0:
        raise UserError(f"{where}: no speakers: {detail}; {remedy}")
    if num_speakers == 1:
        raise UserError(f"{where}: one speaker: {detail}; {remedy}")
