"""A corpus that is a tree of folders: ``<speaker>/<session>/.../<file>``."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.corpus import first_few, path_from_checkout, read_protocol, require
from local.own.corpus import Corpus, plain, refuse_few_speakers, renamed_speakers, speaker_ids
from utils.audio.leftovers import describe_left_out, system_file_kind
from utils.data_dir import DataDir
from utils.errors import UserError

SUFFIXES = (  # of audio files
    ".wav",
    ".flac",
    ".ogg",
    ".opus",
    ".mp3",
    ".aif",
    ".aiff",
    ".au",
    ".sph",
    ".m4a",
    ".aac",
    ".webm",
    ".wma",
    ".amr",
)
UNFINISHED = (".part", ".partial", ".crdownload", ".filepart", ".aria2")
TOP = "top"  # session of files in the speaker's own folder, if others are deeper


def read_tree(
    root: Path, files: Sequence[tuple[str, int]], left_out: Mapping[str, int] | None = None
) -> Corpus:
    """The utterances of a tree: the first folder is the speaker, those below it are the session.

    ``files`` and ``left_out`` are from `find_audio`; the root may have Kaldi's ``spk2gender``.
    UserError: too few speakers, a half-extracted tree, or two files with the same id.
    """
    _refuse_unfinished(root)
    paths = [path for path, _ in files if "/" in path]
    folders = Counter(path.split("/")[0] for path in paths)
    if len(folders) < 2:
        refuse_few_speakers(len(folders), root, *_explain_few_speakers(root, files, paths))
    silent = _folders_without_audio(root, set(folders))
    ids = speaker_ids(set(folders), root)
    wav_scp: dict[str, str] = {}
    utt2spk, utt2session = {}, {}
    base, previous = path_from_checkout(root), None
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder != previous:  # files of one folder follow one another
            previous = folder
            first, *below = folder.split("/")
            speaker, session = ids[first], "-".join(_plain_part(part) for part in below)
            prefix = speaker
            if session:
                prefix = f"{speaker}-{session}"
        utterance = f"{prefix}-{_plain_part(name.rpartition('.')[0])}"
        if utterance in wav_scp:
            _refuse_same_id(root, paths, os.path.relpath(wav_scp[utterance], base), path, utterance)
        wav_scp[utterance] = f"{base}/{path}"
        utt2spk[utterance], utt2session[utterance] = speaker, session or TOP
    maps = {}
    if set(utt2session.values()) != {TOP}:
        maps["utt2session"] = utt2session
    if (root / "spk2gender").exists():
        maps["spk2gender"] = _read_sexes(root / "spk2gender", ids)
    names, notes = renamed_speakers(ids)
    if silent:
        notes.append(f"{len(silent)} folders without audio are no speakers: {first_few(silent, 5)}")
    if left_out:
        notes.append(describe_left_out(left_out))
    if loose := len(files) - len(paths):
        notes.append(f"{loose} audio files directly in {root} have no speaker and are left out")
    data = DataDir(root, wav_scp, utt2spk, None, maps | names)
    return Corpus("a tree of <speaker>/.../<file>", data, notes=notes)


def _refuse_same_id(
    root: Path, paths: Sequence[str], path: str, other: str, utterance: str
) -> None:
    """Refuse two files of one utterance: often the whole tree has two formats."""
    both = f"{root}: {path} and {other} would both have the id '{utterance}'"
    formats_by_name: dict[str, set[str]] = {}
    for each in paths:
        name, _, suffix = each.rpartition(".")
        formats_by_name.setdefault(name, set()).add(suffix.lower())
    name = path.rpartition(".")[0]
    if len(formats_by_name[name]) < 2 or name != other.rpartition(".")[0]:
        raise UserError(f"{both}; rename one")  # for example .wav and .WAV
    num_doubled = 0
    numbers: Counter[str] = Counter()
    doubled_formats: set[str] = set()
    for formats in formats_by_name.values():
        numbers.update(formats)
        if len(formats) > 1:
            num_doubled += 1
            doubled_formats |= formats
    choices = " or ".join(
        f"--formats {name} ({numbers[name]:,} recordings)" for name in sorted(doubled_formats)
    )
    raise UserError(
        f"{both}: {num_doubled:,} of {len(formats_by_name):,} recordings exist in two formats; "
        f"choose one by {choices}, or remove the files of one format"
    )


def _plain_part(name: str) -> str:
    return plain(name, "-")


def _read_sexes(path: Path, ids: dict[str, str]) -> dict[str, str]:
    sexes = read_protocol(path)
    require(ids, path.parent, sexes, path)
    return {ids[name]: sexes[name] for name in ids}


def _explain_few_speakers(
    root: Path, files: Sequence[tuple[str, int]], paths: Sequence[str]
) -> tuple[str, str]:
    """What a tree has instead of folders of speakers, and what to do."""
    expected = f"expected {root}/<speaker>/.../<file> with files that end in {', '.join(SUFFIXES)}"
    tables = [file.name for file in root.iterdir() if file.suffix.lower() in (".csv", ".tsv")]
    hint = ""
    if tables:
        hint = f", or give the table {root / min(tables)}"
    if not files:
        return f"no audio in it, {expected}", f"correct the path{hint}"
    if not paths:
        return (
            f"{len(files)} audio files are directly in it, without folders of speakers",
            f"{expected}{hint}",
        )
    folder = paths[0].split("/")[0]
    detail = f"all {len(paths)} audio files are in {root / folder}"
    subfolders = _folders_at_depth(paths, 1)
    while len(subfolders) == 1:
        folder = f"{folder}/{subfolders.pop()}"
        subfolders = _folders_at_depth(paths, folder.count("/") + 1)
    if len(subfolders) > 1:
        expected = f"{root / folder} has {len(subfolders)} folders: if it is the corpus, give it"
    return detail, f"{expected}{hint}"


def _folders_at_depth(paths: Sequence[str], depth: int) -> set[str]:
    """Names of the folders that are inside ``depth`` other folders."""
    return {path.split("/")[depth] for path in paths if path.count("/") > depth}


def _refuse_unfinished(root: Path) -> None:
    """Refuse a tree with an unfinished download in it."""
    for name in sorted(os.listdir(root)):
        if name.lower().endswith(UNFINISHED):
            raise UserError(f"{root / name}: an unfinished download; wait for it, or remove it")


def _folders_without_audio(root: Path, with_audio: set[str]) -> list[str]:
    """Folders without audio; UserError for empty ones, as a half-extracted archive has."""
    others, empty = [], []
    for entry in os.scandir(root):
        if not entry.is_dir() or entry.name in with_audio or system_file_kind(entry.name):
            continue
        others.append(entry.name)
        if not any((root / entry.name).rglob("*")):
            empty.append(entry.name)
    if empty:
        raise UserError(
            f"{root}: {len(empty)} of {len(with_audio) + len(empty)} folders are empty, first "
            f"'{min(empty)}': the archive is half extracted; extract it again, or remove them"
        )
    return sorted(others)
