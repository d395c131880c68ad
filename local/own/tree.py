"""A corpus that is a tree of folders: ``<speaker>/<session>/.../<file>``."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.corpus import path_from_checkout, read_protocol, require
from local.own.corpus import Corpus, plain, refuse_few_speakers, renamed_speakers, speaker_ids
from utils.audio.leftovers import left_by_system, left_out_in_words
from utils.data_dir import DataDir
from utils.errors import UserError

SUFFIXES = (
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
)  # of sound
UNFINISHED = (".part", ".partial", ".crdownload", ".filepart", ".aria2")
TOP = "top"  # session of files that lie in the speaker's folder itself, where others lie deeper


def read_tree(
    root: Path, files: Sequence[tuple[str, int]], left_out: Mapping[str, int] | None = None
) -> Corpus:
    """The utterances of a tree: the first folder is the speaker, those between it and the file are the session.

    Parameters
    ----------
    root : path
        Holds one folder for each speaker, and, if somebody wrote it, Kaldi's ``spk2gender``.
    files : sequence of (str, int)
        Its audio, from `find_audio`.
    left_out : mapping of str to int
        What systems left among it, from `find_audio` too.

    Raises
    ------
    UserError
        It has too few speakers, looks half extracted, or two files would get one id.
    """
    _refuse_unfinished(root)
    paths = [path for path, _ in files if "/" in path]
    folders = Counter(path.split("/")[0] for path in paths)
    if len(folders) < 2:
        refuse_few_speakers(len(folders), root, *_found_instead(root, files, paths))
    silent = _folders_without_audio(root, set(folders))
    ids = speaker_ids(set(folders), root)
    wav_scp: dict[str, str] = {}
    utt2spk, utt2session = {}, {}
    base, before = path_from_checkout(root), None
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder != before:  # files of one folder follow one another
            before, (first, *between) = folder, folder.split("/")
            speaker, session = ids[first], "-".join(map(_plain_part, between))
            prefix = "-".join(filter(None, (speaker, session)))
        utterance = f"{prefix}-{_plain_part(name.rpartition('.')[0])}"
        if utterance in wav_scp:
            _refuse_same_id(root, paths, os.path.relpath(wav_scp[utterance], base), path, utterance)
        wav_scp[utterance] = f"{base}/{path}"
        utt2spk[utterance], utt2session[utterance] = speaker, session or TOP
    maps = {"utt2session": utt2session} if set(utt2session.values()) != {TOP} else {}
    if (root / "spk2gender").exists():
        maps["spk2gender"] = _read_sexes(root / "spk2gender", ids)
    names, notes = renamed_speakers(ids)
    if silent:
        notes.append(
            f"{len(silent)} folders without audio are no speakers: {', '.join(silent[:5])}{', ...' if len(silent) > 5 else ''}"
        )
    if left_out:
        notes.append(left_out_in_words(left_out))
    if loose := len(files) - len(paths):
        notes.append(f"{loose} audio files in {root} itself are nobody's and left aside")
    return Corpus(
        "a tree of <speaker>/.../<file>",
        DataDir(root, wav_scp, utt2spk, None, maps | names),
        notes=notes,
    )


def _refuse_same_id(
    root: Path, paths: Sequence[str], path: str, other: str, utterance: str
) -> None:
    """Refuse two files of one utterance: often all of them are there in two formats."""
    both = f"{root}: {path} and {other} would both be called '{utterance}'"
    formats_of: dict[str, set[str]] = {}
    for each in paths:
        name, _, suffix = each.rpartition(".")
        formats_of.setdefault(name, set()).add(suffix.lower())
    if (
        len(formats_of[path.rpartition(".")[0]]) < 2
        or path.rpartition(".")[0] != other.rpartition(".")[0]
    ):
        raise UserError(f"{both}; rename one")  # or .wav beside .WAV
    several = [formats for formats in formats_of.values() if len(formats) > 1]
    numbers = Counter(suffix for formats in formats_of.values() for suffix in formats)
    choices = " or ".join(
        f"--formats {name} ({numbers[name]:,} recordings)" for name in sorted(set.union(*several))
    )
    raise UserError(
        f"{both}: {len(several):,} of {len(formats_of):,} recordings are there in two formats; choose one by {choices}, or remove one kind"
    )


def _plain_part(name: str) -> str:
    return plain(name, "-")


def _read_sexes(path: Path, ids: dict[str, str]) -> dict[str, str]:
    sexes = read_protocol(path)
    require(ids, path.parent, sexes, path)
    return {ids[name]: sexes[name] for name in ids}


def _found_instead(
    root: Path, files: Sequence[tuple[str, int]], paths: Sequence[str]
) -> tuple[str, str]:
    """What was found in place of folders of speakers, and what to do."""
    expected = f"expected {root}/<speaker>/.../<file> with files that end in {', '.join(SUFFIXES)}"
    tables = sorted(path.name for path in root.iterdir() if path.suffix.lower() in (".csv", ".tsv"))
    hint = f", or give the table {root / tables[0]}" if tables else ""
    if not paths:
        found = (
            f"{len(files)} audio files lie in it without a folder of their speaker"
            if files
            else f"no audio in it, {expected}"
        )
        return found, f"{expected}{hint}" if files else f"correct the path{hint}"
    folder, below = (
        paths[0].split("/")[0],
        {path.split("/")[1] for path in paths if path.count("/") > 1},
    )
    while len(below) == 1:
        folder = f"{folder}/{next(iter(below))}"
        depth = folder.count("/") + 1
        below = {path.split("/")[depth] for path in paths if path.count("/") > depth}
    nearest = (
        f"{root / folder} has {len(below)} folders: is it the one" if len(below) > 1 else expected
    )
    return (
        f"all {len(paths)} audio files lie in {root / paths[0].split('/')[0]}",
        f"{nearest}{hint}",
    )


def _refuse_unfinished(root: Path) -> None:
    """Refuse a tree into which something is still being fetched."""
    for name in sorted(os.listdir(root)):
        if name.lower().endswith(UNFINISHED):
            raise UserError(
                f"{root / name}: a download that has not ended; wait for it, or remove it"
            )


def _folders_without_audio(root: Path, with_audio: set[str]) -> list[str]:
    """Folders in a tree with other files only; those that were made and not filled, as a half-extracted archive leaves them, are refused."""
    others = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir() and entry.name not in with_audio and not left_by_system(entry.name)
    )
    empty = [name for name in others if not any((root / name).rglob("*"))]
    if empty:
        raise UserError(
            f"{root}: {len(empty)} of {len(with_audio) + len(empty)} folders are empty, first '{empty[0]}': "
            "the archive is half extracted; extract it again, or remove them"
        )
    return others
