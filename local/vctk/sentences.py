"""Sentences that every speaker of VCTK reads, found by their number and their text: the passages at the beginning of each speaker's list."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

LEAST_SHARE = 0.9  # of the speakers that have texts: some of the real corpus lack a recording or two of the passages


def words_of(text: str) -> str:
    """A text without what is not heard: case, punctuation, blanks.

    Parameters
    ----------
    text : str
        As it is written.
    """
    return " ".join(re.findall(r"[a-z0-9]+", text.lower().replace("'", "")))


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
    return {number: words for number, (words, count) in most.items() if words and count >= LEAST_SHARE * num_speakers}


def sentence_of(utterance: str, text: str, sentences: Mapping[str, str]) -> str | None:
    """Number of the common sentence that an utterance is; None where its number or its text is another.

    Parameters
    ----------
    utterance, text : str
        Its name and what is said.
    sentences : mapping of str to str
        From `common_sentences`.
    """
    number = utterance.rpartition("_")[2]
    return number if sentences.get(number) == words_of(text) else None
