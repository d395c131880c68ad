"""The report's section on sound: how much speech each set keeps, and pictures of some utterances."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from utils.report.page import Section
from utils.report.pictures import colour_scale
from utils.report.render import drawing, render
from utils.vad.base import FRAMES_PER_SECOND

KINDS = {"vad": "recorded", "before": "before", "after": "after"}
EXPLANATION = (
    "Some utterances: as recorded, with what counts as speech shaded; a training crop of each, before augmentation and, where there is "
    "any, after it.  The colours of both spectrograms of an utterance stand for the same levels."
)


def sound_section(speech: Mapping[str, Mapping], pictures: Sequence[Mapping]) -> Section | None:
    """The section; None where there is neither.

    Parameters
    ----------
    speech : mapping of str to mapping
        Set -> the counts of steps.collect_vad, with ``frames`` and ``speech_frames``.
    pictures : sequence of mappings
        ``set``, ``utterance``, ``speaker``, ``kind``, ``caption`` and ``svg``, those of an utterance one behind the other.
    """
    if not (speech or pictures):
        return None
    rows = [
        [
            name,
            hours(counts["frames"]),
            hours(counts["speech_frames"]),
            percent(counts["speech_frames"] / max(1, counts["frames"])),
            " / ".join(map(percent, counts["speech_fraction"])),
            f"{counts['without_speech']:,}",
        ]
        for name, counts in speech.items()
    ]
    utterances = [
        (
            f"{utterance} (speaker {speaker}, {name})",
            [
                {
                    "drawing": drawing(picture["svg"]),
                    "kind": KINDS[picture["kind"]],
                    "caption": picture["caption"],
                }
                for picture in group
            ],
        )
        for (name, utterance, speaker), group in groupby(
            pictures, lambda picture: (picture["set"], picture["utterance"], picture["speaker"])
        )
    ]
    body = render(
        "sound.html",
        speech=rows,
        utterances=utterances,
        explanation=EXPLANATION,
        scale=drawing(colour_scale()) if utterances else "",
    )
    return Section("Sound", body)


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
