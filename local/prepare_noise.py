"""Make a data directory of any tree of noises or room responses.

python -m local.prepare_noise corpora/musan data/noise
"""

import hashlib
import re
from functools import partial
from pathlib import Path

from local.audio_tree import ANY, find_audio
from local.corpus import changed_listing, finish_data_dir, measure, path_from_checkout
from local.own.corpus import plain
from utils.audio.leftovers import left_out_in_words
from utils.augmentation.planned import note_noise_types
from utils.cli import run
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
AUDIO_SUFFIXES = {".wav", ".flac", ".ogg"}
NO_RESPONSES = "pointsource_noises/|real_rirs_isotropic_noises/[^/]*noise"  # in RIRS_NOISES beside the responses


def prepare_noise(source: Path, output: Path, *, leave_out: str = "") -> dict:
    """List every audio file below a folder, whatever the folders are called; links are followed, names that begin with a dot left alone.

    A file's utterance id is its path, and its type (``utt2type``) the first folder of it: of MUSAN music, noise or speech.

    Parameters
    ----------
    source : path
        Holds .wav, .flac or .ogg files at any depth; other files are counted and left alone.
    output : path
        Data directory to make.
    leave_out : str
        Regular expression: files whose path below ``source`` it fits from the start are passed over.

    Returns
    -------
    dict
        Number of files that came in and went on, of types, and of files that are no audio.

    Raises
    ------
    UserError
        There is no audio that can be read, two files would get one id, or too many files cannot be read.
    """
    found, left_out = find_audio(source, ANY)
    bytes_of = {
        Path(path): size for path, size in found if not (leave_out and re.match(leave_out, path))
    }
    files = sorted(bytes_of)
    sizes = "".join(f"{file} {bytes_of[file]}\n" for file in files)
    options = {
        "source": path_from_checkout(source),
        "files": hashlib.sha256(sizes.encode()).hexdigest(),
    }
    explain = {"files": partial(changed_listing, source, [output])}
    task = Task(output, "made", format=FORMAT, inputs={}, options=options, explain=explain)
    audio = [file for file in files if file.suffix.lower() in AUDIO_SUFFIXES]
    note_noise_types(output, {_type_of(file, source) for file in audio})
    if task.is_done():
        return task.counts
    if not audio:
        raise UserError(
            f"{source}: no audio among {len(files)} files, expected some of {', '.join(sorted(AUDIO_SUFFIXES))}; correct the path"
        )
    names: dict[str, Path] = {}
    for file in audio:
        other = names.setdefault(utterance_id(file), file)
        if other != file:
            raise UserError(
                f"{source}: {other} and {file} would both be called '{utterance_id(file)}'; rename one"
            )
    utt2type = {name: _type_of(file, source) for name, file in names.items()}
    paths = {name: path_from_checkout(source / file) for name, file in names.items()}
    utt2dur, unreadable = measure(paths)
    if not utt2dur:
        example = next(iter(unreadable.values()))
        raise UserError(
            f"{source}: none of {len(paths)} audio files can be read, expected some ({example}); correct the path"
        )
    data = DataDir(
        output,
        paths,
        {name: name for name in names},
        None,
        {"utt2dur": utt2dur, "utt2type": utt2type},
    )
    counts = finish_data_dir(
        task,
        data,
        unreadable,
        {"types": len(set(utt2type.values())), "no_audio": len(files) - len(audio)},
    )
    print(
        f"{output}: {counts['went_on']} of {counts['came_in']} audio files, {counts['types']} types; {counts['no_audio']} files are no audio"
    )
    if left_out:
        print(f"{output}: {left_out_in_words(left_out)}")
    return counts


def _type_of(file: Path, source: Path) -> str:
    """The first folder of a file, or that which holds all."""
    return utterance_id(Path(file.parts[0] if len(file.parts) > 1 else source.name))


def prepare_bank(output: Path, noise: Path | None, rirs: Path | None) -> dict:
    """Make the data directories that augmentation draws from, as far as they are asked for.

    Parameters
    ----------
    output : path
        Gets ``noise`` and ``rirs``.
    noise : path or None
        Tree of noises; of MUSAN the folder that holds music/, noise/ and speech/, or the one above it.
    rirs : path or None
        Tree of room responses; of RIRS_NOISES the folder that holds simulated_rirs/, whose noises are left alone, or the one above it.

    Returns
    -------
    dict
        Data directory -> counts of `prepare_noise`.
    """
    counts = (
        {"noise": prepare_noise(_inside(noise, "musan", "noise"), output / "noise")}
        if noise
        else {}
    )
    if rirs:
        root = _inside(rirs, "RIRS_NOISES", "simulated_rirs")
        counts["rirs"] = prepare_noise(
            root,
            output / "rirs",
            leave_out=NO_RESPONSES if (root / "simulated_rirs").is_dir() else "",
        )
    return counts


def _inside(given: Path, name: str, sign: str) -> Path:
    """The folder of a set, known by one that it holds, where the one above was given, as unpacked archives have it."""
    return given / name if (given / name / sign).is_dir() else given


def utterance_id(file: Path) -> str:
    """A file's path as an utterance id: without suffix, folders joined by ``-``, blanks and signs other than ``_`` and ``-`` replaced by ``_``.

    Parameters
    ----------
    file : path
        Relative to the folder that holds all of them.
    """
    suffix = file.suffix if file.suffix.lower() in AUDIO_SUFFIXES else ""
    return plain("-".join(file.parts).removesuffix(suffix), "-").replace(".", "_")


if __name__ == "__main__":
    run(prepare_noise)
