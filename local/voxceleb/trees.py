"""The files of VoxCeleb 1 and 2, at any depth below a folder.

    id10001/<video>/00001.wav (.flac, .m4a)      as distributed now; dev and test merged or apart
    First_Last/<video>_0000001.wav               VoxCeleb1's first release; ids in vox1_meta.csv

The id determines the corpus of a file and, in VoxCeleb1, its part (dev or test); in VoxCeleb2 the
part is in vox2_meta.csv, or from a folder called test.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from local.audio_tree import find_audio
from local.voxceleb.meta import COUNTS, VOXCELEB1_TEST_IDS, Speakers, speaker_corpus
from utils.audio.leftovers import describe_left_out
from utils.errors import UserError

WITH_IDS = re.compile(r"(?:(.*)/)?(id\d{5})/([^/\s]+)/(\d{5})\.\w+")
FIRST_RELEASE = re.compile(r"(?:(.*)/)?([^/\s]+)/([^/\s]+)_(\d{7})\.\w+")
TITLES = {"voxceleb1": "VoxCeleb1", "voxceleb2": "VoxCeleb2"}
LAYOUTS = {
    "voxceleb1": "[dev/|test/][wav/]id10001/<video>/00001.wav or First_Last/<video>_0000001.wav",
    "voxceleb2": "[dev/|test/][aac/|wav/]id00012/<video>/00001.m4a or .wav",
}
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z")
ARCHIVE_PART = re.compile(r"_part[a-z]{2}$")
TEST_FOLDERS = {"test", "eval", "eval_wav"}
# Of an utterance in several formats, the file with the lowest number is used.
PREFERRED = {".wav": 0, ".flac": 1, ".ogg": 2, ".m4a": 3}
MAX_DEPTH = 5  # of the speakers' folders


@dataclass
class Utterances:
    """The files of one corpus below a folder, and lines to print about them."""

    root: Path
    files: dict[str, tuple[str, int]] = field(default_factory=dict)  # path below the root, bytes
    part: dict[str, str] = field(default_factory=dict)  # speaker -> dev or test
    notes: list[str] = field(default_factory=list)

    def in_part(self, part: str) -> list[str]:
        """Utterances of ``dev`` or ``test``."""
        return [utterance for utterance in self.files if self.part[utterance[:7]] == part]


def find_utterances(root: Path, corpus: str, speakers: Speakers, jobs: int) -> Utterances:
    """All utterances of a corpus below a folder, listed by ``jobs`` threads, at least 8.

    UserError: there are none, a speaker is in two trees, or names have no ids.
    """
    listed, left_out = find_audio(root, jobs=max(8, jobs))
    result, folders = Utterances(Path(root)), _Folders(root)
    num_doubled, others = 0, []
    ids_by_path = _ids_of_first_release(root, listed, speakers, corpus)
    for file in listed:
        path = file[0]
        match = WITH_IDS.fullmatch(path)
        if match:
            speaker = match[2]
        else:
            match = FIRST_RELEASE.fullmatch(path)
            speaker = ids_by_path.get(path, "")
        if not match or not speaker or speaker_corpus(speaker) != corpus:
            others.append(path)
            continue
        folders.add(speaker, path, match[1] or ".")
        num_doubled += _add_file(result, f"{speaker}-{match[3]}-{match[4][-5:]}", file)
    if not result.files:
        nearest = _describe_nearest(root, corpus, listed)
        raise UserError(
            f"{root}: no {TITLES[corpus]} in it, expected {LAYOUTS[corpus]} at any depth; "
            f"{nearest}; correct the path"
        )
    for speaker, folder in folders.part.items():
        result.part[speaker] = speaker_part(speaker, speakers, folder)
    _refuse_merged(root, corpus, result, speakers)
    for tree, number in sorted(folders.trees.items()):
        result.notes.append(f"{root / tree}: {number:,} files of {TITLES[corpus]}")
    if left_out:
        result.notes.append(f"{root}: {describe_left_out(left_out)}")
    if num_doubled:
        result.notes.append(
            f"{root}: {num_doubled:,} utterances exist in two formats: the one that needs no "
            "ffmpeg is used"
        )
    if others:
        result.notes.append(
            f"{root}: {len(others):,} other audio files are not used, first {others[0]}"
        )
    return result


@dataclass
class _Folders:
    """Trees (folders of speakers' folders) and their files; tree and part of each speaker."""

    root: Path
    trees: Counter[str] = field(default_factory=Counter)
    speaker_trees: dict[tuple[str, str], str] = field(default_factory=dict)
    part: dict[str, str] = field(default_factory=dict)

    def add(self, speaker: str, path: str, tree: str) -> None:
        """Count a file of a speaker; UserError if the speaker has files in another tree."""
        part = "dev"
        if not TEST_FOLDERS.isdisjoint(tree.split("/")):
            part = "test"
        first_tree = self.speaker_trees.setdefault((speaker, _suffix(path)), tree)
        first_part = self.part.setdefault(speaker, part)
        if first_tree != tree or first_part != part:
            for (who, _), other in self.speaker_trees.items():
                if who == speaker and other != tree:
                    raise _two_trees(self.root, speaker, other, tree)
        self.trees[tree] += 1


def _add_file(result: Utterances, utterance: str, file: tuple[str, int]) -> bool:
    """Add the file of an utterance; whether it exists in another format too."""
    other = result.files.setdefault(utterance, file)
    if other is file:
        return False
    rank, other_rank = _rank(file[0]), _rank(other[0])
    if rank == other_rank:
        folders = os.path.dirname(other[0]), os.path.dirname(file[0])
        raise _two_trees(result.root, utterance[:7], *folders)
    if rank < other_rank:
        result.files[utterance] = file
    return True


def speaker_part(speaker: str, speakers: Speakers, folder: str = "dev") -> str:
    """``dev`` or ``test``; ``folder`` is for speakers of VoxCeleb2 that vox2_meta.csv lacks."""
    if speaker_corpus(speaker) == "voxceleb2":
        return speakers.part.get(speaker, folder)
    if int(speaker[2:]) in VOXCELEB1_TEST_IDS:
        return "test"
    return "dev"


def speaker_folders(root: Path) -> list[str]:
    """Folders down to those of speakers, links included; new speakers of a tree change them."""
    if not root.is_dir():
        return []
    folders, level = [], [""]
    for _ in range(MAX_DEPTH):
        below = []
        for folder in level:
            with os.scandir(os.path.join(root, folder)) as entries:
                below += [os.path.join(folder, entry.name) for entry in entries if entry.is_dir()]
        folders += below
        level = [folder for folder in below if not re.search(r"id\d{5}$", folder)]
    return sorted(folders)


def archives_in(root: Path) -> list[str]:
    """Names of archives, or of parts of one, in a folder and its subfolders."""
    names = []
    for path in [*root.glob("*"), *root.glob("*/*")]:
        is_archive = path.suffix.lower() in ARCHIVES or ARCHIVE_PART.search(path.name)
        if is_archive and path.is_file():
            names.append(path.name)
    return sorted(names)


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _rank(path: str) -> int:
    return PREFERRED[_suffix(path)]


def _ids_of_first_release(
    root: Path, listed: list[tuple[str, int]], speakers: Speakers, corpus: str
) -> dict[str, str]:
    """Path -> id of the files of VoxCeleb1's first release."""
    if corpus == "voxceleb2":
        return {}
    names = {}
    for path, _ in listed:
        if match := FIRST_RELEASE.fullmatch(path):
            names[path] = match[2]
    if names and not speakers.ids:
        raise UserError(
            f"{root}: {len(names):,} files have names of speakers as in VoxCeleb1's first release, "
            f"such as {next(iter(names))}, expected vox1_meta.csv with their ids; put it into that "
            "folder, or give its folder as --lists"
        )
    unknown = set(names.values()) - speakers.ids.keys()
    if unknown:
        raise UserError(
            f"{root}: {len(unknown):,} speakers are not in {speakers.files['voxceleb1']}, first "
            f"'{min(unknown)}'; rename or remove their folders"
        )
    return {path: speakers.ids[name] for path, name in names.items()}


def _two_trees(root: Path, speaker: str, *trees: str) -> UserError:
    first, second = sorted(str(root / tree) for tree in trees)
    return UserError(
        f"{first} and {second}: speaker {speaker} is in both, expected one; move one tree away, or "
        "give the other alone"
    )


def _refuse_merged(root: Path, corpus: str, result: Utterances, speakers: Speakers) -> None:
    """Refuse dev and test of VoxCeleb2 in one tree without the list that separates them."""
    if corpus != "voxceleb2" or corpus in speakers.files:
        return
    number, most = list(result.part.values()).count("dev"), COUNTS[corpus, "dev"].speakers
    if number > most:
        raise UserError(
            f"{root}: {number:,} speakers of VoxCeleb2, expected at most {most:,} of dev: test is "
            "among them, and vox2_meta.csv says which speakers those are; put it into that folder, "
            "or give its folder as --lists"
        )


def _describe_nearest(root: Path, corpus: str, listed: list[tuple[str, int]]) -> str:
    """What a folder without the corpus has instead."""
    if listed:
        first = listed[0][0]
        match = WITH_IDS.fullmatch(os.path.join(os.path.abspath(root), first))
        if not match:
            return f"nearest are {len(listed):,} audio files like {first}"
        other = speaker_corpus(match[2])
        if other == corpus:
            return f"it is inside the corpus {match[1]}"
        return f"it holds {TITLES[other]}, for example {first}"
    if archives := archives_in(root):
        return f"it holds archives that are not extracted: {', '.join(archives[:3])}"
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    if folders:
        return f"it has no audio, only the folders {', '.join(folders[:5])}"
    return "it is empty"
