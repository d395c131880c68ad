"""How VoxCeleb1's utterances are called: by speakers' names in its first release, by ids since; and what they are called here."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from utils.errors import UserError
from utils.files import read_foreign_lines

FIRST_RELEASE = re.compile(
    r"([^/\s]+)/([^/\s]+)_(\d{7})(?:\.wav)?"
)  # A.J._Buckley/1zcIwhmdeo4_0000001.wav
WITH_IDS = re.compile(r"(id\d{5})/([^/\s]+)/(\d{5})(?:\.wav)?")  # id10001/1zcIwhmdeo4/00001.wav
META_HEADER = ("VoxCeleb1 ID", "VGGFace1 ID")


def read_meta(path: Path) -> dict[str, str]:
    """Name of each speaker of VoxCeleb1 -> id, from the official list."""
    rows = [line.split("\t") for line in read_foreign_lines(path)]
    if not rows or tuple(title.strip() for title in rows[0][:2]) != META_HEADER:
        raise UserError(
            f"{path}:1: expected the titles '{META_HEADER[0]}' and '{META_HEADER[1]}' of vox1_meta.csv, separated by a tab"
        )
    id_of = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) < 2 or not re.fullmatch(r"id\d{5}", row[0]) or row[1] in id_of:
            raise UserError(
                f"{path}:{number}: found {row[:2]}, expected an id like id10001 and a name that has none yet"
            )
        id_of[row[1]] = row[0]
    return id_of


def utterance_ids(
    keys: Iterable[str], where: str, id_of: Mapping[str, str] | None = None
) -> dict[str, tuple[str, str]]:
    """What utterances of VoxCeleb are called here."""
    pattern, example = (
        (WITH_IDS, "id10001/1zcIwhmdeo4/00001")
        if id_of is None
        else (FIRST_RELEASE, "A.J._Buckley/1zcIwhmdeo4_0000001.wav")
    )
    hits = {key: pattern.fullmatch(key) for key in keys}
    found = {key: hit for key, hit in hits.items() if hit}
    if odd := [key for key in hits if key not in found]:
        raise UserError(
            f"{where}: {len(odd)} of {len(hits)} keys are not like {example}: {listed(odd)}; is --kind right?"
        )
    if id_of is not None and (names := sorted({hit[1] for hit in found.values()} - id_of.keys())):
        raise UserError(f"{where}: {len(names)} speakers are not in --meta: {listed(names)}")
    speaker_of = {key: hit[1] if id_of is None else id_of[hit[1]] for key, hit in found.items()}
    return {
        key: (f"{speaker_of[key]}-{hit[2]}-{int(hit[3]):05d}", speaker_of[key])
        for key, hit in found.items()
    }


def listed(names: list[str], most: int = 20) -> str:
    """Names in a line."""
    return ", ".join(repr(name[:80]) for name in names[:most]) + (", ..." if names[most:] else "")
