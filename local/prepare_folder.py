"""Make data directories train, dev, test of your own corpus: a tree, a table or Kaldi directories.

    python -m local.prepare_folder corpora/mine data/mine
    python -m local.prepare_folder corpora/mine.csv data/mine --root corpora/mine
    python -m local.prepare_folder corpora/mine data/mine --preview 50

The first is a tree of <speaker>/<session>/<file>, the second a table with columns path, speaker and
others; the third prints the plan and writes nothing. No speaker is in two sets. Trials are made by
steps.make_trials.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from local.audio_tree import find_audio, listing_digest
from local.corpus import changed_listing, fill_ledger, path_from_checkout
from local.own.assign import SplitOptions, assign_speakers
from local.own.corpus import SETS, Corpus
from local.own.doors import describe_doors
from local.own.kaldi import copy_feature_facts, entry_file, kaldi_folders, read_kaldi
from local.own.measure import (
    Measured,
    measure_corpus,
    refuse_many_unreadable,
    to_seconds,
    utterance_recording,
)
from local.own.missing import refuse_missing
from local.own.preview import describe, describe_first, describe_sets
from local.own.sound import Packing, describe_audio
from local.own.table import read_table, read_time_columns
from local.own.times import refuse_other_durations
from local.own.tree import SUFFIXES, read_tree
from local.own.trials import take_trials
from local.prepare_noise import prepare_bank
from utils.audio import Channel, describe_channels, refuse_negative_channel
from utils.cli import run
from utils.data_dir import DataDir, read_map, subset_data_dir, write_data_dir
from utils.data_dir.formats import list_names
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION, Ledger
from utils.data_dir.trial_list import lines_left_out
from utils.embeddings.planned import note_speakers
from utils.errors import UserError
from utils.receipts import MODE, Task, read_receipt
from utils.trials.pairs import Sessions

FORMAT = 1
TABLES = (".csv", ".tsv", ".txt")


def prepare_folder(
    corpus: Path,
    output: Path,
    *,
    root: Path | None = None,
    columns: dict[str, str] | None = None,
    formats: str = "",
    dev_share: float = 0.1,
    test_share: float = 0.2,
    sessions: Sessions | None = None,
    enrol_utterances: int = 1,
    min_sample_rate_hz: int = 8000,
    max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
    max_policy_fraction: float = MAX_POLICY_FRACTION,
    allow_missing_trials: bool = False,
    allow_pipes: bool = False,
    seed: int = 1,
    jobs: int = 2,
    preview: int | None = None,
    channel: Channel = 0,
    sample_rate_hz: int = 16000,
    noise: Path | None = None,
    rirs: Path | None = None,
    test_only: bool = False,
    trials: Path | None = None,
    features: bool = False,
) -> dict:
    """Read a corpus, divide its speakers into three sets, and write a data directory for each.

    Nothing is written into the corpus.

    Parameters
    ----------
    corpus : path
        Folder with one folder for each speaker; or a table (.csv, .tsv: a header of column names,
        one line for each utterance); or a Kaldi directory, or a folder of Kaldi directories train,
        dev and test.
    output : path
        Gets train, dev and test and, if asked for, noise and rirs.
    root : path or None
        Folder that relative paths of a table or of wav.scp start from; None: the table's folder, or
        the current one.
    columns : dict or None
        Our name of a table's column -> its name there, for example ``{speaker: client_id}``.
    formats : str
        Extensions of a tree's files to use, separated by commas (``wav,flac``); default: all audio.
    dev_share, test_share : float
        Shares of the speakers, at least two speakers each; sets that the corpus names are kept.
    sessions, enrol_utterances : str and int
        Options of steps.make_trials, which will make the trials of dev and test: speakers with too
        few utterances for such trials are used for training, and a corpus without such trials is an
        error. None: no trials are wanted.
    min_sample_rate_hz : int
        Recordings of a lower rate are dropped, and count for ``max_policy_fraction``.
    max_unreadable_fraction, max_policy_fraction : float
        More utterances than this (and than one) that cannot be read, or that are dropped by policy,
        are an error.
    allow_missing_trials : bool
        Accept the loss of trials that came with the corpus, if their utterances cannot be used;
        they are counted, and every result says so.
    allow_pipes : bool
        Run the commands that a wav.scp may hold.
    seed : int
        For the division of the speakers.
    jobs : int
        Processes that read headers.
    preview : int or None
        Print what would happen, with the headers of this many files, and write nothing.
    channel : int or "mean"
        Channel to use of files with several; files without it count as unreadable.
    sample_rate_hz : int
        Rate of the packed audio; files with a lower one are counted in the output.
    noise, rirs : path
        Trees of noises and of room impulse responses for augmentation.
    test_only : bool
        Nothing is trained: there is no train and no dev, and all speakers are tested, or those of
        the corpus' own test set.
    trials : path or None
        Test trials, ``<enrol> <test>`` and, if known, ``target|nontarget``: sides are utterances,
        or files, absolute or relative to the corpus. Their speakers are the test set.
    features : bool
        Of Kaldi directories the features are used, and audio is not needed.

    Returns
    -------
    dict
        Set -> counts of utterances and speakers.

    Raises
    ------
    UserError
        This is not a corpus, or too much of it is missing or cannot be used.
    """
    _refuse_other(corpus)
    refuse_negative_channel(channel)
    source = _find_source(corpus, root, columns or {}, allow_pipes, formats)
    source = replace(source, trials=trials, features=features)
    split = SplitOptions(
        dev_share,
        test_share,
        seed,
        sessions or "any",
        enrol_utterances,
        sessions is not None,
        test_only,
    )
    options: dict[str, Any] = {
        "corpus": path_from_checkout(corpus),
        "root": root and path_from_checkout(root),
        "columns": columns or {},
    }
    options |= source.time_options()
    if formats:
        options["formats"] = formats
    options |= {
        "dev_share": dev_share,
        "test_share": test_share,
        "min_sample_rate_hz": min_sample_rate_hz,
        "max_unreadable_fraction": max_unreadable_fraction,
        "max_policy_fraction": max_policy_fraction,
    }
    if allow_missing_trials:
        options["allow_missing_trials"] = True
    options |= {"allow_pipes": allow_pipes, "seed": seed, "files": listing_digest(source.files)}
    options |= _trial_options(split, output / "train")
    if channel:
        options["channel"] = channel
    if test_only:
        options["test_only"] = True
    if features:
        options["features"] = True
    packing = Packing(channel, sample_rate_hz)
    if preview is not None:
        _preview(source, output, split, packing, preview, min_sample_rate_hz)
        if not MODE.checking:
            return {}
    counts = prepare_bank(output, noise, rirs)
    names = ("test",) if test_only else SETS
    tasks = _make_tasks(source, [output / name for name in names], options)
    pending = [task for task in tasks.values() if not task.is_done()]
    if pending:
        content = source.read()
        limits = _Limits(max_unreadable_fraction, max_policy_fraction, allow_missing_trials)
        refuse_missing(
            _list_files(content), corpus, output / "missing_files", content.start, root is not None
        )
        measured = measure_corpus(
            content.data, min_sample_rate_hz, jobs, output / "measured", allow_pipes, channel
        )
        refuse_many_unreadable(
            corpus, measured, max_unreadable_fraction, output / "unreadable_files"
        )
        lasting = measured.recording_durations(content.data)
        refuse_other_durations(corpus, content.stated, measured.utt2dur, lasting)
        _check_limits(content, measured, limits)
        sets, explanations = assign_speakers(content, split, measured.faults)
        _refuse_other_sets(tasks, sets)
        _report(content, corpus, measured, packing, explanations)
        for task in pending:
            if speakers := sets[task.home.name]:
                _write_set(task, content, speakers, measured, limits, channel)
    for name, task in tasks.items():
        counts[name] = task.counts
    return counts


@dataclass(frozen=True)
class _Limits:
    """Limits of the ledger, and whether trials may be lost."""

    max_unreadable: float
    max_policy: float
    allow_missing_trials: bool


def _report(
    content: Corpus, corpus: Path, measured: Measured, packing: Packing, explanations: list[str]
) -> None:
    """Print what the corpus has and how its speakers are divided."""
    lines = describe(content, corpus)
    lines += describe_audio(content.data.wav_scp, measured, packing)
    print("\n".join(lines + explanations))


def _make_tasks(source: "_Source", homes: Sequence[Path], options: Mapping) -> dict[str, Task]:
    """Task of each set."""
    explain = {"files": partial(changed_listing, source.path, homes)}
    inputs = source.inputs()
    make = partial(Task, format=FORMAT, inputs=inputs, options=options, explain=explain)
    return {home.name: make(home, "made") for home in homes}


def _preview(
    source: "_Source",
    output: Path,
    split: SplitOptions,
    packing: Packing,
    num_files: int,
    min_sample_rate_hz: int,
) -> None:
    """Print the corpus and its sets; later commands of a plan get the numbers of speakers."""
    content = source.read()
    lines = describe(content, source.path)
    if not source.features:
        lines += describe_first(content, num_files, min_sample_rate_hz, source.allow_pipes, packing)
    print("\n".join(lines))
    sets, explanations = assign_speakers(content, split)
    lines = describe_sets(sets, content.spk2sex, content.data.utt2spk)
    lines += explanations + describe_doors(len(content.spk2sex))
    print("\n".join(lines))
    if not MODE.checking:
        return
    members = Counter(content.data.utt2spk.values())
    for name, speakers in sets.items():
        note_speakers(output / name, {speaker: members[speaker] for speaker in speakers})


def _check_limits(content: Corpus, measured: Measured, limits: _Limits) -> None:
    """Apply the ledger's limits to the whole corpus, before its speakers are divided."""
    if measured.faults:
        ledger = Ledger(content.data.path)
        fill_ledger(ledger, content.data.utt2spk, measured.faults)
        ledger.check_limits(limits.max_unreadable, limits.max_policy)


def _trial_options(split: SplitOptions, train: Path) -> dict:
    """Options of the trials for the receipts.

    Left out where they are the defaults, and for sets made before they were recorded.
    """
    recorded = read_receipt(train / "receipts" / "made.json")
    if (split.sessions, split.enrol_utterances) == ("any", 1):
        return {}
    if recorded and "enrol_utterances" not in recorded["options"]:
        return {}
    return {"sessions": split.sessions, "enrol_utterances": split.enrol_utterances}


def _refuse_other_sets(tasks: Mapping[str, Task], sets: Mapping[str, Sequence[str]]) -> None:
    """Refuse existing sets with other speakers, as another version may have assigned them."""
    for name, task in tasks.items():
        utt2spk = task.home / "utt2spk"
        if not task.path.exists() or not utt2spk.exists():
            continue
        strangers = set(read_map(utt2spk).values()) - set(sets[name])
        if strangers:
            raise UserError(
                f"{utt2spk}: speaker '{min(strangers)}' is in {name}, but is now assigned to "
                f"another set; remove {task.home.parent} and run the same command again"
            )


@dataclass(frozen=True)
class _Source:
    """Where the utterances are listed: a table, Kaldi directories, or the files of a tree."""

    path: Path
    root: Path | None
    columns: Mapping[str, str]
    allow_pipes: bool
    folders: Mapping[str, Path]
    files: Sequence[tuple[str, int]]
    left_out: Mapping[str, int]
    trials: Path | None = None
    features: bool = False

    def inputs(self) -> dict[str, Path]:
        """The files that list utterances, for the receipt."""
        files = {}
        if self.trials:
            files["trials of their own"] = self.trials
        if self.path.is_file():
            return files | {"table": self.path}
        for name, folder in self.folders.items():
            for file in list_names(folder):
                files[f"{name}/{file}".strip("/")] = folder / file
        return files

    def time_options(self) -> dict:
        """Columns of times of a table, for the receipt; empty if they are the usual ones."""
        if not self.path.is_file():
            return {}
        times = read_time_columns(self.path, self.columns)
        if not times:
            return {}
        return {"times": times}

    def read(self) -> Corpus:
        """All utterances, and the trials that were given."""
        content = self._read_utterances()
        if self.trials:
            take_trials(content, self.trials)
        return content

    def _read_utterances(self) -> Corpus:
        if self.features and not self.folders:
            raise UserError(f"--features is for Kaldi directories, and {self.path} is none")
        if self.path.is_file():
            return read_table(self.path, self.columns, self.root)
        if self.folders:
            return read_kaldi(self.path, self.root, self.allow_pipes, self.features)
        return read_tree(self.path, self.files, self.left_out)


def _find_source(
    corpus: Path, root: Path | None, columns: Mapping[str, str], allow_pipes: bool, formats: str
) -> _Source:
    """A corpus as table, Kaldi directories or tree; a folder with Kaldi directories is no tree."""
    if columns and not corpus.is_file():
        raise UserError(f"--columns is for tables, but {corpus} is not one; leave it out")
    folders = {}
    if corpus.is_dir():
        folders = kaldi_folders(corpus)
        if not folders:
            files, left_out = _find_files(corpus, formats)
            return _Source(corpus, root, columns, allow_pipes, {}, files, left_out)
    if formats:
        raise UserError(f"--formats is for trees of files, but {corpus} is not one; leave it out")
    return _Source(corpus, root, columns, allow_pipes, folders, [], {})


def _find_files(corpus: Path, formats: str) -> tuple[list[tuple[str, int]], Counter[str]]:
    """The audio files of a tree in the formats asked for, and what is left out."""
    files, left_out = find_audio(corpus, SUFFIXES)
    suffixes = _parse_formats(formats)
    chosen = [file for file in files if file[0].lower().endswith(suffixes)]
    if len(chosen) < len(files):
        left_out["audio files of other formats"] = len(files) - len(chosen)
    return chosen, left_out


def _parse_formats(formats: str) -> tuple[str, ...]:
    """Extensions of --formats; all if it is empty."""
    suffixes = []
    for word in formats.split(","):
        name = word.strip().lower().removeprefix(".")
        if not word.strip():
            continue
        if f".{name}" not in SUFFIXES:
            raise UserError(
                f"--formats: '.{name}', expected some of {', '.join(SUFFIXES)}, joined by commas"
            )
        suffixes.append(f".{name}")
    return tuple(suffixes) or SUFFIXES


def _list_files(content: Corpus) -> dict[str, Path]:
    """Recording -> file; pipes are left out."""
    files = {}
    for recording, entry in content.data.wav_scp.items():
        if file := entry_file(entry):
            files[recording] = Path(file)
    return files


def _refuse_other(corpus: Path) -> None:
    """Refuse what is neither a folder nor a table."""
    expected = (
        "expected a folder of <speaker>/.../<file>, a table (.csv, .tsv) with columns path and "
        "speaker, or a Kaldi directory"
    )
    if not corpus.exists():
        raise UserError(f"{corpus}: no such folder or file; {expected}")
    if corpus.is_file() and corpus.suffix.lower() not in TABLES:
        raise UserError(f"{corpus}: a file, but not a table; {expected}")


def _write_set(
    task: Task,
    content: Corpus,
    speakers: Sequence[str],
    measured: Measured,
    limits: _Limits,
    channel: Channel,
) -> None:
    """Write one data directory, its ledger and its receipt."""
    name = task.home.name
    data = subset_data_dir(content.data, speakers=speakers)
    data.trials = content.trials.get(name)
    if measured.utt2dur:
        data.maps["utt2dur"] = measured.utt2dur
    if content.models.get(name):
        data.maps["enroll.spk2utt"] = content.models[name]
    ledger = Ledger(task.home, _utterances_in_trials(data), limits.allow_missing_trials)
    fill_ledger(ledger, data.utt2spk, measured.faults)
    ledger.check_limits(limits.max_unreadable, limits.max_policy)
    for utterance in ledger.kept:
        channels = measured.several.get(utterance_recording(data, utterance), 0)
        if channels:
            ledger.found[describe_channels(channels, channel)] += 1
    kept = subset_data_dir(data, utterances=ledger.kept)
    ledger.lost_trials = len(lines_left_out(data.trials or [], kept.trials or []))
    write_data_dir(kept, task.home)
    written = [task.home / file for file in list_names(task.home)]
    if not data.wav_scp:
        written += copy_feature_facts(content.data.path, task.home)
    written += ledger.write(task.home)
    num_speakers = len({data.utt2spk[utterance] for utterance in ledger.kept})
    seconds = sum(to_seconds(kept.maps.get("utt2dur", {})).values())
    counts = task.finish(written, {**ledger.counts, "speakers": num_speakers})
    print(
        f"{task.home}: {counts['went_on']:,} of {counts['came_in']:,} utterances, "
        f"{counts['speakers']:,} speakers, {seconds / 3600:.2f} hours"
    )


def _utterances_in_trials(data: DataDir) -> set[str]:
    """Utterances of the trials of a directory; for an enrolment model, those of the model."""
    models = data.maps.get("enroll.spk2utt", {})
    utterances: set[str] = set()
    for trial in data.trials or []:
        for side in trial.split()[:2]:
            utterances.update(models.get(side, side).split())
    return utterances


if __name__ == "__main__":
    run(prepare_folder)
