"""A corpus of one's own, whatever form it has: a tree of folders, a table, or Kaldi's data directories; what they have in common."""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.own.times import Stated
from utils.data_dir import DataDir
from utils.errors import UserError

SETS = ("train", "dev", "test")


@dataclass
class Corpus:
    """What was found, before anybody has been dealt to a set.

    Attributes
    ----------
    form : str
        In words, for messages.
    data : DataDir
        All utterances; entries of wav.scp as our lists name them (`path_from_checkout`).
    spk2set : dict of str to str
        Speakers whose set the corpus names.
    trials : dict of str to sequence of str
        Set -> trials that came with the corpus.
    models : dict of str to dict of str to str
        Set -> enrolment models of those trials.
    notes : list of str
        What is worth saying of how it was read.
    start : path or None
        Folder that relative paths start from; None: there are none.
    stated : dict of str to Stated
        Utterance -> the duration that a table states besides.
    """

    form: str
    data: DataDir
    spk2set: dict[str, str] = field(default_factory=dict)
    trials: dict[str, Sequence[str]] = field(default_factory=dict)
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    start: Path | None = None
    stated: dict[str, Stated] = field(default_factory=dict)

    @property
    def spk2sex(self) -> dict[str, str]:
        """Speaker -> sex, ``unknown`` where the corpus does not say."""
        maps = self.data.maps
        return (
            dict.fromkeys(self.data.utt2spk.values(), "unknown")
            | maps.get("spk2sex", {})
            | maps.get("spk2gender", {})
        )


def plain(name: str, extra: str = "") -> str:
    """A name as part of an id, in ASCII as our data directories want it: blanks and signs other than ``_`` and ``.`` become ``_``.

    Letters lose their accents; those of other scripts become ``u`` and their code point, so that names of one length stay apart.

    Utterance ids are ``<speaker>-...``.  The dash comes before all these characters, so that utterances in byte order are in the order of speakers
    too, as Kaldi wants it.

    Parameters
    ----------
    name : str
        Of a folder, a file, a speaker.
    extra : str
        Further characters to keep.
    """
    if name.isascii() and name.isalnum():  # most are
        return name
    if not name.isascii():
        name = "".join(map(_spelt, unicodedata.normalize("NFC", name)))
    return re.sub(f"[^A-Za-z0-9_.{re.escape(extra)}]", "_", name)


@functools.cache
def _spelt(character: str) -> str:
    """One character in ASCII."""
    base = "".join(
        each for each in unicodedata.normalize("NFKD", character) if not unicodedata.combining(each)
    )
    if character.isascii() or (base.isascii() and base.isalnum()):
        return base or character
    return f"u{ord(character):04x}" if unicodedata.category(character)[0] in "LMN" else "_"


def speaker_ids(names: set[str], where: Path) -> dict[str, str]:
    """Name of each speaker -> id.

    Parameters
    ----------
    names : set of str
        As the corpus has them.
    where : path
        For messages.

    Raises
    ------
    UserError
        There are none, there is one, or two would get the same id.
    """
    ids: dict[str, str] = {}
    for name in sorted(names):
        other = ids.setdefault(plain(name), name)
        if other != name:
            raise UserError(
                f"{where}: speakers '{other}' and '{name}' would both be called '{plain(name)}'; rename one"
            )
    return {name: key for key, name in ids.items()}


def renamed_speakers(ids: dict[str, str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """``spk2name`` where an id is not the name, and a sentence that says so.

    Parameters
    ----------
    ids : dict of str to str
        From `speaker_ids`.
    """
    changed = [name for name, key in ids.items() if name != key]
    if not changed:
        return {}, []
    note = f"ids of {len(changed)} speakers are not their names, which have blanks or other signs: '{changed[0]}' is {ids[changed[0]]}"
    return {
        "spk2name": {key: re.sub(r"[\x00-\x20\x7f]+", "_", name) for name, key in ids.items()}
    }, [note]


def refuse_few_speakers(num_speakers: int, where: Path, found: str, remedy: str) -> None:
    """Refuse a corpus of nobody or of one.

    Parameters
    ----------
    num_speakers : int
        How many.
    where : path
        The corpus.
    found : str
        What was found instead, in words.
    remedy : str
        What to do.
    """
    if num_speakers < 2:
        raise UserError(
            f"{where}: {'no speakers' if num_speakers == 0 else 'one speaker'}: {found}; {remedy}"
        )
