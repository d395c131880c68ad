"""Check, repair, split and combine Kaldi data directories.

    python -m utils.data_dir validate recipes/mini/data/generated/train --audio
    python -m utils.data_dir fix data/train --dry-run
    python -m utils.data_dir subset data/train data/train_small --per-speaker 5
    python -m utils.data_dir split data/train data/train_split --parts 8 --by-speaker
    python -m utils.data_dir combine data/train data/dev data/both
    python -m utils.data_dir copy data/train data/noisy --utt-prefix noisy- --spk-prefix noisy-
    python -m utils.data_dir export-audio data/test recordings

Each list is UTF-8 text with LF line ends, blanks or tabs between fields, one line per id, in byte
order (LC_ALL=C); ids are printable ASCII.  A directory with only features has feats.scp instead of
wav.scp.  utils/data_dir/rules.py describes the rules between lists.
"""

import gc
import sys
from pathlib import Path

from utils.cli import one_line_message, run_subcommands
from utils.data_dir.derive import (
    combine_data_dirs,
    copy_data_dir,
    split_data_dir,
    subset_data_dir,
)
from utils.data_dir.directory import DataDir, problems_and_notes, read_data_dir, write_data_dir
from utils.data_dir.lists import new_folder, refuse_existing
from utils.data_dir.recordings import write_speaker_folders
from utils.data_dir.repair import fix_data_dir
from utils.errors import UserError
from utils.files import read_foreign_lines, split_words


def validate(
    data: Path, *, audio: bool = False, allow_pipes: bool = False, root: Path | None = None
) -> None:
    """Print up to 20 problems of a data directory; exit code 1 if there are any.

    Parameters
    ----------
    data : path
        Data directory.
    audio : bool
        Read every recording too.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    root : path
        Where relative paths of wav.scp start; default: the current folder.
    """
    problems, notes = problems_and_notes(data, audio, allow_pipes, root)
    if problems:
        for line in problems[:-1]:
            print(one_line_message(UserError(line)), file=sys.stderr)
        raise UserError(problems[-1])
    print("\n".join([*notes, f"{data}: good"]))


def _summary(utt2spk: dict[str, str]) -> str:
    """Such as ``148,642 utterances of 1,211 speakers``."""
    return f"{len(utt2spk):,} utterances of {len(set(utt2spk.values())):,} speakers"


def fix(data: Path, *, dry_run: bool = False, allow_pipes: bool = False) -> None:
    """Repair byte order marks, line ends, blanks, order, repeated lines, incomplete ids.

    An id is incomplete if it is not in every list.  Originals go to ``.backup``.

    Parameters
    ----------
    data : path
        Data directory.
    dry_run : bool
        Report what would change, and change nothing.
    allow_pipes : bool
        No effect here: pipes may stay, and none is run.
    """
    changes = fix_data_dir(data, dry_run=dry_run)
    print("\n".join(changes) or f"{data}: nothing to repair")


def subset(
    data: Path,
    out: Path,
    *,
    utterances: Path | None = None,
    speakers: Path | None = None,
    first: int | None = None,
    per_speaker: int | None = None,
    seed: int = 0,
    allow_pipes: bool = False,
) -> None:
    """Write some of the utterances as a new data directory.

    Exactly one of the first four options chooses them.

    Parameters
    ----------
    data : path
        Data directory.
    out : path
        New folder.
    utterances : path
        File whose first column names the utterances to keep.
    speakers : path
        File whose first column names the speakers to keep.
    first : int
        Keep this many from the start of the list.
    per_speaker : int
        Draw this many for each speaker.
    seed : int
        Seed of the draw.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    """
    whole = read_data_dir(data, allow_pipes=allow_pipes)
    chosen = subset_data_dir(
        whole,
        utterances=_first_column(utterances),
        speakers=_first_column(speakers),
        first=first,
        per_speaker=per_speaker,
        seed=seed,
    )
    _write_new(chosen, out, [whole])


def _first_column(path: Path | None) -> list[str] | None:
    """The first field of each line of a file; None for no file."""
    if path is None:
        return None
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected one id per line; correct the path")
    rows = [split_words(line) for line in read_foreign_lines(path)]
    return [words[0] for words in rows if words]


def _write_new(data: DataDir, out: Path, sources: list[DataDir]) -> None:
    """Write a data directory as a new folder; print its size and the lists that were left out."""
    refuse_existing(out)
    write_data_dir(data, out)
    lost: set[str] = set()
    for source in sources:
        lost |= _list_names(source)
    lost -= _list_names(data)
    without = ""
    if lost:
        names = ", ".join(sorted(lost))
        without = f"; without {names}: they would be empty, or not every source has them"
    print(f"{out}: {_summary(data.utt2spk)}{without}")


def _list_names(data: DataDir) -> set[str]:
    names = set(data.keyed)
    if data.trials is not None:
        names.add("trials")
    return names


def split(
    data: Path, out: Path, *, parts: int, by_speaker: bool = False, allow_pipes: bool = False
) -> None:
    """Write contiguous parts of a data directory as OUT/1, OUT/2, ...

    Parameters
    ----------
    data : path
        Data directory.
    out : path
        New folder.
    parts : int
        Number of parts.
    by_speaker : bool
        Keep the utterances of a speaker together.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    """
    whole = read_data_dir(data, allow_pipes=allow_pipes)
    with new_folder(out) as folder:
        for number, part in enumerate(split_data_dir(whole, parts, by_speaker=by_speaker), start=1):
            write_data_dir(part, folder / str(number))
    print(f"{out}: {parts} parts of {_summary(whole.utt2spk)}")


def combine(data: list[Path], out: Path, *, allow_pipes: bool = False) -> None:
    """Write all utterances of several data directories as a new one.

    Parameters
    ----------
    data : list of paths
        Data directories.
    out : path
        New folder.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    """
    sources = [read_data_dir(path, allow_pipes=allow_pipes) for path in data]
    _write_new(combine_data_dirs(sources), out, sources)


def copy(
    data: Path, out: Path, *, utt_prefix: str = "", spk_prefix: str = "", allow_pipes: bool = False
) -> None:
    """Write a copy of a data directory, with other ids if a prefix is given.

    Parameters
    ----------
    data : path
        Data directory.
    out : path
        New folder.
    utt_prefix : str
        Put before every utterance id; begin it with the speakers' prefix.
    spk_prefix : str
        Put before every speaker id and enrolment model.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    """
    whole = read_data_dir(data, allow_pipes=allow_pipes)
    _write_new(copy_data_dir(whole, utt_prefix=utt_prefix, spk_prefix=spk_prefix), out, [whole])


def export_audio(
    data: Path, out: Path, *, allow_pipes: bool = False, root: Path | None = None
) -> None:
    """Write every utterance as ``<speaker>/<utterance>.wav``, for programs that take files.

    Waves of 16 bits at their own rate, channel 0.  A slash in an id becomes ``%2F``.

    Parameters
    ----------
    data : path
        Data directory.
    out : path
        New folder.
    allow_pipes : bool
        Run the commands of wav.scp.
    root : path
        Where relative paths of wav.scp start; default: the current folder.
    """
    whole = read_data_dir(data, allow_pipes=allow_pipes)
    write_speaker_folders(whole, out, allow_pipes=allow_pipes, root=root)
    print(f"{out}: {_summary(whole.utt2spk)}")


if __name__ == "__main__":
    # each collection would scan lists of millions of strings, among which there is no garbage
    gc.disable()
    run_subcommands(
        {
            "validate": validate,
            "fix": fix,
            "subset": subset,
            "split": split,
            "combine": combine,
            "copy": copy,
            "export-audio": export_audio,
        }
    )
