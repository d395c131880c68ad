"""What the preparation of any corpus needs: its own lists read, its files found and measured, a data directory finished."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from local.audio_tree import say_channels
from utils.audio import audio_header
from utils.data_dir import DataDir, read_map, write_data_dir
from utils.data_dir.ledger import UNREADABLE, Ledger
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write, read_foreign_lines, words_of
from utils.receipts import Task

SHOWN_GONE = 3  # names of files in a message
MISSING = "missing"  # reason in the ledger, beside those of utils/data_dir/ledger.py


def read_protocol(path: Path) -> dict[str, str]:
    """First field of each line of a corpus' own list -> the rest of the line.

    Parameters
    ----------
    path : path
        Text file, UTF-8 with or without a byte order mark; fields separated by blanks or tabs; LF or CRLF; the last line may lack its end.

    Returns
    -------
    dict of str to str
        In the file's order; the rest has no blanks around it.

    Raises
    ------
    UserError
        The file is missing, empty or not UTF-8; a line has one field only; a first field comes twice.
    """
    if not Path(path).exists():
        raise UserError(f"{path}: no such file; it belongs to the corpus")
    content = {}
    for number, line in enumerate(read_foreign_lines(path), start=1):
        fields = words_of(line, 1)
        if len(fields) == 1:
            raise UserError(
                f"{path}:{number}: found '{fields[0]}' alone, expected a name and its value"
            )
        if fields and fields[0] in content:
            raise UserError(f"{path}:{number}: '{fields[0]}' is there twice")
        if fields:
            content[fields[0]] = fields[1]
    if not content:
        raise UserError(f"{path}: empty; it belongs to the corpus")
    return content


def require(wanted: Collection[str], source: Path, found: Collection[str], path: Path) -> None:
    """Refuse a list that lacks some of what another one names.

    Parameters
    ----------
    wanted : collection of str
        Utterances or speakers.
    source : path
        The list that they stand in.
    found : collection of str
        Those that another list names.
    path : path
        That list.

    Raises
    ------
    UserError
        Says how many are missing, and names the first.
    """
    missing = sorted(set(wanted).difference(found))
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(wanted)} in {source} are missing, first '{missing[0]}'; fetch the corpus again"
        )


def require_files(paths: Mapping[str, Path], source: Path, listing: Path) -> None:
    """Refuse a corpus of which some files are missing.

    Parameters
    ----------
    paths : mapping of str to path
        Utterance -> file.
    source : path
        The list that names them.
    listing : path
        Where the missing ones are written down, if there are any.

    Raises
    ------
    UserError
        Says how many are missing, names the first and the listing.
    """
    missing = list_missing(paths.values(), listing)
    if missing:
        raise UserError(
            f"{source}: {len(missing)} of its {len(paths)} files are missing, first {missing[0]} (list: {listing}); fetch them again"
        )


def list_missing(paths: Collection[Path], listing: Path) -> list[str]:
    """Files that are not there, which are written down; nothing is left written where all are there.

    Parameters
    ----------
    paths : collection of path
        Files that have to be there.
    listing : path
        Gets the missing ones, one on each line.
    """
    missing = [str(path) for path in paths if not path.is_file()]
    if not missing:
        listing.unlink(missing_ok=True)
        return []
    with atomic_write(listing) as file:
        file.writelines(f"{path}\n" for path in missing)
    return missing


def measure(
    paths: Mapping[str, str | Path], where: Path | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Durations as the files' headers say.

    Parameters
    ----------
    paths : mapping of str to str or path
        Utterance -> audio file.
    where : path or None
        The corpus, of which it is said how many files have several channels; None: that is not said.

    Returns
    -------
    utt2dur : dict of str to str
        Seconds of each utterance that can be opened.
    unreadable : dict of str to str
        What is wrong with each of the others.
    """
    utt2dur, unreadable = {}, {}
    files_of: Counter[int] = Counter()
    for utterance, path in paths.items():
        try:
            num_samples, sample_rate_hz, channels = audio_header(path)
        except UnreadableAudio as error:
            unreadable[utterance] = str(error)
            continue
        if num_samples:
            files_of[channels or 0] += 1
            utt2dur[utterance] = f"{num_samples / sample_rate_hz:.4f}"
        else:
            unreadable[utterance] = f"{path}: no samples"
    if where:
        say_channels(where, files_of)
    return utt2dur, unreadable


def changed_listing(root: Path, homes: Iterable[Path]) -> str:
    """What differs where the fingerprint of a listing does, in words: the files that are gone, where the lists made of them name them.

    Parameters
    ----------
    root : path
        Of the corpus.
    homes : iterable of path
        The data directories that were made of it.
    """
    folder = path_from_checkout(root)
    entries: dict[str, None] = {}
    for home in homes:
        if (home / "wav.scp").exists():
            entries |= dict.fromkeys(read_map(home / "wav.scp").values())
    gone = [
        entry for entry in entries if entry.startswith(f"{folder}/") and not os.path.exists(entry)
    ]
    if not gone:
        return f"files of {folder} are new, gone or of another size"
    more = f" and {len(gone) - SHOWN_GONE} more" if len(gone) > SHOWN_GONE else ""
    kind = "file" if len(gone) == 1 else "files"
    return f"{len(gone):,} {kind} gone: {', '.join(gone[:SHOWN_GONE])}{more}"


def path_from_checkout(path: Path) -> str:
    """How our lists name a file: relative inside the checkout, where every command runs, absolute outside.

    Parameters
    ----------
    path : path
        Relative to the current folder, or absolute.
    """
    absolute, checkout = os.path.abspath(path), os.getcwd()
    return (
        os.path.relpath(absolute, checkout) if absolute.startswith(checkout + os.sep) else absolute
    )


def finish_data_dir(
    task: Task,
    data: DataDir,
    unreadable: Mapping[str, str],
    counts: Mapping | None = None,
    *,
    missing: Collection[str] = (),
    lost_trials: int = 0,
) -> dict:
    """Write a data directory without what cannot be read, its ledger and its receipt.

    Parameters
    ----------
    task : Task
        Named ``made``; its home is the directory.
    data : DataDir
        The lists, the unreadable utterances included where a list has them; no trials may name one.
    unreadable : mapping of str to str
        Utterance -> what is wrong with it.
    counts : mapping
        Further numbers for the receipt.
    missing : collection of str
        Utterances that the corpus' lists name, and that are not in ``data``, since there is no file: the ledger counts them.
    lost_trials : int
        Trials of the published list that ``data`` does not have, since their audio is missing: watermarks every result.

    Returns
    -------
    dict
        The counts: utterances that came in and went on, speakers, and those given.

    Raises
    ------
    UserError
        More is unreadable than the ledger allows; nothing is written then.
    """
    ledger = Ledger(data.path)
    ledger.lost_trials = lost_trials
    for utterance in sorted(data.utt2spk):
        if utterance in unreadable:
            ledger.drop(utterance, UNREADABLE, unreadable[utterance])
        else:
            ledger.keep(utterance)
    for utterance in missing:
        ledger.drop(utterance, MISSING, "no file in the corpus")
    ledger.check_limits(has_options=False)
    lists = dict(data.keyed)
    if ledger.dropped:
        names = {*ledger.kept, *(data.utt2spk[utterance] for utterance in ledger.kept)}
        lists = {
            name: {key: value for key, value in mapping.items() if key in names}
            for name, mapping in lists.items()
        }
    kept = DataDir(data.path, lists.pop("wav.scp"), lists.pop("utt2spk"), None, lists, data.trials)
    write_data_dir(kept, data.path)
    files = [
        data.path / name for name in [*kept.keyed, "spk2utt", *(["trials"] if kept.trials else [])]
    ]
    return task.finish(
        [*files, *ledger.write(data.path)],
        {**ledger.counts, "speakers": len(kept.spk2utt), **(counts or {})},
    )
