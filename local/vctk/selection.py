"""Recordings of VCTK that are used: all, or those of the sentences that all speakers read."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from local.vctk.tree import Tree, read_text
from utils.data_dir.ledger import Ledger
from utils.errors import UserError

# Of the speakers with texts, those who read a common sentence: in the published corpus some lack a
# recording of one.
MIN_SHARE = 0.9


@dataclass
class Selection:
    """The part of the corpus that is used."""

    ledger: Ledger  # recordings that are left out, with reasons
    # Path below the folder of the recordings, and bytes.
    utterances: dict[str, tuple[str, int]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # of all recordings that have one
    sentence: dict[str, str] = field(default_factory=dict)  # number of the sentence; td only
    other_sentences: int = 0  # recordings of other sentences; they are many, and not listed


def select(tree: Tree, mode: str, protocol: str, output: Path) -> Selection:
    """The recordings of a mode and protocol of `prepare_vctk`.

    UserError: mode td, and no sentence is read by all speakers.
    """
    selection = Selection(Ledger(output))
    for utterance, path in sorted(tree.texts.items()):
        if utterance in tree.recordings and (text := read_text(path)):
            selection.texts[utterance] = text
    if mode == "ti":
        for utterance, file in sorted(tree.recordings.items()):
            selection.ledger.keep(utterance)
            selection.utterances[utterance] = file
        return selection
    sentences = common_sentences(selection.texts)
    if not sentences:
        raise UserError(
            f"{tree.root}/txt: of {len(selection.texts)} texts none is read by all speakers, "
            "expected one of the same number and text, as 'Please call Stella.'; extract the "
            "corpus again"
        )
    if protocol == "seed":
        sentences = dict(islice(sentences.items(), 1))
    for utterance, file in sorted(tree.recordings.items()):
        _select_sentence(selection, utterance, file, sentences)
    return selection


def _select_sentence(
    selection: Selection, utterance: str, file: tuple[str, int], sentences: Mapping[str, str]
) -> None:
    """Use a recording if it is of one of the sentences, by number and by text."""
    if utterance not in selection.texts:
        detail = "nothing says whether it is one of the sentences that all speakers read"
        selection.ledger.drop(utterance, "no_text", detail)
        return
    number = utterance.rpartition("_")[2]
    if sentences.get(number) != normalise_text(selection.texts[utterance]):
        selection.other_sentences += 1
        return
    selection.ledger.keep(utterance)
    selection.utterances[utterance] = file
    selection.sentence[utterance] = number


def common_sentences(texts: Mapping[str, str]) -> dict[str, str]:
    """Number -> normalised text of the sentences that at least 90 % of the speakers read.

    ``texts`` has utterances such as ``p225_001``; speakers without texts do not count.
    """
    counts: dict[str, Counter] = defaultdict(Counter)
    speakers = set()
    for utterance, text in texts.items():
        speaker, _, number = utterance.rpartition("_")
        speakers.add(speaker)
        counts[number][normalise_text(text)] += 1
    sentences = {}
    for number in sorted(counts):
        text, count = counts[number].most_common(1)[0]
        if text and count >= MIN_SHARE * len(speakers):
            sentences[number] = text
    return sentences


def normalise_text(text: str) -> str:
    """A text without case, punctuation and extra blanks."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("'", "")))
