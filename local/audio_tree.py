"""The audio files of a large corpus: which there are, found by several threads, and how long they are, read from headers by several processes.

Nothing is written into the corpus.  What has been measured is kept beside the output, so that a preparation that was killed goes on where it was.
"""

import functools
import hashlib
import multiprocessing
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import chain, count
from pathlib import Path

from tqdm import tqdm

from utils.audio import audio_header
from utils.audio.leftovers import left_by_system
from utils.cli import die_with_parent
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write, read_lines

SUFFIXES = (".wav", ".flac", ".ogg", ".m4a")
ANY = ("",)  # ends of the names of all files
FILES_PER_PART = 10_000  # measured in about a second, then kept
FEW_FILES = 1_000  # are measured sooner than processes start
# Of names; the last range stands for bytes that are not UTF-8.
ODD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Files = Sequence[tuple[str, int]]  # path below the root with slashes, bytes
# Seconds, Hz and channels of each file (0: not known), empty for one that cannot be opened; path -> what is wrong with it.
Measured = tuple[list[str], dict[str, str]]


def list_audio(
    root: Path, suffixes: Sequence[str] = SUFFIXES, jobs: int = 8
) -> list[tuple[str, int]]:
    """All audio files below a folder, as `find_audio` finds them.

    Parameters
    ----------
    root : path
        Where to look.
    suffixes : sequence of str
        Ends of names, in small letters; case does not matter.
    jobs : int
        Threads: most of the time goes into waiting for the disk.

    Returns
    -------
    list of (str, int)
        Path below the root and size in bytes, in byte order; a link to nothing has size 0.

    Raises
    ------
    UserError
        As of `find_audio`.
    """
    return find_audio(root, suffixes, jobs)[0]


def find_audio(
    root: Path, suffixes: Sequence[str] = SUFFIXES, jobs: int = 8
) -> tuple[list[tuple[str, int]], Counter[str]]:
    """All audio files below a folder, and what is left out; links are followed.

    Parameters
    ----------
    root, suffixes, jobs
        As of `list_audio`.

    Returns
    -------
    files : list of (str, int)
        As of `list_audio`.
    left_out : Counter of str
        Kind of name -> files and folders that systems and programs left there, with whatever is in them: `utils.audio.leftovers` says it.

    Raises
    ------
    UserError
        There is no such folder, one below it cannot be listed or leads back to itself, or a name is no line of UTF-8 text.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct the path")
    files: list[tuple[str, int]] = []
    left_out: Counter[str] = Counter()
    folders = [""]
    with ThreadPoolExecutor(jobs) as pool:
        while folders:
            shares = [folders[job :: 4 * jobs] for job in range(4 * jobs)]
            listing = functools.partial(_list_folders, str(root), tuple(suffixes))
            found = list(pool.map(listing, shares))
            files += chain.from_iterable(audio for audio, _, _ in found)
            folders = list(chain.from_iterable(below for _, below, _ in found))
            for _, _, others in found:
                left_out.update(others)
    files.sort()
    _refuse_odd_names(root, files)
    return files, left_out


def _list_folders(
    root: str, suffixes: tuple[str, ...], folders: Iterable[str]
) -> tuple[list[tuple[str, int]], list[str], Counter[str]]:
    """Audio files of some folders, the folders in them, and what is left out."""
    audio, below = [], []
    left_out: Counter[str] = Counter()
    for folder in folders:
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    path = folder + entry.name
                    if kind := left_by_system(entry.name):
                        left_out[kind] += 1
                    elif entry.is_dir():
                        _refuse_loop(entry)
                        below.append(path + "/")
                    elif entry.name.lower().endswith(suffixes):
                        audio.append((path, _num_bytes(entry)))
        except OSError as error:
            raise UserError(
                f"{os.path.join(root, folder)}: cannot be listed: {error.strerror}; mend it, since files may be missing"
            ) from None
    return audio, below, left_out


def _num_bytes(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


def _refuse_loop(entry: os.DirEntry) -> None:
    if entry.is_symlink():
        here, target = os.path.realpath(os.path.dirname(entry.path)), os.path.realpath(entry.path)
        if (here + "/").startswith(target + "/"):
            raise UserError(f"{entry.path}: a link to a folder that it lies in; remove it")


def _refuse_odd_names(root: Path, files: Files) -> None:
    if ODD.search("/".join([path for path, _ in files])):
        odd = next(path for path, _ in files if ODD.search(path))
        raise UserError(
            f"{root}: the name {os.fsencode(odd)!r} is not UTF-8 or has a control character in it; rename the file or folder"
        )


def listing_digest(files: Files) -> str:
    """Fingerprint of a listing, for receipts: another file, or one of another size, is another corpus.

    Parameters
    ----------
    files : sequence of (str, int)
        From `list_audio`.
    """
    return hashlib.sha256(
        "".join([f"{path} {num_bytes}\n" for path, num_bytes in files]).encode()
    ).hexdigest()


def durations(
    root: Path, files: Files, jobs: int, cache: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Durations as the files' headers say; nothing is decoded that has a header.

    Parameters
    ----------
    root : path
        Where the paths start.
    files : sequence of (str, int)
        From `list_audio`, or some of it.
    jobs : int
        Processes.
    cache : path
        Folder beside the output.  Each part that has been measured is a list there, ``<bytes> TAB <seconds> <Hz> <channels> TAB <path>``: what has
        the same path and size is not measured again.  What could not be opened is not in it, since it may be mended; remove the folder to measure all.

    Returns
    -------
    seconds : dict of str to str
        Path -> duration, with four decimals, of each file that can be opened.
    unreadable : dict of str to str
        Path -> what is wrong with each of the others.
    """
    words, unreadable = _measured_words(root, files, jobs, cache)
    say_channels(root, Counter(int(length.rpartition(" ")[2]) for length in words.values()))
    for path, length in words.items():
        words[path] = sys.intern(length.partition(" ")[0])
    return words, unreadable


def headers(
    root: Path, files: Files, jobs: int, cache: Path
) -> tuple[dict[str, tuple[str, int, int]], dict[str, str]]:
    """Durations, sample rates and channels as the files' headers say.

    Parameters
    ----------
    root, files, jobs, cache
        As of `durations`.

    Returns
    -------
    measured : dict of str to (str, int, int)
        Path -> seconds, with four decimals, sample rate in Hz, and channels (0: not known), of each file that can be opened.
    unreadable : dict of str to str
        Path -> what is wrong with each of the others.
    """
    words, unreadable = _measured_words(root, files, jobs, cache)
    return {
        path: (seconds, int(rate), int(channels))
        for path, (seconds, rate, channels) in (
            (path, length.split()) for path, length in words.items()
        )
    }, unreadable


def say_channels(where: Path, files_of: Mapping[int, int]) -> None:
    """Say how many files have several channels.

    Parameters
    ----------
    where : path
        The corpus.
    files_of : mapping of int to int
        Number of channels -> files.
    """
    total = sum(files_of.values())
    for channels, number in sorted(files_of.items()):
        if channels > 1:
            print(
                f"{where}: {number:,} of {total:,} files have {channels} channels: steps.compute_vad and steps.pack_audio take channel 0 of speech, or what --channel says"
            )


def _measured_words(
    root: Path, files: Files, jobs: int, cache: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Path -> seconds, sample rate and channels, blanks between them; what is wrong with the others."""
    known = _read_cache(cache)
    words = {
        path: known[path, num_bytes] for path, num_bytes in files if (path, num_bytes) in known
    }
    pending = [file for file in files if file not in known]
    known.clear()  # of a million files, every list of them is 200 MB
    unreadable: dict[str, str] = {}
    parts = [
        pending[start : start + FILES_PER_PART] for start in range(0, len(pending), FILES_PER_PART)
    ]
    names = (path for number in count(1) if not (path := cache / f"part.{number:05d}").exists())
    for part, (lengths, faults) in zip(parts, _measure_all(str(root), parts, jobs), strict=True):
        rows = [
            (path, num_bytes, sys.intern(length))
            for (path, num_bytes), length in zip(part, lengths, strict=True)
            if length
        ]
        if rows:
            with atomic_write(next(names)) as file:
                file.writelines(
                    [f"{num_bytes}\t{length}\t{path}\n" for path, num_bytes, length in rows]
                )
        words |= {path: length for path, _, length in rows}
        unreadable |= faults
    return words, unreadable


def _measure_all(root: str, parts: Sequence[Files], jobs: int) -> Iterator[Measured]:
    measure = functools.partial(_measure, root)
    if sum(map(len, parts)) <= FEW_FILES or jobs == 1:
        yield from map(measure, parts)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), die_with_parent) as pool:
        measured = pool.map(measure, parts)
        yield from tqdm(measured, "headers", len(parts), disable=None, dynamic_ncols=True)


def _measure(root: str, files: Files) -> Measured:
    lengths, faults = [], {}
    for path, _ in files:
        entry = os.path.join(root, path)
        try:
            num_samples, sample_rate_hz, channels = audio_header(entry)
        except UnreadableAudio as error:
            faults[path], num_samples = str(error), 0
        if num_samples:
            lengths.append(f"{num_samples / sample_rate_hz:.4f} {sample_rate_hz} {channels or 0}")
        else:
            faults.setdefault(path, f"{entry}: no samples")
            lengths.append("")
    return lengths, faults


def _read_cache(cache: Path) -> dict[tuple[str, int], str]:
    rows = {}
    for part in sorted(cache.glob("part.*")):
        for line in read_lines(part):
            num_bytes, words, path = line.split("\t", 2)
            if words.count(" ") == 2:  # those of an older version say nothing of channels
                rows[path, int(num_bytes)] = sys.intern(words)
    return rows
