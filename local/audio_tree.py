"""Audio files of a large corpus: listed by threads, headers read by processes.

Nothing is written into the corpus. Measurements are kept beside the output, so that a preparation
that was killed resumes.
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
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from utils.audio import audio_header
from utils.audio.leftovers import system_file_kind
from utils.cli import die_with_parent
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write, read_lines

SUFFIXES = (".wav", ".flac", ".ogg", ".m4a")
ANY = ("",)  # as suffixes: all files
FILES_PER_PART = 10_000  # measured in about a second, then written to the cache
FEW_FILES = 1_000  # up to so many, starting processes would take longer than measuring
# In names of files; the last range is bytes that are not UTF-8.
ODD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

Files = Sequence[tuple[str, int]]  # path below the root with slashes, bytes
# "<seconds> <Hz> <channels>" of each file (channels 0: unknown), empty for one that cannot be
# read; path -> fault.
Measured = tuple[list[str], dict[str, str]]


def list_audio(
    root: Path, suffixes: Sequence[str] = SUFFIXES, jobs: int = 8
) -> list[tuple[str, int]]:
    """Path below ``root`` and bytes of each audio file, in byte order; see `find_audio`."""
    return find_audio(root, suffixes, jobs)[0]


def find_audio(
    root: Path, suffixes: Sequence[str] = SUFFIXES, jobs: int = 8
) -> tuple[list[tuple[str, int]], Counter[str]]:
    """Files below a folder with one of the suffixes (any case), listed by ``jobs`` threads.

    Links are followed; a link to nothing has 0 bytes. The counter has the files and folders of
    operating systems that are left out, by kind (`utils.audio.leftovers`). UserError: a folder is
    missing, cannot be listed or contains itself, or a name is not UTF-8 or has control characters.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; correct the path")
    files: list[tuple[str, int]] = []
    left_out: Counter[str] = Counter()
    list_share = functools.partial(_list_folders, str(root), tuple(suffixes))
    folders = [""]
    with ThreadPoolExecutor(jobs) as pool:
        while folders:
            shares = [folders[job :: 4 * jobs] for job in range(4 * jobs)]
            folders = []
            for audio, subfolders, others in pool.map(list_share, shares):
                files += audio
                folders += subfolders
                left_out.update(others)
    files.sort()
    _refuse_odd_names(root, files)
    return files, left_out


def _list_folders(
    root: str, suffixes: tuple[str, ...], folders: Iterable[str]
) -> tuple[list[tuple[str, int]], list[str], Counter[str]]:
    """Audio files of some folders, their subfolders, and what is left out."""
    audio, subfolders = [], []
    left_out: Counter[str] = Counter()
    for folder in folders:
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    path = folder + entry.name
                    if kind := system_file_kind(entry.name):
                        left_out[kind] += 1
                    elif entry.is_dir():
                        _refuse_loop(entry)
                        subfolders.append(path + "/")
                    elif entry.name.lower().endswith(suffixes):
                        audio.append((path, _num_bytes(entry)))
        except OSError as error:
            raise UserError(
                f"{os.path.join(root, folder)}: cannot be listed: {error.strerror}; repair it, "
                "files in it may be missing"
            ) from None
    return audio, subfolders, left_out


def _num_bytes(entry: os.DirEntry) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


def _refuse_loop(entry: os.DirEntry) -> None:
    if not entry.is_symlink():
        return
    folder, target = os.path.realpath(os.path.dirname(entry.path)), os.path.realpath(entry.path)
    if f"{folder}/".startswith(f"{target}/"):
        raise UserError(f"{entry.path}: a link to a folder that contains it; remove it")


def _refuse_odd_names(root: Path, files: Files) -> None:
    if not ODD.search("/".join([path for path, _ in files])):
        return
    odd = next(path for path, _ in files if ODD.search(path))
    raise UserError(
        f"{root}: the name {os.fsencode(odd)!r} is not UTF-8 or has a control character in it; "
        "rename the file or folder"
    )


def listing_digest(files: Files) -> str:
    """Digest of a listing, for receipts: it changes with any file's name or size."""
    lines = [f"{path} {num_bytes}\n" for path, num_bytes in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def durations(
    root: Path, files: Files, jobs: int, cache: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Durations from the headers of files; see `headers`.

    Returns path -> seconds with four decimals of the files that can be read, and path -> fault of
    the others. Prints how many files have several channels.
    """
    measured, unreadable = _measure_pending(root, files, jobs, cache)
    channel_counts: Counter[int] = Counter()
    for path, text in measured.items():
        seconds, _, channels = text.split()
        channel_counts[int(channels)] += 1
        measured[path] = sys.intern(seconds)
    print_channels(root, channel_counts)
    return measured, unreadable


def headers(
    root: Path, files: Files, jobs: int, cache: Path
) -> tuple[dict[str, tuple[str, int, int]], dict[str, str]]:
    """Durations, sample rates and channels from the headers of files, read by ``jobs`` processes.

    Returns path -> seconds with four decimals, Hz and channels (0: unknown) of the files that can
    be read, and path -> fault of the others. ``cache`` is a folder beside the output with a list
    ``<bytes> TAB <seconds> <Hz> <channels> TAB <path>`` for each part that was measured; a file of
    the same path and size is not measured again. Files that cannot be read are not in it, since
    they may be repaired.
    """
    measured, unreadable = _measure_pending(root, files, jobs, cache)
    parsed = {}
    for path, text in measured.items():
        seconds, rate_hz, channels = text.split()
        parsed[path] = seconds, int(rate_hz), int(channels)
    return parsed, unreadable


def print_channels(where: Path, channel_counts: Mapping[int, int]) -> None:
    """Print how many files of the corpus ``where`` have several channels."""
    total = sum(channel_counts.values())
    for channels, number in sorted(channel_counts.items()):
        if channels > 1:
            print(
                f"{where}: {number:,} of {total:,} files have {channels} channels: "
                "steps.compute_vad and steps.pack_audio take channel 0 of speech, or the one that "
                "--channel names"
            )


def _measure_pending(
    root: Path, files: Files, jobs: int, cache: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Path -> "<seconds> <Hz> <channels>", from the cache where it has the file; path -> fault."""
    known = _read_cache(cache)
    measured, pending = {}, []
    for file in files:
        if file in known:
            measured[file[0]] = known[file]
        else:
            pending.append(file)
    known.clear()  # with a million files, every list of them takes 200 MB
    unreadable: dict[str, str] = {}
    starts = range(0, len(pending), FILES_PER_PART)
    parts = [pending[start : start + FILES_PER_PART] for start in starts]
    names = _free_names(cache)
    for part, (texts, faults) in zip(parts, _measure_all(str(root), parts, jobs), strict=True):
        unreadable |= faults
        lines = []
        for (path, num_bytes), text in zip(part, texts, strict=True):
            if text:
                measured[path] = sys.intern(text)
                lines.append(f"{num_bytes}\t{text}\t{path}\n")
        if lines:
            with atomic_write(next(names)) as part_file:
                part_file.writelines(lines)
    return measured, unreadable


def _free_names(cache: Path) -> Iterator[Path]:
    """Names of parts that the cache does not have yet."""
    number = 0
    while True:
        number += 1
        path = cache / f"part.{number:05d}"
        if not path.exists():
            yield path


def _measure_all(root: str, parts: Sequence[Files], jobs: int) -> Iterator[Measured]:
    measure = functools.partial(_measure, root)
    if jobs == 1 or sum(len(part) for part in parts) <= FEW_FILES:
        for part in parts:
            yield measure(part)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"), die_with_parent) as pool:
        measured = pool.map(measure, parts)
        yield from tqdm(measured, "headers", len(parts), disable=None, dynamic_ncols=True)


def _measure(root: str, files: Files) -> Measured:
    texts, faults = [], {}
    for path, _ in files:
        entry = os.path.join(root, path)
        text = ""
        try:
            num_samples, sample_rate_hz, channels = audio_header(entry)
            if num_samples:
                seconds = num_samples / sample_rate_hz
                text = f"{seconds:.4f} {sample_rate_hz} {channels or 0}"
            else:
                faults[path] = f"{entry}: no samples"
        except UnreadableAudio as error:
            faults[path] = str(error)
        texts.append(text)
    return texts, faults


def _read_cache(cache: Path) -> dict[tuple[str, int], str]:
    rows = {}
    for line in chain.from_iterable(read_lines(part) for part in sorted(cache.glob("part.*"))):
        num_bytes, text, path = line.split("\t", 2)
        if text.count(" ") == 2:  # older versions have no channels
            rows[path, int(num_bytes)] = sys.intern(text)
    return rows
