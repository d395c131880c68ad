"""Speakers of VoxCeleb 1 and 2: published counts, vox1_meta.csv and vox2_meta.csv."""

import re
from collections.abc import Iterable, Iterator
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
    """Numbers of speakers and utterances of one part, from VoxCeleb's site."""

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
    """Speakers of the lists, by id; the corpora have no ids in common."""

    ids: dict[str, str] = field(default_factory=dict)  # of names in VoxCeleb1's first release
    sex: dict[str, str] = field(default_factory=dict)  # m or f
    nationality: dict[str, str] = field(default_factory=dict)  # VoxCeleb1 only; _ for blanks
    part: dict[str, str] = field(default_factory=dict)  # dev or test
    files: dict[str, Path] = field(default_factory=dict)  # corpus -> list that was read

    def known(self, corpus: str, part: str) -> list[str]:
        """Ids of all speakers of ``dev`` or ``test``, in byte order; empty if no list has them."""
        if corpus == "voxceleb1":
            is_test = part == "test"
            numbers = [n for n in VOXCELEB1_IDS if (n in VOXCELEB1_TEST_IDS) == is_test]
            return [f"id{number}" for number in numbers]
        in_part = [speaker for speaker, its_part in self.part.items() if its_part == part]
        return sorted(speaker for speaker in in_part if not is_voxceleb1(speaker))


def is_voxceleb1(speaker: str) -> bool:
    """Whether an id (``id10001``) is of VoxCeleb1; those of VoxCeleb2 begin with id0."""
    return int(speaker[2:]) in VOXCELEB1_IDS


def speaker_corpus(speaker: str) -> str:
    """``voxceleb1`` or ``voxceleb2``, from an id."""
    if is_voxceleb1(speaker):
        return "voxceleb1"
    return "voxceleb2"


def find_file(names: Iterable[str], folders: Iterable[Path | None]) -> Path | None:
    """The first file of one of these names in some folders (None: skipped) or their subfolders."""
    names = list(names)
    for folder in folders:
        if folder is None:
            continue
        for name in names:
            for path in [*folder.glob(name), *sorted(folder.glob(f"*/{name}"))]:
                return path
    return None


def read_speakers(folders: Iterable[Path | None]) -> Speakers:
    """Read the lists of speakers in some folders.

    UserError: a list is another file, or has a speaker twice.
    """
    folders, speakers = list(folders), Speakers()
    for corpus, name in FILES.items():
        path = find_file([name], folders)
        if path is None:
            continue
        speakers.files[corpus] = path
        if corpus == "voxceleb1":
            speakers.ids |= read_meta(path)
        for number, row in _read_rows(path, TITLES[corpus]):
            speaker, sex, part = row["ID"], row["Gender"], row["Set"]
            is_id = re.fullmatch(r"id\d{5}", speaker) and speaker_corpus(speaker) == corpus
            if not is_id or sex not in ("m", "f") or part not in ("dev", "test"):
                raise UserError(
                    f"{path}:{number}: '{' '.join(row.values())}', expected an id of {corpus}, "
                    "m or f, and dev or test; fetch it again"
                )
            speakers.sex[speaker], speakers.part[speaker] = sex, part
            if "Nationality" in row:
                speakers.nationality[speaker] = row["Nationality"].replace(" ", "_")
    return speakers


def _read_rows(path: Path, titles: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and fields of each line; tabs (VoxCeleb1) or commas (VoxCeleb2) separate columns."""
    lines = [re.split(r"[\t,]", line) for line in read_foreign_lines(path)]
    rows = [[text.strip() for text in line] for line in lines]
    if not rows or rows[0][: len(titles)] != titles:
        raise UserError(f"{path}:1: expected the titles {', '.join(titles)}; fetch the file again")
    for number, fields in enumerate(rows[1:], 2):
        if len(fields) < len(titles):
            raise UserError(
                f"{path}:{number}: {len(fields)} fields, expected {len(titles)}; fetch the file "
                "again"
            )
        yield number, dict(zip(["ID", *titles[1:]], fields, strict=False))
