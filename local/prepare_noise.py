"""Make a data directory of a folder tree of noises or room responses.

python -m local.prepare_noise corpora/musan data/noise
"""

import hashlib
import re
from functools import partial
from pathlib import Path

from local.audio_tree import ANY, find_audio
from local.corpus import changed_listing, finish_data_dir, measure, path_from_checkout
from local.own.corpus import plain
from utils.audio.leftovers import describe_left_out
from utils.augmentation.planned import note_noise_types
from utils.cli import run
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg"}
# Files of RIRS_NOISES that are noises.
NOT_RESPONSES = "pointsource_noises/|real_rirs_isotropic_noises/[^/]*noise"


def prepare_noise(source: Path, output: Path, *, leave_out: str = "") -> dict:
    """List every audio file below a folder; links are followed, hidden files and folders ignored.

    A file's utterance id is its path, and its type (``utt2type``) the path's first folder: music,
    noise or speech in MUSAN.

    Parameters
    ----------
    source : path
        Holds .wav, .flac or .ogg files at any depth; other files are counted and ignored.
    output : path
        Data directory to make.
    leave_out : str
        Regular expression: files with a path below ``source`` that starts with a match are ignored.

    Returns
    -------
    dict
        Numbers of audio files read and kept, of types, and of files that are not audio.

    Raises
    ------
    UserError
        No audio file can be read, two files would get one id, or too many files cannot be read.
    """
    listed, left_out = find_audio(source, ANY)
    file_bytes: dict[Path, int] = {}
    for path, size in listed:
        if not (leave_out and re.match(leave_out, path)):
            file_bytes[Path(path)] = size
    files = sorted(file_bytes)
    sizes = "".join(f"{file} {file_bytes[file]}\n" for file in files)
    options = {
        "source": path_from_checkout(source),
        "files": hashlib.sha256(sizes.encode()).hexdigest(),
    }
    explain = {"files": partial(changed_listing, source, [output])}
    task = Task(output, "made", format=FORMAT, inputs={}, options=options, explain=explain)
    audio = [file for file in files if file.suffix.lower() in AUDIO_SUFFIXES]
    note_noise_types(output, {_noise_type(file, source) for file in audio})
    if task.is_done():
        return task.counts
    if not audio:
        raise UserError(
            f"{source}: no audio among {len(files)} files, "
            f"expected some of {', '.join(sorted(AUDIO_SUFFIXES))}; correct the path"
        )
    names: dict[str, Path] = {}
    for file in audio:
        other = names.setdefault(utterance_id(file), file)
        if other != file:
            raise UserError(
                f"{source}: {other} and {file} would both have the id '{utterance_id(file)}'; "
                "rename one"
            )
    utt2type = {name: _noise_type(file, source) for name, file in names.items()}
    paths = {name: path_from_checkout(source / file) for name, file in names.items()}
    utt2dur, unreadable = measure(paths)
    if not utt2dur:
        example = next(iter(unreadable.values()))
        raise UserError(
            f"{source}: none of {len(paths)} audio files can be read, expected some ({example}); "
            "correct the path"
        )
    utt2spk = {name: name for name in names}
    data = DataDir(output, paths, utt2spk, None, {"utt2dur": utt2dur, "utt2type": utt2type})
    more_counts = {"types": len(set(utt2type.values())), "no_audio": len(files) - len(audio)}
    counts = finish_data_dir(task, data, unreadable, more_counts)
    print(
        f"{output}: {counts['went_on']} of {counts['came_in']} audio files, "
        f"{counts['types']} types; {counts['no_audio']} files are not audio"
    )
    if left_out:
        print(f"{output}: {describe_left_out(left_out)}")
    return counts


def _noise_type(file: Path, source: Path) -> str:
    """The first folder of a file's path below the source, or the source's own name."""
    folder = source.name
    if len(file.parts) > 1:
        folder = file.parts[0]
    return utterance_id(Path(folder))


def prepare_bank(output: Path, noise: Path | None, rirs: Path | None) -> dict:
    """Make the data directories ``noise`` and ``rirs`` of the trees that are given; their counts.

    ``noise`` is a tree of noises, or the parent of MUSAN's folder (with music/, noise/, speech/).
    ``rirs`` is a tree of room responses, or the parent of that of RIRS_NOISES (with
    simulated_rirs/), from which noises are ignored.
    """
    counts = {}
    if noise:
        root = _corpus_folder(noise, "musan", "noise")
        counts["noise"] = prepare_noise(root, output / "noise")
    if rirs:
        root = _corpus_folder(rirs, "RIRS_NOISES", "simulated_rirs")
        leave_out = ""
        if (root / "simulated_rirs").is_dir():
            leave_out = NOT_RESPONSES
        counts["rirs"] = prepare_noise(root, output / "rirs", leave_out=leave_out)
    return counts


def _corpus_folder(given: Path, name: str, member: str) -> Path:
    """The folder of an unpacked corpus, recognised by a member, if its parent was given."""
    if (given / name / member).is_dir():
        return given / name
    return given


def utterance_id(file: Path) -> str:
    """A relative path as an utterance id: ``-`` joins folders, other signs become ``_``."""
    name = "-".join(file.parts)
    if file.suffix.lower() in AUDIO_SUFFIXES:
        name = name.removesuffix(file.suffix)
    return plain(name, "-").replace(".", "_")


if __name__ == "__main__":
    run(prepare_noise)
