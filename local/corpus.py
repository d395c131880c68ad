"""Shared by the preparations: reading a corpus' lists, checking files, writing data directories."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from local.audio_tree import print_channels
from utils.audio import audio_header
from utils.data_dir import DataDir, read_map, write_data_dir
from utils.data_dir.ledger import UNREADABLE, Ledger
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write, read_foreign_lines, split_words
from utils.receipts import Task

SHOWN_GONE = 3  # names of files that are gone, in a message
MISSING = "missing"  # reason in the ledger, beside those of utils/data_dir/ledger.py


def read_protocol(path: Path) -> dict[str, str]:
    """First field of each line of a corpus' list -> rest of the line, in the file's order.

    UTF-8 with or without a byte order mark; fields separated by blanks or tabs; LF or CRLF.
    UserError: the file is missing, empty or not UTF-8; a line has one field; a name comes twice.
    """
    if not Path(path).exists():
        raise UserError(
            f"{path}: no such file, expected one of the corpus' lists; correct the path"
        )
    content: dict[str, str] = {}
    for number, line in enumerate(read_foreign_lines(path), start=1):
        fields = split_words(line, 1)
        if not fields:
            continue
        if len(fields) == 1:
            raise UserError(
                f"{path}:{number}: '{fields[0]}' has no value, expected a name and its value; "
                "fetch the file again"
            )
        name, value = fields
        if name in content:
            raise UserError(
                f"{path}:{number}: '{name}' comes twice, expected once; fetch the file again"
            )
        content[name] = value
    if not content:
        raise UserError(f"{path}: empty, expected one of the corpus' lists; fetch the file again")
    return content


def require(wanted: Collection[str], source: Path, given: Collection[str], path: Path) -> None:
    """Raise UserError if the list at ``path`` lacks names that the list at ``source`` has."""
    missing = sorted(set(wanted).difference(given))
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(wanted)} in {source} are missing, "
            f"first '{missing[0]}'; fetch the corpus again"
        )


def require_files(paths: Mapping[str, Path], source: Path, listing: Path) -> None:
    """Raise UserError if files that the list at ``source`` names are missing; write their names."""
    missing = list_missing(paths.values(), listing)
    if missing:
        raise UserError(
            f"{source}: {len(missing)} of its {len(paths)} files are missing, "
            f"first {missing[0]} (list: {listing}); fetch them again"
        )


def list_missing(paths: Collection[Path], listing: Path) -> list[str]:
    """Files that do not exist; their names are written to ``listing``."""
    missing = [str(path) for path in paths if not path.is_file()]
    write_listing(listing, missing)
    return missing


def write_listing(path: Path, names: Collection[str]) -> None:
    """Write names, one per line; without any the file is removed."""
    if not names:
        path.unlink(missing_ok=True)
        return
    with atomic_write(path) as file:
        for name in names:
            file.write(f"{name}\n")


def first_few(names: Sequence[str], number: int) -> str:
    """The first names as a text, with an ellipsis if there are more."""
    text = ", ".join(names[:number])
    if len(names) > number:
        text += ", ..."
    return text


def restrict(mapping: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """The part of a map that is about some names, in the order of the map."""
    return {key: value for key, value in mapping.items() if key in names}


def measure(
    paths: Mapping[str, str | Path], where: Path | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Durations from the headers of audio files.

    Returns utterance -> seconds of the files that can be read, and utterance -> fault of the
    others. With ``where`` (the corpus), it prints how many files have several channels.
    """
    utt2dur, unreadable = {}, {}
    channel_counts: Counter[int] = Counter()
    for utterance, path in paths.items():
        try:
            num_samples, sample_rate_hz, channels = audio_header(path)
        except UnreadableAudio as error:
            unreadable[utterance] = str(error)
            continue
        if num_samples:
            channel_counts[channels or 0] += 1
            utt2dur[utterance] = f"{num_samples / sample_rate_hz:.4f}"
        else:
            unreadable[utterance] = f"{path}: no samples"
    if where:
        print_channels(where, channel_counts)
    return utt2dur, unreadable


def changed_listing(root: Path, homes: Iterable[Path]) -> str:
    """A text about what changed in a corpus whose listing has another digest than before.

    It names files that are gone, as far as the wav.scp of the data directories ``homes`` has them.
    """
    folder = path_from_checkout(root)
    entries: dict[str, None] = {}
    for home in homes:
        if (home / "wav.scp").exists():
            entries |= dict.fromkeys(read_map(home / "wav.scp").values())
    inside = [entry for entry in entries if entry.startswith(f"{folder}/")]
    gone = [entry for entry in inside if not os.path.exists(entry)]
    if not gone:
        return f"files of {folder} are new, gone or of another size"
    noun = "files"
    if len(gone) == 1:
        noun = "file"
    text = f"{len(gone):,} {noun} gone: {', '.join(gone[:SHOWN_GONE])}"
    if len(gone) > SHOWN_GONE:
        text += f" and {len(gone) - SHOWN_GONE} more"
    return text


def path_from_checkout(path: Path) -> str:
    """A path as our lists have it: relative inside the checkout, absolute outside.

    Commands run in the root of the checkout.
    """
    absolute, checkout = os.path.abspath(path), os.getcwd()
    if absolute.startswith(checkout + os.sep):
        return os.path.relpath(absolute, checkout)
    return absolute


def fill_ledger(
    ledger: Ledger, utterances: Iterable[str], faults: Mapping[str, tuple[str, str]]
) -> None:
    """Enter utterances in byte order; ``faults`` has reason and detail of the dropped ones."""
    for utterance in sorted(utterances):
        if utterance in faults:
            reason, detail = faults[utterance]
            ledger.drop(utterance, reason, detail)
        else:
            ledger.keep(utterance)


def finish_data_dir(
    task: Task,
    data: DataDir,
    unreadable: Mapping[str, str],
    counts: Mapping | None = None,
    *,
    missing: Collection[str] = (),
    lost_trials: int = 0,
) -> dict:
    """Write a data directory without its unreadable utterances, its ledger and its receipt.

    ``missing`` are utterances without a file, which the ledger counts; ``lost_trials`` are
    published trials that ``data`` lacks because audio is missing. Returns the ledger's counts, the
    number of speakers and ``counts``. UserError: more is unreadable than the ledger allows.
    """
    ledger = Ledger(data.path)
    ledger.lost_trials = lost_trials
    faults = {utterance: (UNREADABLE, detail) for utterance, detail in unreadable.items()}
    fill_ledger(ledger, data.utt2spk, faults)
    for utterance in missing:
        ledger.drop(utterance, MISSING, "no file in the corpus")
    ledger.check_limits(has_options=False)
    lists = dict(data.keyed)
    if ledger.dropped:
        names = set(ledger.kept)
        for utterance in ledger.kept:
            names.add(data.utt2spk[utterance])
        for name, mapping in lists.items():
            lists[name] = restrict(mapping, names)
    wav_scp, utt2spk = lists.pop("wav.scp"), lists.pop("utt2spk")
    kept = DataDir(data.path, wav_scp, utt2spk, None, lists, data.trials)
    write_data_dir(kept, data.path)
    names_written = [*kept.keyed, "spk2utt"]
    if kept.trials:
        names_written.append("trials")
    written = [data.path / name for name in names_written]
    written += ledger.write(data.path)
    totals = {**ledger.counts, "speakers": len(kept.spk2utt)}
    if counts:
        totals |= counts
    return task.finish(written, totals)
