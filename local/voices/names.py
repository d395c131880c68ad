"""What the name of a VOiCES recording says.

    Lab41-SRI-VOiCES-rm1-babb-sp0307-ch127535-sg0042-mc01-stu-clo-dg010.wav
    Lab41-SRI-VOiCES-src-sp0307-ch127535-sg0042.wav

The first is at a distance: room, distractor, speaker, chapter, segment, microphone (number, type, place), the loudspeaker's angle.
The second is the source that was played: no room, no microphone.

The first is at a distance: room, distractor, speaker, chapter, segment, microphone (number, type, place) and the loudspeaker's angle, in degrees.
"""

import re
from typing import NamedTuple

SOURCE = "src"
PLAYED = re.compile(
    r"(?:Lab41-SRI-VOiCES-)?(rm\d+)-([a-z]+)-(sp\d+)-(ch\d+)-(?:sg|seg)(\d+)-(mc\d+)-([a-z]+)-([a-z]+)-dg(\d+)"
)
SOURCE_NAME = re.compile(r"(?:Lab41-SRI-VOiCES-)?(?:src|scr)-(sp\d+)-(ch\d+)-(?:sg|seg)(\d+)")
SHAPE = (
    "Lab41-SRI-VOiCES-<room>-<distractor>-sp<NNNN>-ch<NNNNNN>-sg<NNNN>-mc<NN>-<mic>-<place>-dg<NNN>"
)


class Recording(NamedTuple):
    """What a name says.

    Attributes
    ----------
    speaker : str
        ``sp0307``.
    room, distractor, mic, place, angle : str
        ``rm1``; ``none``, ``babb``, ``musi``, ``tele``; ``stu``, ``lav``; ``clo``, ``far``, ...; degrees.  Of a source all are ``src``.
    session : str
        ``ch127535``: the chapter that was read, recorded from the reader at one time.
    """

    speaker: str
    room: str
    distractor: str
    mic: str
    place: str
    angle: str
    session: str


# Each becomes a map utt2<condition>.
CONDITIONS = ("room", "distractor", "mic", "place", "angle", "session")


def stem_of(path: str) -> str:
    """Name of a recording from its file's name or path.

    Parameters
    ----------
    path : str
        With or without folders and the end of the name.
    """
    name = path.rpartition("/")[2]
    return name[: name.rindex(".")] if name.lower().endswith((".wav", ".flac")) else name


def parse_name(stem: str) -> Recording | None:
    """Take a name apart; None where it is none of the corpus' names, as the anonymous ones of the evaluation set are.

    Parameters
    ----------
    stem : str
        File name without its end.
    """
    if found := PLAYED.fullmatch(stem):
        room, distractor, speaker, chapter, _, _, mic, place, degrees = found.groups()
        return Recording(speaker, room, distractor, mic, place, degrees, chapter)
    if found := SOURCE_NAME.fullmatch(stem):
        return Recording(found[1], SOURCE, SOURCE, SOURCE, SOURCE, SOURCE, found[2])
    return None


def utterance_id(stem: str, speaker: str) -> str:
    """Utterance id of a recording: it begins with the speaker, as Kaldi's order of lists needs, and repeats nothing.

    Parameters
    ----------
    stem : str
        File name without its end.
    speaker : str
        Who speaks.
    """
    return f"{speaker}-{stem.removeprefix('Lab41-SRI-VOiCES-').replace(f'-{speaker}-', '-')}"
