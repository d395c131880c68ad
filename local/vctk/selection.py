"""Which recordings of VCTK are used: all of them, or those of the sentences that all speakers read, and which sentences these are."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from local.vctk.tree import Tree, read_text
from utils.data_dir.ledger import Ledger
from utils.errors import UserError

# Of the speakers that have texts: some of the real corpus lack a recording or two of the passages.
LEAST_SHARE = 0.9


@dataclass
class Selection:
    """What is taken of the corpus.

    Attributes
    ----------
    utterances : dict of str to (str, int)
        To be used: path below the folder of the recordings, and bytes.
    texts : dict of str to str
        Of the utterances that have one.
    sentence : dict of str to str
        Utterance -> number of its sentence; text-dependent only.
    ledger : Ledger
        Recordings that are left out, with reasons.
    other_sentences : int
        Recordings of other sentences than those asked for; they are many, and not listed.
    """

    ledger: Ledger
    utterances: dict[str, tuple[str, int]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    sentence: dict[str, str] = field(default_factory=dict)
    other_sentences: int = 0


def choose(tree: Tree, mode: str, protocol: str, output: Path) -> Selection:
    """The recordings of a mode.

    Parameters
    ----------
    tree : Tree
        The corpus.
    mode, protocol : str
        As of `prepare_vctk`.
    output : path
        For the ledger's messages.

    Raises
    ------
    UserError
        Text-dependent, and there is no sentence that all speakers read.
    """
    chosen = Selection(Ledger(output))
    chosen.texts = {
        utterance: text
        for utterance, path in sorted(tree.texts.items())
        if utterance in tree.recordings and (text := read_text(path))
    }
    sentences = common_sentences(chosen.texts) if mode == "td" else {}
    if mode == "td" and not sentences:
        raise UserError(
            f"{tree.root}/txt: of {len(chosen.texts)} texts none is read by all speakers, expected one of the same number and text, as "
            "'Please call Stella.'; extract the corpus again"
        )
    if protocol == "seed":
        sentences = dict(islice(sentences.items(), 1))
    for utterance, file in sorted(tree.recordings.items()):
        number = _sentence_of(utterance, chosen.texts.get(utterance, ""), sentences)
        if mode == "td" and utterance not in chosen.texts:
            chosen.ledger.drop(
                utterance,
                "no_text",
                "nothing says whether it is one of the sentences that all speakers read",
            )
        elif mode == "td" and number is None:
            chosen.other_sentences += 1
        else:
            chosen.ledger.keep(utterance)
            chosen.utterances[utterance] = file
            chosen.sentence |= {utterance: number} if number else {}
    return chosen


def common_sentences(texts: Mapping[str, str]) -> dict[str, str]:
    """Number of a sentence -> its words, of those that all speakers read; at least 90 % of them have to.

    Parameters
    ----------
    texts : mapping of str to str
        Utterance (``p225_001``) -> text; speakers without any do not count.

    Returns
    -------
    dict of str to str
        In the order of the numbers.
    """
    spoken: dict[str, Counter] = defaultdict(Counter)
    for utterance, text in texts.items():
        spoken[utterance.rpartition("_")[2]][words_of(text)] += 1
    num_speakers = len({utterance.rpartition("_")[0] for utterance in texts})
    most = {number: counts.most_common(1)[0] for number, counts in sorted(spoken.items())}
    return {
        number: words
        for number, (words, count) in most.items()
        if words and count >= LEAST_SHARE * num_speakers
    }


def _sentence_of(utterance: str, text: str, sentences: Mapping[str, str]) -> str | None:
    """Number of the common sentence that an utterance is; None where its number or its text is another."""
    number = utterance.rpartition("_")[2]
    return number if sentences.get(number) == words_of(text) else None


def words_of(text: str) -> str:
    """A text without what is not heard: case, punctuation, blanks.

    Parameters
    ----------
    text : str
        As it is written.
    """
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("'", "")))
