"""The report's section on sound: the share of speech in each set, and pictures of utterances."""

from collections.abc import Mapping, Sequence

from utils.report.page import Section
from utils.report.pictures import colour_scale
from utils.report.render import drawing, render
from utils.vad.base import FRAMES_PER_SECOND

KINDS = {"vad": "recorded", "before": "before", "after": "after"}
EXPLANATION = (
    "Some utterances: as recorded, with speech shaded; and a training crop of each, before and, "
    "if it is augmented, after augmentation.  Both spectrograms of an utterance have the same "
    "colours for the same levels."
)


def sound_section(speech: Mapping[str, Mapping], pictures: Sequence[Mapping]) -> Section | None:
    """The section; None if there are neither VAD counts nor pictures.

    ``speech``: set -> counts of steps.collect_vad; ``pictures``: entries of pictures.json with
    their ``svg``.
    """
    if not (speech or pictures):
        return None
    utterances = _group_by_utterance(pictures)
    body = render(
        "sound.html",
        speech=[_speech_row(name, counts) for name, counts in speech.items()],
        utterances=list(utterances.items()),
        explanation=EXPLANATION,
        scale=drawing(colour_scale()) if utterances else "",
    )
    return Section("Sound", body)


def _speech_row(name: str, counts: Mapping) -> list[str]:
    """A set's row in the table of speech."""
    frames, speech_frames = counts["frames"], counts["speech_frames"]
    return [
        name,
        _format_hours(frames),
        _format_hours(speech_frames),
        _format_percent(speech_frames / max(1, frames)),
        " / ".join(map(_format_percent, counts["speech_fraction"])),
        f"{counts['without_speech']:,}",
    ]


def _group_by_utterance(pictures: Sequence[Mapping]) -> dict[str, list[dict]]:
    """Title of an utterance -> its pictures, as the template shows them."""
    groups: dict[str, list[dict]] = {}
    for picture in pictures:
        title = f"{picture['utterance']} (speaker {picture['speaker']}, {picture['set']})"
        figure = {
            "drawing": drawing(picture["svg"]),
            "kind": KINDS[picture["kind"]],
            "caption": picture["caption"],
        }
        groups.setdefault(title, []).append(figure)
    return groups


def _format_hours(frames: int) -> str:
    """Duration of frames of 10 ms, in hours."""
    return f"{frames / FRAMES_PER_SECOND / 3600:,.2f}"


def _format_percent(share: float) -> str:
    """A share in [0, 1] in percent."""
    return f"{100 * share:.1f}"
