"""The folders of VCTK as distributed, versions 0.80 and 0.92: recordings, texts and speakers."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.audio_tree import ANY, find_audio, list_audio, listing_digest
from local.corpus import read_protocol
from utils.audio.leftovers import system_file_kind
from utils.errors import UserError

# Folder of the recordings -> version and its number of speakers.
# Source: README of either version; in 0.92 p280 and p315 have no recordings of microphone 2, in
# both p315 has no texts.
VERSIONS = {"wav48": ("0.80", 109), "wav48_silence_trimmed": ("0.92", 110)}
RECORDING = re.compile(
    r"(?P<speaker>[ps]\d+)_(?P<number>\d{3})(_mic(?P<mic>[12]))?\.(wav|flac)", re.IGNORECASE
)
SPEAKER = re.compile(r"[ps]\d+")
# Levels of folders that are searched: archives unpack to VCTK-Corpus/, mirrors put that into
# another folder of the same name.
MAX_DEPTH = 2
SEXES = {"M": "m", "F": "f"}


@dataclass
class Tree:
    """The content of a VCTK folder; utterances are ``p225_001``."""

    audio: Path  # folder of the recordings; txt/ and speaker-info.txt are beside it
    # Path below `audio` of the file of the chosen microphone, and its bytes.
    recordings: dict[str, tuple[str, int]] = field(default_factory=dict)
    texts: dict[str, Path] = field(default_factory=dict)
    speakers: list[str] = field(default_factory=list)  # with recordings, of any microphone
    empty: list[str] = field(default_factory=list)  # with a folder and no recordings in it
    other_files: int = 0  # in `audio`, that are not recordings
    left_out: Counter[str] = field(default_factory=Counter)  # from `find_audio`
    digest: str = ""  # of the names and sizes of all files

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
        """Number of speakers of the version."""
        return VERSIONS[self.audio.name][1]


def read_tree(given: Path, mic: int = 1) -> Tree:
    """Find the corpus at most two folders below ``given`` and list its files, unopened.

    Microphone 2 is of version 0.92 only. UserError: the folder or the microphone does not exist,
    there are several corpora, an utterance has two files, or a recording is in another speaker's
    folder.
    """
    tree = Tree(_find_recordings(given))
    _check_microphone(tree, mic)
    files, tree.left_out = find_audio(tree.audio, ANY)
    texts = []
    if (tree.root / "txt").is_dir():
        texts = list_audio(tree.root / "txt", (".txt",))
    listing = list(files)
    for path, size in texts:
        listing.append((f"txt/{path}", size))
        tree.texts[Path(path).stem] = tree.root / "txt" / path
    tree.digest = listing_digest(listing)
    speakers = set()
    for path, size in files:
        if _add_recording(tree, path, size, mic):
            speakers.add(path.partition("/")[0])
    tree.speakers = sorted(speakers)
    if not tree.speakers:
        expected = "p225/p225_001_mic1.flac"
        if tree.version == "0.80":
            expected = "p225/p225_001.wav"
        raise UserError(
            f"{tree.audio}: no recordings in it, expected some such as {expected}; extract the "
            "corpus again"
        )
    folders = [folder.name for folder in _folders_in(tree.audio)]
    tree.empty = [name for name in folders if SPEAKER.fullmatch(name) and name not in speakers]
    return tree


def _check_microphone(tree: Tree, mic: int) -> None:
    if tree.version == "0.80" and mic != 1:
        raise UserError(
            f"--mic is {mic}, expected 1: {tree.audio} is of version 0.80, which has one microphone"
        )
    if mic not in (1, 2):
        raise UserError(f"--mic is {mic}, expected 1 or 2")


def _find_recordings(given: Path) -> Path:
    """The folder of the recordings."""
    if not given.is_dir():
        raise UserError(
            f"{given}: no such folder, expected the one that holds "
            f"{' (0.80) or '.join(VERSIONS)} (0.92); correct --vctk"
        )
    matches = [folder for folder in folders_below(given, MAX_DEPTH) if folder.name in VERSIONS]
    if len(matches) > 1:
        names = " and ".join(str(folder) for folder in matches)
        raise UserError(f"{given}: holds {names}, expected one VCTK; give the folder above one")
    if not matches:
        raise UserError(
            f"{given}: neither wav48/ (VCTK 0.80) nor wav48_silence_trimmed/ (0.92) in it or two "
            f"folders below; {describe_nearest(given)}; correct --vctk"
        )
    return matches[0]


def describe_nearest(given: Path) -> str:
    """What a folder without VCTK has instead, as a text."""
    if given.name in VERSIONS:
        return f"it is {given.name}/ itself: give the folder above it"
    for folder in [given, *folders_below(given, MAX_DEPTH)]:
        speakers = [each.name for each in _folders_in(folder) if SPEAKER.fullmatch(each.name)]
        if speakers:
            return f"the nearest is {folder}, which has {speakers[0]}/ but another name"
        if folder.name.startswith(("clean_", "noisy_")) and folder.name.endswith("_wav"):
            return f"the nearest is {folder}, of the noisy VCTK, which is for --noisy-vctk"
    names = [folder.name + "/" for folder in _folders_in(given)[:3]]
    if not names:
        return "it holds no folders"
    return f"it holds {', '.join(names)}"


def _add_recording(tree: Tree, path: str, size: int, mic: int) -> bool:
    """Add a file if it is a recording of the microphone; whether it is one of any microphone."""
    folder, _, name = path.partition("/")
    match = RECORDING.fullmatch(name)
    if not match or bool(match["mic"]) != (tree.version == "0.92"):
        tree.other_files += 1
        return False
    if match["speaker"] != folder:
        raise UserError(
            f"{tree.audio / path}: a recording of {match['speaker']} in the folder of {folder}, "
            "expected one speaker in each; remove it or extract the corpus again"
        )
    if int(match["mic"] or mic) == mic:
        utterance = f"{match['speaker']}_{match['number']}"
        other, _ = tree.recordings.setdefault(utterance, (path, size))
        if other != path:
            raise UserError(
                f"{tree.audio / path}: {other} is the same utterance {utterance}, expected one "
                "file for each; remove one"
            )
    return True


def _folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, in byte order; none if it does not exist."""
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    return [folder / name for name in names if not system_file_kind(name)]


def folders_below(folder: Path, max_depth: int) -> Iterator[Path]:
    """Folders inside a folder, and up to ``max_depth`` levels deeper; not those of recordings."""
    for each in _folders_in(folder):
        yield each
        if max_depth and each.name not in (*VERSIONS, "txt") and not SPEAKER.fullmatch(each.name):
            yield from folders_below(each, max_depth - 1)


def read_text(path: Path) -> str:
    """The text of a file of txt/, with single blanks."""
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start} is not UTF-8; extract the corpus again"
        ) from None


def read_speaker_info(path: Path) -> dict[str, dict[str, str]]:
    """``spk2gender`` (m or f), ``spk2age`` and ``spk2accent`` from speaker-info.txt.

    Speakers are ``225`` (0.80), or ``p225`` and ``s5`` (0.92); fields are ID, age, sex, accent,
    region and, in 0.92, a comment. Of an accent of two words (``Australian  English``) the first is
    used. UserError: a speaker comes twice, or a field is missing or wrong.
    """
    spk2gender: dict[str, str] = {}
    spk2age: dict[str, str] = {}
    spk2accent: dict[str, str] = {}
    for name, rest in read_protocol(path).items():
        if name.upper() == "ID":
            continue
        speaker = name
        if name.isdigit():
            speaker = f"p{name}"
        if speaker in spk2age:
            raise UserError(
                f"{path}: speaker {speaker} comes twice, expected once; fetch the file again"
            )
        fields = rest.split()
        if len(fields) < 3 or not fields[0].isdigit() or fields[1].upper() not in SEXES:
            raise UserError(
                f"{path}: '{name} {rest}', expected ID, age, M or F, accent, region; fetch the "
                "file again"
            )
        age, sex, accent = fields[:3]
        spk2age[speaker], spk2gender[speaker] = age, SEXES[sex.upper()]
        spk2accent[speaker] = accent
    return {"spk2gender": spk2gender, "spk2age": spk2age, "spk2accent": spk2accent}
