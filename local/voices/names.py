"""Names of VOiCES recordings.

    Lab41-SRI-VOiCES-rm1-babb-sp0307-ch127535-sg0042-mc01-stu-clo-dg010.wav
    Lab41-SRI-VOiCES-src-sp0307-ch127535-sg0042.wav

The first was recorded at a distance: room, distractor, speaker, chapter, segment, microphone
(number, type, place) and the loudspeaker's angle in degrees. The second is the source that was
played.
"""

import re
from typing import NamedTuple

SOURCE = "src"
PREFIX = "Lab41-SRI-VOiCES-"
PLAYED = re.compile(
    rf"(?:{PREFIX})?(rm\d+)-([a-z]+)-(sp\d+)-(ch\d+)-(?:sg|seg)\d+-mc\d+-([a-z]+)-([a-z]+)-dg(\d+)"
)
SOURCE_NAME = re.compile(rf"(?:{PREFIX})?(?:src|scr)-(sp\d+)-(ch\d+)-(?:sg|seg)\d+")
SHAPE = (
    "Lab41-SRI-VOiCES-<room>-<distractor>-sp<NNNN>-ch<NNNNNN>-sg<NNNN>-mc<NN>-<mic>-<place>-dg<NNN>"
)


class Recording(NamedTuple):
    """The content of a name; the conditions from room to angle are ``src`` for a source."""

    speaker: str  # sp0307
    room: str  # rm1
    distractor: str  # none, babb, musi, tele
    mic: str  # stu, lav
    place: str  # clo, far, ...
    angle: str  # degrees
    session: str  # ch127535: the chapter, which was read at one time


# Each becomes a list utt2<condition>.
CONDITIONS = ("room", "distractor", "mic", "place", "angle", "session")


def recording_stem(path: str) -> str:
    """Name of a recording from the name or path of its file, with or without extension."""
    name = path.rpartition("/")[2]
    if name.lower().endswith((".wav", ".flac")):
        return name[: name.rindex(".")]
    return name


def parse_name(stem: str) -> Recording | None:
    """The content of a name; None for others, such as the anonymous ones of the evaluation set."""
    if match := PLAYED.fullmatch(stem):
        room, distractor, speaker, chapter, mic, place, degrees = match.groups()
        return Recording(speaker, room, distractor, mic, place, degrees, chapter)
    if match := SOURCE_NAME.fullmatch(stem):
        speaker, chapter = match.groups()
        return Recording(speaker, SOURCE, SOURCE, SOURCE, SOURCE, SOURCE, chapter)
    return None


def utterance_id(stem: str, speaker: str) -> str:
    """Utterance id of a recording: the speaker first, as Kaldi needs, and without repetition."""
    return f"{speaker}-{stem.removeprefix(PREFIX).replace(f'-{speaker}-', '-')}"
