"""The folders of VCTK as they are distributed, versions 0.80 and 0.92: which files are recordings, which texts and speakers belong to them."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.audio_tree import ANY, find_audio, list_audio, listing_digest
from local.corpus import read_protocol
from utils.audio.leftovers import left_by_system
from utils.errors import UserError

# Folder of the recordings -> version and its number of speakers.
# Source: README of either version; in 0.92 p280 and p315 have no recordings of microphone 2, in both p315 has no texts.
VERSIONS = {"wav48": ("0.80", 109), "wav48_silence_trimmed": ("0.92", 110)}
RECORDING = re.compile(
    r"(?P<speaker>[ps]\d+)_(?P<number>\d{3})(_mic(?P<mic>[12]))?\.(wav|flac)", re.IGNORECASE
)
SPEAKER = re.compile(r"[ps]\d+")
DEEPEST = 2  # folders below the one given in which a tree is looked for: archives unpack to VCTK-Corpus/, mirrors put that into another of its name
SEXES = {"M": "m", "F": "f"}


@dataclass
class Tree:
    """What lies in a VCTK folder.

    Attributes
    ----------
    audio : path
        Folder of the recordings; txt/ and speaker-info.txt are beside it.
    recordings : dict of str to (str, int)
        Utterance (``p225_001``) -> file of the microphone asked for, its path below ``audio``, and its bytes.
    texts : dict of str to path
        Utterance -> file.
    speakers : list of str
        Those with recordings, of any microphone; byte order.
    empty : list of str
        Those with a folder and no recordings in it.
    other_files : int
        Files among the recordings that are none.
    left_out : Counter of str
        What systems left among the recordings, from `find_audio`.
    digest : str
        Of the names and sizes of all files, to tell one state of the folder from another.
    """

    audio: Path
    recordings: dict[str, tuple[str, int]] = field(default_factory=dict)
    texts: dict[str, Path] = field(default_factory=dict)
    speakers: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    other_files: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    digest: str = ""

    @property
    def root(self) -> Path:
        """Holds the folder of the recordings, txt/ and speaker-info.txt."""
        return self.audio.parent

    @property
    def version(self) -> str:
        """``0.80`` or ``0.92``."""
        return VERSIONS[self.audio.name][0]

    @property
    def published_speakers(self) -> int:
        """How many the version has."""
        return VERSIONS[self.audio.name][1]


def read_tree(given: Path, mic: int = 1) -> Tree:
    """Find the corpus and list its files; none of them is opened.

    Parameters
    ----------
    given : path
        Holds wav48/ (0.80) or wav48_silence_trimmed/ (0.92), itself or at most two folders below.
    mic : int
        Microphone, 1 or 2; version 0.80 has one only.

    Raises
    ------
    UserError
        No such folder, or several; a microphone that there is not; two files of one utterance; a recording in another speaker's folder.
    """
    tree = Tree(_find_audio(given))
    if mic not in (1, 2) or (mic == 2 and tree.version == "0.80"):
        known = (
            " or 2"
            if tree.version == "0.92"
            else f": {tree.audio} is of version 0.80, which has one microphone"
        )
        raise UserError(f"--mic is {mic}, expected 1{known}")
    sound, tree.left_out = find_audio(tree.audio, ANY)
    words = list_audio(tree.root / "txt", (".txt",)) if (tree.root / "txt").is_dir() else []
    tree.digest = listing_digest([*sound, *((f"txt/{path}", size) for path, size in words)])
    tree.speakers = sorted(
        {path.partition("/")[0] for path, size in sound if _add_recording(tree, path, size, mic)}
    )
    tree.empty = [
        folder.name
        for folder in _folders_in(tree.audio)
        if SPEAKER.fullmatch(folder.name) and folder.name not in tree.speakers
    ]
    if not tree.speakers:
        expected = "p225/p225_001.wav" if tree.version == "0.80" else "p225/p225_001_mic1.flac"
        raise UserError(
            f"{tree.audio}: no recordings in it, expected some such as {expected}; extract the corpus again"
        )
    tree.texts = {Path(path).stem: tree.root / "txt" / path for path, _ in words}
    return tree


def _find_audio(given: Path) -> Path:
    """The folder of the recordings."""
    if not given.is_dir():
        raise UserError(
            f"{given}: no such folder; --vctk names the one that holds {' (0.80) or '.join(VERSIONS)} (0.92)"
        )
    found = [folder for folder in folders_below(given, DEEPEST) if folder.name in VERSIONS]
    if len(found) > 1:
        raise UserError(
            f"{given}: holds {' and '.join(map(str, found))}, expected one VCTK; name the folder above the one that is meant"
        )
    if not found:
        raise UserError(
            f"{given}: neither wav48/ (VCTK 0.80) nor wav48_silence_trimmed/ (0.92) in it or two folders below; {nearest(given)}; "
            "correct --vctk"
        )
    return found[0]


def nearest(given: Path) -> str:
    """What comes nearest to the corpus, in words.

    Parameters
    ----------
    given : path
        Folder in which there is no VCTK.
    """
    if given.name in VERSIONS:
        return f"it is {given.name}/ itself: give the folder above it"
    for folder in [given, *folders_below(given, DEEPEST)]:
        speakers = [each.name for each in _folders_in(folder) if SPEAKER.fullmatch(each.name)]
        if speakers:
            return f"the nearest is {folder}, which has {speakers[0]}/ but is called neither"
        if folder.name.startswith(("clean_", "noisy_")) and folder.name.endswith("_wav"):
            return f"the nearest is {folder}, of the noisy VCTK, which is for --noisy-vctk"
    names = [folder.name + "/" for folder in _folders_in(given)[:3]]
    return f"it holds {', '.join(names)}" if names else "it holds no folders"


def _add_recording(tree: Tree, path: str, size: int, mic: int) -> bool:
    """Enter a file among the recordings; True when it is one, of whatever microphone."""
    folder, _, name = path.partition("/")
    found = RECORDING.fullmatch(name)
    if not found or bool(found["mic"]) != (tree.version == "0.92"):
        tree.other_files += 1
        return False
    if found["speaker"] != folder:
        raise UserError(
            f"{tree.audio / path}: a recording of {found['speaker']} in the folder of {folder}, expected one speaker in each; "
            "remove it or extract the corpus again"
        )
    if int(found["mic"] or mic) == mic:
        utterance = f"{found['speaker']}_{found['number']}"
        other, _ = tree.recordings.setdefault(utterance, (path, size))
        if other != path:
            raise UserError(
                f"{tree.audio / path}: {other} is the same utterance {utterance}, expected one file for each; remove one"
            )
    return True


def _folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, in byte order; none where it does not exist."""
    return (
        sorted(
            (
                Path(entry.path)
                for entry in os.scandir(folder)
                if entry.is_dir() and not left_by_system(entry.name)
            ),
            key=lambda each: each.name,
        )
        if folder.is_dir()
        else []
    )


def folders_below(folder: Path, deepest: int) -> Iterator[Path]:
    """Folders below a folder, but not those in a folder of recordings.

    Parameters
    ----------
    folder : path
        Where to begin.
    deepest : int
        How many folders lie between at most.
    """
    for each in _folders_in(folder):
        yield each
        if deepest and each.name not in (*VERSIONS, "txt") and not SPEAKER.fullmatch(each.name):
            yield from folders_below(each, deepest - 1)


def read_text(path: Path) -> str:
    """The words of one text.

    Parameters
    ----------
    path : path
        A file of txt/.
    """
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; extract the corpus again"
        ) from None


def read_speaker_info(path: Path) -> dict[str, dict[str, str]]:
    """``spk2gender`` (m or f), ``spk2age`` and ``spk2accent`` of every speaker of a speaker-info.txt.

    Speakers stand there as ``225`` (0.80) or ``p225`` and ``s5`` (0.92); fields are ID, age, sex, accent, region and, in 0.92, a comment.
    Of an accent of two words (``Australian  English``) the first counts.

    Parameters
    ----------
    path : path
        Of the corpus.

    Raises
    ------
    UserError
        A speaker is there twice, or a field is missing or is not what it should be.
    """
    found: dict[str, dict[str, str]] = {"spk2gender": {}, "spk2age": {}, "spk2accent": {}}
    for name, rest in read_protocol(path).items():
        fields = rest.split()
        if name.upper() == "ID":
            continue
        speaker = f"p{name}" if name.isdigit() else name
        if speaker in found["spk2age"]:
            raise UserError(f"{path}: speaker {speaker} is there twice; fetch the file again")
        if len(fields) < 3 or not fields[0].isdigit() or fields[1].upper() not in SEXES:
            raise UserError(
                f"{path}: '{name} {rest}', expected ID, age, M or F, accent, region; fetch the file again"
            )
        found["spk2age"][speaker], found["spk2gender"][speaker], found["spk2accent"][speaker] = (
            fields[0],
            SEXES[fields[1].upper()],
            fields[2],
        )
    return found
