"""The amount of audio that tasks of a plan work on.

It comes from the utt2dur of a data directory; before that exists, from the directories that this
one will be made from, or else from the corpus.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from utils.audio.leftovers import system_file_kind
from utils.data_dir.lists import read_map
from utils.receipts import Task

LISTS = ("wav.scp", "feats.scp")  # inputs with these names are in a data directory
# options and directories without speech
NOISES = ("musan", "noise", "rirs", "simulated_rooms")
# Bytes a second of corpora without known lengths: 16-bit waves at 16 kHz, common compressed speech.
BYTES_PER_SECOND = {
    ".wav": 32_000,
    ".flac": 17_000,
    ".opus": 4_000,
    **dict.fromkeys((".ogg", ".mp3", ".m4a", ".aac", ".webm", ".wma"), 8_000),
}
COUNTING_SECONDS = 20.0


@dataclass(frozen=True)
class Audio:
    """An amount of audio; a guess if it was not measured on these files."""

    utterances: float = 0.0
    hours: float = 0.0
    guess: bool = False

    def __add__(self, other: "Audio") -> "Audio":
        return Audio(
            self.utterances + other.utterances, self.hours + other.hours, self.guess or other.guess
        )

    def share(self, parts: int) -> "Audio":
        """One of several equal parts."""
        return Audio(self.utterances / parts, self.hours / parts, self.guess)


@dataclass(frozen=True)
class Corpus:
    """The audio files of a folder that an option names; ``whole`` is False if time ran out."""

    option: str
    path: Path
    suffixes: Counter = field(default_factory=Counter)
    bytes: int = 0
    audio: Audio = Audio(guess=True)
    whole: bool = True

    def line(self) -> str:
        """The counts in one line."""
        kinds = [f"{number:,} {suffix[1:]}" for suffix, number in self.suffixes.most_common()]
        least = "" if self.whole else f"at least (counted for {COUNTING_SECONDS:g} s) "
        return (
            f"--{self.option} {self.path}: {least}{', '.join(kinds)}; {self.bytes / 1e9:,.1f} GB; "
            f"{self.audio.hours:,.1f} h (guess, by their sizes)"
        )


def count_corpus(option: str, path: Path, seconds: float = COUNTING_SECONDS) -> Corpus:
    """Count the audio files of a folder by the ends of their names, for at most some seconds."""
    suffixes: Counter[str] = Counter()
    num_bytes, audio_seconds, whole = 0, 0.0, True
    deadline = time.monotonic() + seconds
    for parent, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not system_file_kind(name)]
        if time.monotonic() > deadline:
            whole = False
            break
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix not in BYTES_PER_SECOND or system_file_kind(name):
                continue
            size = os.stat(os.path.join(parent, name)).st_size
            suffixes[suffix] += 1
            num_bytes += size
            audio_seconds += size / BYTES_PER_SECOND[suffix]
    audio = Audio(suffixes.total(), audio_seconds / 3600, guess=True)
    return Corpus(option, path, suffixes, num_bytes, audio, whole)


def _input_folders(task: Task) -> list[Path]:
    """Data directories that a task reads."""
    paths = task.inputs.values()
    return list(dict.fromkeys(path.parent for path in paths if path.name in LISTS))


def data_folders(task: Task) -> list[Path]:
    """Data directories that a task works on: those that it reads, or the one that it prepares."""
    return [task.home] if task.expected_audio else _input_folders(task)


class AudioOfPlan:
    """The audio of every data directory of a plan.

    ``corpus`` is the audio of the corpora; directories of which nothing else is known share it.
    """

    def __init__(self, tasks: Iterable[Task], corpus: Audio = Audio()):
        self._sources: dict[Path, list[Path]] = {}
        self._known: dict[Path, Audio] = {}
        folders: dict[Path, None] = {}
        for task in tasks:
            read = _input_folders(task)
            if task.expected_audio and not (task.home / "utt2dur").exists():
                self._known[task.home] = Audio(*task.expected_audio, guess=True)
            folders |= dict.fromkeys(read)
            sources = [folder for folder in read if folder not in (task.home, task.home.parent)]
            if sources:
                self._sources.setdefault(task.home, sources)
        unknown = list(filter(self._is_unknown, folders))
        if corpus.utterances:
            for folder in unknown:
                self._known[folder] = corpus.share(len(unknown))

    def _is_unknown(self, folder: Path) -> bool:
        if folder in self._sources or folder in self._known:
            return False
        return not (folder / "utt2dur").exists() and folder.name not in NOISES

    def of_folder(self, folder: Path) -> Audio:
        """The audio of one data directory; none if nothing is known of it."""
        if folder not in self._known:
            if (folder / "utt2dur").exists():
                seconds = read_map(folder / "utt2dur").values()
                self._known[folder] = Audio(len(seconds), sum(map(float, seconds)) / 3600)
            else:
                self._known[folder] = Audio(guess=True)  # ends a cycle of directories
                audio = self.of_folders(self._sources.get(folder, ()))
                self._known[folder] = Audio(guess=True) + audio
        return self._known[folder]

    def of_folders(self, folders: Iterable[Path]) -> Audio:
        """The audio of several data directories together."""
        return sum(map(self.of_folder, folders), Audio())

    def of_task(self, task: Task) -> Audio:
        """The audio that a task works on: of an array, its part."""
        whole = self.of_folders(data_folders(task))
        if not task.job:
            return whole
        return whole.share(int(task.job.partition("/")[2]))


def list_wav_entries(tasks: Iterable[Task]) -> Iterator[str]:
    """Entries of the wav.scp lists that tasks read."""
    seen = set()
    for task in tasks:
        for path in task.inputs.values():
            if path.name == "wav.scp" and path not in seen and path.exists():
                seen.add(path)
                yield from read_map(path).values()
