"""How much audio the tasks of a plan work on: out of utt2dur where it is written, else of the directory it will be made from, else of the corpus."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from utils.audio.leftovers import left_by_system
from utils.data_dir.lists import read_map
from utils.receipts import Task

LISTS = ("wav.scp", "feats.scp")  # an input of such a name lies in a data directory
# options and directories that hold no speech
NOISES = ("musan", "noise", "rirs", "simulated_rooms")
# Bytes of a second, for a corpus that nobody has measured yet: 16-bit waves at 16 kHz, and what is usual for compressed speech.
BYTES_PER_SECOND = {
    ".wav": 32_000,
    ".flac": 17_000,
    ".opus": 4_000,
    **dict.fromkeys((".ogg", ".mp3", ".m4a", ".aac", ".webm", ".wma"), 8_000),
}
COUNTING_SECONDS = 20.0


@dataclass(frozen=True)
class Audio:
    """An amount of audio.

    Attributes
    ----------
    utterances : float
        Number of them.
    hours : float
        Their length.
    guess : bool
        True where it was not measured on these very files.
    """

    utterances: float = 0.0
    hours: float = 0.0
    guess: bool = False

    def __add__(self, other: "Audio") -> "Audio":
        return Audio(
            self.utterances + other.utterances, self.hours + other.hours, self.guess or other.guess
        )

    def share(self, parts: int) -> "Audio":
        """One of several equal parts.

        Parameters
        ----------
        parts : int
            How many.
        """
        return Audio(self.utterances / parts, self.hours / parts, self.guess)


@dataclass(frozen=True)
class Corpus:
    """A folder of audio that an option names, counted.

    Attributes
    ----------
    option, path : str and path
        Who names it, and the folder.
    suffixes : Counter
        Kind of file -> how many.
    bytes : int
        Of all of them.
    audio : Audio
        Guessed by their sizes.
    whole : bool
        False where the time was over before the end.
    """

    option: str
    path: Path
    suffixes: Counter = field(default_factory=Counter)
    bytes: int = 0
    audio: Audio = Audio(guess=True)
    whole: bool = True

    def line(self) -> str:
        """What was counted, in words."""
        kinds = ", ".join(
            f"{number:,} {suffix[1:]}" for suffix, number in self.suffixes.most_common()
        )
        least = "" if self.whole else f"at least (counted for {COUNTING_SECONDS:g} s) "
        return f"--{self.option} {self.path}: {least}{kinds}; {self.bytes / 1e9:,.1f} GB; {self.audio.hours:,.1f} h (guess, by their sizes)"


def count_corpus(option: str, path: Path, seconds: float = COUNTING_SECONDS) -> Corpus:
    """Count a folder's audio files by the ends of their names.

    Parameters
    ----------
    option : str
        Who names it.
    path : path
        The folder.
    seconds : float
        When to give up.
    """
    suffixes: Counter[str] = Counter()
    size, length, whole = 0, 0.0, True
    deadline = time.monotonic() + seconds
    for place, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not left_by_system(name)]
        if time.monotonic() > deadline:
            whole = False
            break
        for suffix, name in (
            (os.path.splitext(name)[1].lower(), name) for name in names if not left_by_system(name)
        ):
            if suffix in BYTES_PER_SECOND:
                number = os.stat(os.path.join(place, name)).st_size
                suffixes[suffix] += 1
                size, length = size + number, length + number / BYTES_PER_SECOND[suffix]
    return Corpus(
        option, path, suffixes, size, Audio(suffixes.total(), length / 3600, guess=True), whole
    )


def _data_folders(paths: Iterable[Path]) -> list[Path]:
    """Data directories that files lie in."""
    return list(dict.fromkeys(path.parent for path in paths if path.name in LISTS))


def heard_by(task: Task) -> list[Path]:
    """Data directories that a task works on: those that it reads, or the one that it makes of nothing.

    Parameters
    ----------
    task : Task
        Of the plan.
    """
    return [task.home] if task.expected_audio else _data_folders(task.inputs.values())


class AudioOfPlan:
    """Knows the audio of every data directory of a plan.

    Parameters
    ----------
    tasks : iterable of Task
        All of the plan.
    corpus : Audio
        What the corpora hold, for directories that nothing else tells of: they share it.
    """

    def __init__(self, tasks: Iterable[Task], corpus: Audio = Audio()):
        self.sources: dict[Path, list[Path]] = {}
        folders: dict[Path, None] = {}
        made = {}
        for task in tasks:
            read = _data_folders(task.inputs.values())
            if task.expected_audio and not (task.home / "utt2dur").exists():
                made[task.home] = Audio(*task.expected_audio, guess=True)
            folders |= dict.fromkeys(read)
            made_from = [folder for folder in read if folder not in (task.home, task.home.parent)]
            if made_from:
                self.sources.setdefault(task.home, made_from)
        unknown = [
            folder
            for folder in folders
            if folder not in self.sources | made
            and not (folder / "utt2dur").exists()
            and folder.name not in NOISES
        ]
        self.known = made | (
            {folder: corpus.share(len(unknown)) for folder in unknown} if corpus.utterances else {}
        )

    def of(self, folder: Path) -> Audio:
        """The audio of one directory; none where nothing tells of it.

        Parameters
        ----------
        folder : path
            Made, or to be made.
        """
        if folder not in self.known:
            if (folder / "utt2dur").exists():
                seconds = read_map(folder / "utt2dur").values()
                self.known[folder] = Audio(len(seconds), sum(map(float, seconds)) / 3600)
            else:
                self.known[folder] = Audio(guess=True)  # a ring of directories ends here
                parts = [self.of(source) for source in self.sources.get(folder, ())]
                self.known[folder] = sum(parts, Audio(guess=True))
        return self.known[folder]

    def of_task(self, task: Task) -> Audio:
        """The part of it that a task of an array works on.

        Parameters
        ----------
        task : Task
            Of the plan.
        """
        whole = sum(map(self.of, heard_by(task)), Audio())
        return whole.share(int(task.job.partition("/")[2])) if task.job else whole


def entries_of(tasks: Iterable[Task]) -> Iterator[str]:
    """Entries of the lists that tasks read, for those who look at kinds of files.

    Parameters
    ----------
    tasks : iterable of Task
        Of the plan.
    """
    for path in {
        path
        for task in tasks
        for path in task.inputs.values()
        if path.name == "wav.scp" and path.exists()
    }:
        yield from read_map(path).values()
