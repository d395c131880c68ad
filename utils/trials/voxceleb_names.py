"""Names of VoxCeleb1's utterances: with speakers' names in its first release, with ids since."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import read_foreign_lines

# A.J._Buckley/1zcIwhmdeo4_0000001.wav
FIRST_RELEASE = re.compile(r"([^/\s]+)/([^/\s]+)_(\d{7})(?:\.wav)?")
WITH_IDS = re.compile(r"(id\d{5})/([^/\s]+)/(\d{5})(?:\.wav)?")  # id10001/1zcIwhmdeo4/00001.wav
META_HEADER = ("VoxCeleb1 ID", "VGGFace1 ID")


def read_meta(path: Path) -> dict[str, str]:
    """Read the official ``vox1_meta.csv``: name of each speaker -> id.

    UserError for another file, or a repeated name.
    """
    rows = [line.split("\t") for line in read_foreign_lines(path)]
    if not rows or tuple(title.strip() for title in rows[0][:2]) != META_HEADER:
        raise UserError(
            f"{path}:1: expected the titles '{META_HEADER[0]}' and '{META_HEADER[1]}' "
            "of vox1_meta.csv, separated by a tab"
        )
    ids: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) < 2 or not re.fullmatch(r"id\d{5}", row[0]) or row[1] in ids:
            raise UserError(
                f"{path}:{number}: found {row[:2]}, "
                "expected an id like id10001 and a name that no other line has"
            )
        ids[row[1]] = row[0]
    return ids


def utterance_ids(
    keys: Iterable[str], where: str, id_of: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """Our utterance id ``<speaker>-<video>-<segment>`` and the speaker of each key.

    Keys are paths below the corpus' folder, with the ending ``.wav`` or without, that have ids, or
    names of the first release if ``id_of`` (name -> id) is given.  ``where``: their file, for
    messages.  UserError for other keys, and for names without an id.
    """
    if id_of is None:
        pattern, example = WITH_IDS, "id10001/1zcIwhmdeo4/00001"
    else:
        pattern, example = FIRST_RELEASE, "A.J._Buckley/1zcIwhmdeo4_0000001.wav"
    matches, others = {}, []
    for key in keys:
        match = pattern.fullmatch(key)
        if match:
            matches[key] = match
        else:
            others.append(key)
    if others:
        raise UserError(
            f"{where}: {len(others)} of {len(others) + len(matches)} keys are not like {example}: "
            f"{listed(others)}; is --kind right?"
        )
    if id_of is not None:
        unknown = sorted({match[1] for match in matches.values()} - id_of.keys())
        if unknown:
            raise UserError(
                f"{where}: {len(unknown)} speakers are not in --meta: {listed(unknown)}"
            )
    utterances = {}
    for key, match in matches.items():
        name, video, segment = match.groups()
        speaker = name if id_of is None else id_of[name]
        utterances[key] = f"{speaker}-{video}-{int(segment):05d}", speaker
    return utterances


def listed(names: list[str], most: int = 20) -> str:
    """The first names in a line, for messages."""
    shown = [repr(name[:80]) for name in names[:most]]
    return ", ".join(shown) + (", ..." if len(names) > most else "")
