"""The report's section on sound: how much speech each set keeps, and pictures of some utterances."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby

from utils.report.page import table
from utils.report.pictures import colour_scale
from utils.vad.base import FRAMES_PER_SECOND

KINDS = {"vad": "recorded", "before": "before", "after": "after"}
EXPLANATION = (
    "Some utterances: as recorded, with what counts as speech shaded; a training crop of each, before augmentation and, where there is "
    "any, after it.  The colours of both spectrograms of an utterance stand for the same levels."
)


def sound_section(speech: Mapping[str, Mapping], pictures: Sequence[Mapping]) -> str:
    """The section; empty where there is neither.

    Parameters
    ----------
    speech : mapping of str to mapping
        Set -> the counts of steps.collect_vad, with ``frames`` and ``speech_frames``.
    pictures : sequence of mappings
        ``set``, ``utterance``, ``speaker``, ``kind``, ``caption`` and ``svg``, those of an utterance one behind the other.
    """
    parts = ["<h2>Sound</h2>"] if speech or pictures else []
    if speech:
        rows = [
            [
                escape(name),
                hours(counts["frames"]),
                hours(counts["speech_frames"]),
                percent(counts["speech_frames"] / max(1, counts["frames"])),
                " / ".join(map(percent, counts["speech_fraction"])),
                f"{counts['without_speech']:,}",
            ]
            for name, counts in speech.items()
        ]
        head = [
            "data",
            "hours",
            "hours of speech",
            "% speech",
            "% of an utterance: minimum / quartiles / maximum",
            "utterances without",
        ]
        parts += ["<p>Speech as voice activity detection found it.</p>", table(head, rows)]
    if pictures:
        parts += [f"<p>{EXPLANATION}</p>", f'<figure class="scale">{colour_scale()}</figure>']
    for (name, utterance, speaker), group in groupby(
        pictures, lambda picture: (picture["set"], picture["utterance"], picture["speaker"])
    ):
        figures = [
            f"<figure>{picture['svg']}<figcaption>{KINDS[picture['kind']]}: {escape(picture['caption'])}</figcaption></figure>"
            for picture in group
        ]
        parts += [
            f"<h3>{escape(f'{utterance} (speaker {speaker}, {name})')}</h3>",
            '<div class="figures">',
            *figures,
            "</div>",
        ]
    return "\n".join(parts)


def hours(frames: int) -> str:
    """Hours that so many frames last.

    Parameters
    ----------
    frames : int
        Of 10 ms.
    """
    return f"{frames / FRAMES_PER_SECOND / 3600:,.2f}"


def percent(share: float) -> str:
    """A share in percent.

    Parameters
    ----------
    share : float
        From 0 to 1.
    """
    return f"{100 * share:.1f}"
