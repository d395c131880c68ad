"""Who speaks in VoxCeleb 1 and 2, and how much there is of each: the published counts, vox1_meta.csv and vox2_meta.csv."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError
from utils.files import read_foreign_lines
from utils.trials.voxceleb_names import read_meta

FILES = {"voxceleb1": "vox1_meta.csv", "voxceleb2": "vox2_meta.csv"}
TITLES = {
    "voxceleb1": ["VoxCeleb1 ID", "VGGFace1 ID", "Gender", "Nationality", "Set"],
    "voxceleb2": ["VoxCeleb2 ID", "VGGFace2 ID", "Gender", "Set"],
}
VOXCELEB1_IDS = range(10001, 11252)
VOXCELEB1_TEST_IDS = range(10270, 10310)  # in the first release the names that begin with E


class Published(NamedTuple):
    """How much of VoxCeleb there is, as its site says.

    Attributes
    ----------
    speakers, utterances : int
        Of one part.
    """

    speakers: int
    utterances: int


COUNTS = {
    ("voxceleb1", "dev"): Published(1_211, 148_642),
    ("voxceleb1", "test"): Published(40, 4_874),
    ("voxceleb2", "dev"): Published(5_994, 1_092_009),
    ("voxceleb2", "test"): Published(118, 36_237),
}


@dataclass
class Speakers:
    """What is known of speakers; ids are those of both corpora, which have none in common.

    Attributes
    ----------
    id_of : dict of str to str
        Name of VoxCeleb1's first release -> id.
    sex, nationality, part : dict of str to str
        Id -> m or f; country, with ``_`` for blanks; dev or test.  Nationality is known of VoxCeleb1 only.
    files : dict of str to path
        What was read.
    """

    id_of: dict[str, str] = field(default_factory=dict)
    sex: dict[str, str] = field(default_factory=dict)
    nationality: dict[str, str] = field(default_factory=dict)
    part: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def known(self, corpus: str, part: str) -> list[str]:
        """Ids of all speakers of a part, in byte order; empty where no list says them.

        Parameters
        ----------
        corpus : str
            ``voxceleb1`` or ``voxceleb2``.
        part : str
            ``dev`` or ``test``.
        """
        if corpus == "voxceleb1":
            return [
                f"id{number}"
                for number in VOXCELEB1_IDS
                if (number in VOXCELEB1_TEST_IDS) == (part == "test")
            ]
        return sorted(
            speaker
            for speaker, its_part in self.part.items()
            if its_part == part and not is_voxceleb1(speaker)
        )


def is_voxceleb1(speaker: str) -> bool:
    """Whether an id is one of VoxCeleb1; those of VoxCeleb2 begin with id0.

    Parameters
    ----------
    speaker : str
        ``id10001``.
    """
    return int(speaker[2:]) in VOXCELEB1_IDS


def corpus_of(speaker: str) -> str:
    """Which corpus an id belongs to.

    Parameters
    ----------
    speaker : str
        ``id10001``.
    """
    return "voxceleb1" if is_voxceleb1(speaker) else "voxceleb2"


def find_file(names: Iterable[str], folders: Iterable[Path | None]) -> Path | None:
    """The first file of one of these names in some folders or in a folder of theirs.

    Parameters
    ----------
    names : iterable of str
        In the order of preference.
    folders : iterable of path or None
        Where to look; those that are None or missing are passed over.
    """
    names = list(names)
    for folder in filter(None, folders):
        for name in names:
            if found := next(iter([*folder.glob(name), *sorted(folder.glob(f"*/{name}"))]), None):
                return found
    return None


def read_speakers(folders: Iterable[Path | None]) -> Speakers:
    """Read the lists of speakers that are there.

    Parameters
    ----------
    folders : iterable of path or None
        Where to look for them.

    Raises
    ------
    UserError
        One of them is another file, or names a speaker twice.
    """
    folders, speakers = list(folders), Speakers()
    for corpus, name in FILES.items():
        path = find_file([name], folders)
        if path is None:
            continue
        speakers.files[corpus] = path
        speakers.id_of |= read_meta(path) if corpus == "voxceleb1" else {}
        for number, row in _rows(path, TITLES[corpus]):
            speaker, sex, part = row["ID"], row["Gender"], row["Set"]
            if (
                not re.fullmatch(r"id\d{5}", speaker)
                or corpus_of(speaker) != corpus
                or sex not in ("m", "f")
                or part not in ("dev", "test")
            ):
                raise UserError(
                    f"{path}:{number}: found {list(row.values())}, expected an id of {corpus}, m or f, and dev or test; fetch it again"
                )
            speakers.sex[speaker], speakers.part[speaker] = sex, part
            if "Nationality" in row:
                speakers.nationality[speaker] = row["Nationality"].replace(" ", "_")
    return speakers


def _rows(path: Path, titles: list[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """Number and fields of each line; columns are separated by tabs (VoxCeleb1) or commas (VoxCeleb2), with blanks around them."""
    lines = [
        [field.strip() for field in re.split(r"[\t,]", line)] for line in read_foreign_lines(path)
    ]
    if not lines or lines[0][: len(titles)] != titles:
        raise UserError(f"{path}:1: expected the titles {', '.join(titles)}; fetch the file again")
    for number, fields in enumerate(lines[1:], 2):
        if len(fields) < len(titles):
            raise UserError(
                f"{path}:{number}: {len(fields)} fields, expected {len(titles)}; fetch the file again"
            )
        yield number, dict(zip(["ID", *titles[1:]], fields, strict=False))
