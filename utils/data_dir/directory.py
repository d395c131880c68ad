"""A whole data directory in memory: read, check, write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from utils.data_dir.formats import (
    Columns,
    Fault,
    ReadTables,
    Tables,
    line_faults,
    list_names,
    parse,
)
from utils.data_dir.lists import as_map, map_bytes, new_folder, problem, raise_first, write_contents
from utils.data_dir.rules import invert, rule_faults
from utils.data_dir.trial_list import Trials
from utils.data_dir.trial_rules import lists_in, trial_notes
from utils.errors import UserError

SOURCES = ("wav.scp", "feats.scp")  # one of them at least
REQUIRED = ("utt2spk", "spk2utt")
MOST_PROBLEMS = 20


@dataclass
class DataDir:
    """The lists of a data directory: plain dicts in byte order of their keys.

    Attributes
    ----------
    path : path
        Where it was read from.
    wav_scp : dict
        Recording (without segments: utterance) -> path, ``archive:offset`` or pipe; empty in a
        directory of features alone.
    utt2spk : dict
        Utterance -> speaker.
    segments : dict or None
        Utterance -> ``"<recording> <start seconds> <end seconds>"``.
    maps : dict of dicts
        Every other list by its file name (``utt2dur``, ``spk2gender``, ``vad.scp``,
        ``enroll.spk2utt``, ...): key -> rest of the line.
    trials : sequence of str or None
        Lines ``"<enrol> <test> target|nontarget"`` in the file's order; `Trials` if read from a
        file.
    """

    path: Path
    wav_scp: dict[str, str]
    utt2spk: dict[str, str]
    segments: dict[str, str] | None = None
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    trials: Sequence[str] | None = None

    @property
    def spk2utt(self) -> dict[str, list[str]]:
        """Speaker -> utterances, both in byte order."""
        utterances = sorted(self.utt2spk)
        return invert(utterances, [self.utt2spk[utterance] for utterance in utterances])

    @property
    def keyed(self) -> dict[str, dict[str, str]]:
        """Every list with one line per key, by its file name, except spk2utt, which is derived."""
        lists: dict[str, dict[str, str]] = {}
        if self.wav_scp:
            lists["wav.scp"] = self.wav_scp
        lists["utt2spk"] = self.utt2spk
        if self.segments is not None:
            lists["segments"] = self.segments
        return lists | self.maps


def read_data_dir(
    path: str | Path, *, check: bool = True, allow_pipes: bool = False, needs_audio: bool = False
) -> DataDir:
    """Read a data directory.

    Parameters
    ----------
    path : path
        Its folder; files that are not lists are ignored.
    check : bool
        Apply all rules; otherwise every line still has to be well formed, but lists are not
        compared.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    needs_audio : bool
        Refuse one that has only features.

    Returns
    -------
    DataDir
        Its lists.

    Raises
    ------
    UserError
        The first problem: file, line, found, expected, what to do.
    """
    path = Path(path)
    parsed = _read_tables(path)
    raise_first(path, file_faults(path, parsed))
    tables = _well_formed(parsed)
    if check:
        raise_first(path, rule_faults(tables, allow_pipes))
    if needs_audio and "wav.scp" not in tables:
        raise UserError(
            f"{path / 'wav.scp'}: no such file, expected recordings; this directory has only "
            "features (feats.scp): write the list, or train and extract from the features"
        )
    trials = tables.pop("trials", None)
    tables.pop("spk2utt", None)
    lists = {file: as_map(columns) for file, columns in tables.items()}
    return from_lists(path, lists, Trials(*trials) if trials else None)


def from_lists(
    path: Path, lists: Mapping[str, dict[str, str]], trials: Sequence[str] | None
) -> DataDir:
    """A data directory from its lists by file name; empty ones are left out."""
    maps = {file: mapping for file, mapping in lists.items() if mapping}
    return DataDir(
        path,
        maps.pop("wav.scp", {}),
        maps.pop("utt2spk", {}),
        maps.pop("segments", None),
        maps,
        trials,
    )


def list_files(path: Path) -> list[str]:
    """Names of the lists in a folder."""
    if not path.is_dir():
        raise UserError(
            f"{path}: no such folder, expected a data directory "
            "(wav.scp or feats.scp, utt2spk, spk2utt); make it, or correct the path"
        )
    return list_names(path)


def _read_tables(path: Path) -> ReadTables:
    """All lists of a folder; None for one with a malformed line."""
    return {file: parse(file, (path / file).read_bytes()) for file in list_files(path)}


def _well_formed(tables: ReadTables) -> dict[str, Columns]:
    """The lists whose lines all parse."""
    return {file: columns for file, columns in tables.items() if columns is not None}


def file_faults(path: Path, tables: ReadTables) -> Iterator[Fault]:
    """Lists that are missing, and malformed lines."""
    missing = [file for file in REQUIRED if file not in tables]
    if tables.keys().isdisjoint(SOURCES):
        missing.insert(0, SOURCES[0])
    for file in missing:
        yield Fault(
            file,
            0,
            f"no such file, expected {' or '.join(SOURCES)}, and {' and '.join(REQUIRED)}, "
            "in every data directory; is this one, and is it finished?",
        )
    for file, columns in tables.items():
        if columns is None:
            yield from line_faults(file, (path / file).read_bytes())


def data_dir_problems(
    path: str | Path, audio: bool = False, allow_pipes: bool = False, root: str | Path | None = None
) -> list[str]:
    """The first problems of a data directory, up to 20, one line each; empty if it is good.

    Parameters
    ----------
    path : path
        Data directory.
    audio : bool
        Read every recording too, if the lists are good.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    root : path or None
        Where relative paths of wav.scp start; None: the current folder.
    """
    return _problems(Path(path), _read_tables(Path(path)), audio, allow_pipes, root)


def problems_and_notes(
    path: str | Path, audio: bool = False, allow_pipes: bool = False, root: str | Path | None = None
) -> tuple[list[str], list[str]]:
    """The first problems of a data directory; of a good one, notes about its trials."""
    path = Path(path)
    parsed = _read_tables(path)
    problems = _problems(path, parsed, audio, allow_pipes, root)
    tables = _well_formed(parsed)
    if problems or "trials" not in tables:
        return problems, []
    return [], [f"{path / 'trials'}: {note}" for note in trial_notes(lists_in(tables))]


def _problems(
    path: Path, parsed: ReadTables, audio: bool, allow_pipes: bool, root: str | Path | None
) -> list[str]:
    """The first problems of lists that were read, one line each."""
    tables = _well_formed(parsed)
    faults = chain(file_faults(path, parsed), rule_faults(tables, allow_pipes))
    first = list(islice(faults, MOST_PROBLEMS))
    if audio and not first:
        if "wav.scp" not in tables:
            raise UserError(
                f"{path / 'wav.scp'}: no such file, but --audio reads recordings; "
                f"for features: python -m utils.archive check {path / 'feats.scp'}"
            )
        first = list(islice(_audio_faults(tables, allow_pipes, root), MOST_PROBLEMS))
    return [problem(path, fault) for fault in first]


def validate_data_dir(
    path: str | Path, audio: bool = False, allow_pipes: bool = False, root: str | Path | None = None
) -> None:
    """Raise UserError if a data directory has a problem.

    Parameters
    ----------
    path : path
        Data directory.
    audio : bool
        Read every recording too, if the lists are good.
    allow_pipes : bool
        Accept entries of wav.scp that run a command.
    root : path or None
        Where relative paths of wav.scp start; None: the current folder.

    Raises
    ------
    UserError
        The first problem.
    """
    for line in data_dir_problems(path, audio, allow_pipes, root)[:1]:
        raise UserError(line)


def _audio_faults(tables: Tables, allow_pipes: bool, root: str | Path | None) -> Iterator[Fault]:
    """Recordings that cannot be read, and segments that end after their recording."""
    from tqdm import tqdm

    from utils.audio import OVERSHOOT_SECONDS, read_audio
    from utils.errors import UnreadableAudio

    seconds = {}
    recordings = list(zip(*tables["wav.scp"], strict=True))
    progress = tqdm(recordings, "recordings", disable=None, dynamic_ncols=True)
    for number, (recording, entry) in enumerate(progress, start=1):
        try:
            samples, sample_rate_hz = read_audio(entry, allow_pipes=allow_pipes, root=root)
        except UnreadableAudio as error:
            yield Fault(
                "wav.scp",
                number,
                f"'{entry}' cannot be read: {error.reason}; expected audio: "
                f"repair the file, correct --root, or drop '{recording}'",
            )
        else:
            seconds[recording] = len(samples) / sample_rate_hz
    if "segments" not in tables:
        return
    segments = zip(*tables["segments"], strict=True)
    for number, (utterance, recording, _, end) in enumerate(segments, start=1):
        if recording in seconds and float(end) > seconds[recording] + OVERSHOOT_SECONDS:
            length = f"the {seconds[recording]:.3f} s of '{recording}'"
            yield Fault(
                "segments",
                number,
                f"'{utterance}' ends at {end} s, expected at most {length}; correct it",
            )


def write_data_dir(data: DataDir, path: str | Path) -> None:
    """Write a data directory that follows all rules; spk2utt is derived.

    A new folder appears complete or not at all.  In an existing one each list is replaced as a
    whole, and a list that ``data`` lacks is removed.

    Parameters
    ----------
    data : DataDir
        Keys in any order; pipes are accepted, since they were allowed when ``data`` was made.
    path : path
        Folder.

    Raises
    ------
    UserError
        The lists break a rule: nothing is written.
    """
    path = Path(path)
    if data.keyed.keys().isdisjoint(SOURCES):
        raise UserError(f"{path}: neither recordings nor features, expected {' or '.join(SOURCES)}")
    contents = _render(data, path)
    tables: dict[str, Columns] = {}
    for file, content in contents.items():
        columns = parse(file, content)
        if columns is None:
            raise_first(path, line_faults(file, content))
        else:
            tables[file] = columns
    raise_first(path, rule_faults(tables, allow_pipes=True))
    if not path.exists():
        with new_folder(path) as folder:
            write_contents(contents, folder)
        return
    write_contents(contents, path)
    for file in list_names(path):
        if file not in contents:
            (path / file).unlink()


def _render(data: DataDir, path: Path) -> dict[str, bytes]:
    """Every list of a data directory as the content of its file, spk2utt included."""
    spk2utt = {speaker: " ".join(members) for speaker, members in data.spk2utt.items()}
    contents = {}
    for file, mapping in (data.keyed | {"spk2utt": spk2utt}).items():
        contents[file] = map_bytes(path / file, mapping)
    if data.trials is not None:
        contents["trials"] = _render_trials(data.trials)
    return contents


def _render_trials(trials: Sequence[str]) -> bytes:
    if isinstance(trials, Trials):
        return trials.content()
    return "".join([f"{trial}\n" for trial in trials]).encode()
