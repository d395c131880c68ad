"""The files of VoxCeleb 1 and 2, whatever the folders above the speakers are called.

Found are, below the folder that is given, at any depth:

    id10001/<video>/00001.wav (.flac, .m4a)      as distributed now; dev and test merged or apart
    First_Last/<video>_0000001.wav               VoxCeleb1's first release; vox1_meta.csv says whose id that is

The id says which corpus a file belongs to, and in VoxCeleb1 whether it is of dev or test; in VoxCeleb2 vox2_meta.csv does, or a folder called test.
"""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from local.audio_tree import find_audio
from local.voxceleb.meta import COUNTS, VOXCELEB1_TEST_IDS, Speakers, corpus_of
from utils.audio.leftovers import left_out_in_words
from utils.errors import UserError

WITH_IDS = re.compile(r"(?:(.*)/)?(id\d{5})/([^/\s]+)/(\d{5})\.\w+")
FIRST_RELEASE = re.compile(r"(?:(.*)/)?([^/\s]+)/([^/\s]+)_(\d{7})\.\w+")
TITLES = {"voxceleb1": "VoxCeleb1", "voxceleb2": "VoxCeleb2"}
LAYOUTS = {
    "voxceleb1": "[dev/|test/][wav/]id10001/<video>/00001.wav or First_Last/<video>_0000001.wav",
    "voxceleb2": "[dev/|test/][aac/|wav/]id00012/<video>/00001.m4a or .wav",
}
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".rar", ".7z")
# Where an utterance is there in several formats: the lowest number is taken.
PREFERRED = {".wav": 0, ".flac": 1, ".ogg": 2, ".m4a": 3}
MOST_DEPTH = 5  # of the speakers' folders


@dataclass
class Utterances:
    """What was found of one corpus.

    Attributes
    ----------
    root : path
        The folder that was given.
    files : dict of str to (str, int)
        Utterance -> path below the root, bytes.
    part : dict of str to str
        Speaker -> ``dev`` or ``test``.
    said : list of str
        What was found, line by line.
    """

    root: Path
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    part: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def of_part(self, part: str) -> list[str]:
        """Utterances of dev or test.

        Parameters
        ----------
        part : str
            Which.
        """
        return [utterance for utterance in self.files if self.part[utterance[:7]] == part]


def find_utterances(root: Path, corpus: str, speakers: Speakers, jobs: int) -> Utterances:
    """All utterances of a corpus below a folder.

    Parameters
    ----------
    root : path
        Where to look.
    corpus : str
        ``voxceleb1`` or ``voxceleb2``.
    speakers : Speakers
        What is known of them.
    jobs : int
        Processes asked for; as many threads list, and at least 8.

    Raises
    ------
    UserError
        There is none, a speaker is there twice, or names have no id.
    """
    listed, left_out = find_audio(root, jobs=max(8, jobs))
    found, folders = Utterances(Path(root)), _Folders(root)
    converted, other = 0, []
    names = _names_used(root, listed, speakers, corpus)
    for file in listed:
        path = file[0]
        match = WITH_IDS.fullmatch(path)
        speaker = match[2] if match else names.get(path)
        if speaker is None or corpus_of(speaker) != corpus:
            other.append(path)
            continue
        match = match or FIRST_RELEASE.fullmatch(path)
        assert match is not None  # `names` holds such paths alone
        folders.add(speaker, path, match[1] or ".")
        converted += _add_file(found, f"{speaker}-{match[3]}-{match[4][-5:]}", file)
    if not found.files:
        nearest = _nearest(root, corpus, listed)
        raise UserError(
            f"{root}: no {TITLES[corpus]} in it, looked for {LAYOUTS[corpus]} at any depth; {nearest}; correct the path"
        )
    found.part = {
        speaker: part_of(speaker, speakers, folder) for speaker, folder in folders.part.items()
    }
    _refuse_merged(root, corpus, found, speakers)
    found.said = [
        f"{root / tree}: {number:,} files of {TITLES[corpus]}"
        for tree, number in sorted(folders.trees.items())
    ]
    if left_out:
        found.said.append(f"{root}: {left_out_in_words(left_out)}")
    if converted:
        found.said.append(
            f"{root}: {converted:,} utterances are there in two formats: the one that needs no ffmpeg is taken"
        )
    if other:
        found.said.append(
            f"{root}: {len(other):,} other audio files are left alone, first {other[0]}"
        )
    return found


@dataclass
class _Folders:
    """What lies above the speakers' folders: files of each tree, the tree of each speaker and format, the part that folders say."""

    root: Path
    trees: Counter[str] = field(default_factory=Counter)
    tree_of: dict[tuple[str, str], str] = field(default_factory=dict)
    part: dict[str, str] = field(default_factory=dict)

    def add(self, speaker: str, path: str, tree: str) -> None:
        """Note a file of a speaker, who may be in one tree alone."""
        part = "test" if {"test", "eval", "eval_wav"} & set(tree.split("/")) else "dev"
        if (
            self.tree_of.setdefault((speaker, _suffix(path)), tree) != tree
            or self.part.setdefault(speaker, part) != part
        ):
            first = next(
                other
                for (who, _), other in self.tree_of.items()
                if who == speaker and other != tree
            )
            raise UserError(_twice(self.root, speaker, first, tree))
        self.trees[tree] += 1


def _add_file(found: Utterances, utterance: str, file: tuple[str, int]) -> bool:
    """Note the file of an utterance; whether it is there in another format too."""
    before = found.files.setdefault(utterance, file)
    if before is file:
        return False
    found.files[utterance] = min(before, file, key=lambda either: _rank(either[0]))
    if _rank(before[0]) == _rank(file[0]):
        folders = os.path.dirname(before[0]), os.path.dirname(file[0])
        raise UserError(_twice(found.root, utterance[:7], *folders))
    return True


def part_of(speaker: str, speakers: Speakers, folder: str = "dev") -> str:
    """Whether a speaker is of dev or of test.

    Parameters
    ----------
    speaker : str
        Id.
    speakers : Speakers
        What is known.
    folder : str
        What the folders say, for VoxCeleb2 without vox2_meta.csv.
    """
    if corpus_of(speaker) == "voxceleb1":
        return "test" if int(speaker[2:]) in VOXCELEB1_TEST_IDS else "dev"
    return speakers.part.get(speaker, folder)


def speaker_folders(root: Path) -> list[str]:
    """Folders below a root, down to those of speakers: what tells quickly that a tree has grown.

    Parameters
    ----------
    root : path
        Where to look; links are followed.
    """
    found, level = [], [""]
    for _ in range(MOST_DEPTH if root.is_dir() else 0):
        below = []
        for folder in level:
            with os.scandir(os.path.join(root, folder)) as entries:
                below += [os.path.join(folder, entry.name) for entry in entries if entry.is_dir()]
        found += below
        level = [folder for folder in below if not re.search(r"id\d{5}$", folder)]
    return sorted(found)


def archives_in(root: Path) -> list[str]:
    """Names of archives, or parts of one, that lie in a folder or a folder of it.

    Parameters
    ----------
    root : path
        Where to look.
    """
    return sorted(
        path.name
        for pattern in ("*", "*/*")
        for path in root.glob(pattern)
        if path.is_file()
        and (path.suffix.lower() in ARCHIVES or re.search(r"_part[a-z]{2}$", path.name))
    )


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _rank(path: str) -> int:
    return PREFERRED[_suffix(path)]


def _names_used(
    root: Path, listed: list[tuple[str, int]], speakers: Speakers, corpus: str
) -> dict[str, str]:
    """Path -> id of the files of VoxCeleb1's first release."""
    if corpus == "voxceleb2":
        return {}
    matches = {path: match for path, _ in listed if (match := FIRST_RELEASE.fullmatch(path))}
    if matches and not speakers.id_of:
        raise UserError(
            f"{root}: {len(matches):,} files have names of speakers as in VoxCeleb1's first release, like {next(iter(matches))}, and "
            "vox1_meta.csv, which says whose ids these are, is missing; put it into that folder, or name its folder with --lists"
        )
    unknown = sorted({match[2] for match in matches.values()} - speakers.id_of.keys())
    if unknown:
        raise UserError(
            f"{root}: {len(unknown):,} speakers are not in {speakers.files['voxceleb1']}, first '{unknown[0]}'; "
            "rename or remove their folders"
        )
    return {path: speakers.id_of[match[2]] for path, match in matches.items()}


def _twice(root: Path, speaker: str, *trees: str) -> str:
    folders = sorted(str(root / tree) for tree in trees)
    return f"{folders[0]} and {folders[1]}: speaker {speaker} is there twice; move one tree away, or name the other alone"


def _refuse_merged(root: Path, corpus: str, found: Utterances, speakers: Speakers) -> None:
    most = COUNTS[corpus, "dev"].speakers
    if (
        corpus == "voxceleb2"
        and corpus not in speakers.files
        and (number := list(found.part.values()).count("dev")) > most
    ):
        raise UserError(
            f"{root}: {number:,} speakers of VoxCeleb2, expected at most {most:,} of dev: test is among them, and who that is stands in "
            "vox2_meta.csv; put it into that folder, or name its folder with --lists"
        )


def _nearest(root: Path, corpus: str, listed: list[tuple[str, int]]) -> str:
    """What comes nearest to a corpus in a folder that holds none."""
    if listed:
        whole = os.path.join(os.path.abspath(root), listed[0][0])
        if (match := WITH_IDS.fullmatch(whole)) and corpus_of(match[2]) == corpus:
            return f"it lies inside of one, whose folder is {match[1]}"
        if match:
            return f"it holds {TITLES[corpus_of(match[2])]}, for example {listed[0][0]}"
        return f"nearest are {len(listed):,} audio files like {listed[0][0]}"
    if archives := archives_in(root):
        return f"it holds archives that are not extracted: {', '.join(archives[:3])}"
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    return (
        f"it has no audio, only the folders {', '.join(folders[:5])}" if folders else "it is empty"
    )
