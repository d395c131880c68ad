"""Make data directories train, dev and test of a corpus of one's own: a tree of folders, a table, or Kaldi directories.

    python -m local.prepare_folder corpora/mine data/mine                          <speaker>/<session>/<file>
    python -m local.prepare_folder corpora/mine.csv data/mine --root corpora/mine  columns path, speaker, and what else there is
    python -m local.prepare_folder corpora/mine data/mine --preview 50             what would happen; writes nothing

No speaker is in two sets.  Trials are made by steps.make_trials.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local.audio_tree import find_audio, listing_digest
from local.corpus import changed_listing, path_from_checkout
from local.own.corpus import SETS, Corpus
from local.own.deal import Dealing, deal_speakers
from local.own.kaldi import file_of, kaldi_folders, read_kaldi
from local.own.measure import Measured, measure_corpus, refuse_many_unreadable
from local.own.missing import refuse_missing
from local.own.preview import describe, describe_first, describe_sets
from local.own.sound import Heard, sound_lines
from local.own.table import read_table, times_of_table
from local.own.times import refuse_other_durations
from local.own.tree import SUFFIXES, read_tree
from local.prepare_noise import prepare_bank
from utils.audio import Channel, channels_in_words, refuse_negative
from utils.cli import run
from utils.data_dir import read_map, subset_data_dir, write_data_dir
from utils.data_dir.formats import lists_of
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION, Ledger
from utils.data_dir.trial_list import lines_left_out
from utils.embeddings.planned import note_speakers
from utils.errors import UserError
from utils.receipts import MODE, Task, read_receipt
from utils.trials.pairs import Sessions

FORMAT = 1


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
) -> dict:
    """Read a corpus, deal its speakers to three sets, and write the data directory of each; nothing is written into the corpus.

    Parameters
    ----------
    corpus : path
        Folder with one folder for each speaker; or a table (.csv, .tsv: one line for each utterance, names of columns first); or a Kaldi
        directory, or a folder of Kaldi directories train, dev and test.
    output : path
        Gets train, dev and test and, if asked for, noise and rirs.
    root : path or None
        Where relative paths of a table or of wav.scp start; None: the table's folder, or the current one.
    columns : dict or None
        Our name of a table's column -> its name there, for example ``{speaker: client_id}``.
    formats : str
        Ends of the names of a tree's files, joined by commas (``wav,flac``): others are left aside; default: all kinds of sound.
    dev_share, test_share : float
        Of the speakers, at least two each; sets that the corpus names stay as they are.
    sessions, enrol_utterances : str and int
        Of the trials that steps.make_trials is to make of dev and test: who has too few utterances for them is trained on, and a corpus of
        which they cannot be made is refused.  None: no trials are asked for.
    min_sample_rate_hz : int
        Recordings of a lower rate are dropped, by the ledger's policy.
    max_unreadable_fraction, max_policy_fraction : float
        More utterances than this (and than one) that cannot be read, or that are dropped by policy, are an error.
    allow_missing_trials : bool
        Leave to lose trials that came with the corpus, since an utterance of theirs cannot be used; they are counted, and every result says so.
    allow_pipes : bool
        Leave to run the commands that a wav.scp may hold.
    seed : int
        Decides who is in which set.
    jobs : int
        Processes that read headers.
    preview : int or None
        Say what would happen, with a look at this many files, and write nothing.
    channel : int or "mean"
        Of files with several, the one that the recipe hears: it is said, and files without it are left out.
    sample_rate_hz : int
        Rate that the recipe packs at: what has fewer samples is said, and has no upper band.
    noise, rirs : path
        Trees of noises and of room responses for augmentation.

    Returns
    -------
    dict
        Set -> counts of utterances and speakers.

    Raises
    ------
    UserError
        It is no corpus, or too much of it is missing or cannot be used.
    """
    _refuse_other(corpus)
    refuse_negative(channel)
    source = _find(corpus, root, columns or {}, allow_pipes, formats)
    options = {
        "corpus": path_from_checkout(corpus),
        "root": root and path_from_checkout(root),
        "columns": columns or {},
        **source.time_options(),
        **({"formats": formats} if formats else {}),
        "dev_share": dev_share,
        "test_share": test_share,
        "min_sample_rate_hz": min_sample_rate_hz,
        "max_unreadable_fraction": max_unreadable_fraction,
        "max_policy_fraction": max_policy_fraction,
        **({"allow_missing_trials": True} if allow_missing_trials else {}),
        "allow_pipes": allow_pipes,
        "seed": seed,
        "files": listing_digest(source.files),
    }
    how = Dealing(
        dev_share, test_share, seed, sessions or "any", enrol_utterances, sessions is not None
    )
    options |= _design(how, output / "train")
    options |= {"channel": channel} if channel else {}
    heard = Heard(channel, sample_rate_hz)
    if preview is not None:
        _preview(source, output, how, heard, preview, min_sample_rate_hz)
        if not MODE.checking:
            return {}
    counts = prepare_bank(output, noise, rirs)
    tasks = _tasks(source, output, options)
    pending = [task for task in tasks.values() if not task.is_done()]
    if pending:
        found = source.read()
        listing = output / "missing_files"
        refuse_missing(_files_of(found), corpus, listing, found.start, root is not None)
        measured = measure_corpus(
            found.data, min_sample_rate_hz, jobs, output / "measured", allow_pipes, channel
        )
        refuse_many_unreadable(
            corpus, measured, max_unreadable_fraction, output / "unreadable_files"
        )
        refuse_other_durations(
            corpus, found.stated, measured.utt2dur, measured.seconds_of(found.data)
        )
        limits = max_unreadable_fraction, max_policy_fraction, allow_missing_trials
        _check_limits(found, measured, limits)
        sets, surprises = deal_speakers(found, how, measured.faults)
        _refuse_other_sets(tasks, sets)
        sound = sound_lines(found.data.wav_scp, measured, heard)
        print("\n".join([*describe(found, corpus), *sound, *surprises]))
        for task in (task for task in pending if sets[task.home.name]):
            _write_set(task, found, sets[task.home.name], measured, limits, channel)
    return {**counts, **{name: task.counts for name, task in tasks.items()}}


def _tasks(source: "_Source", output: Path, options: Mapping) -> dict[str, Task]:
    """Set -> what is to be done."""
    homes = [output / name for name in SETS]
    explain = {"files": partial(changed_listing, source.path, homes)}
    inputs = source.inputs()
    return {
        home.name: Task(
            home, "made", format=FORMAT, inputs=inputs, options=options, explain=explain
        )
        for home in homes
    }


def _preview(
    source: "_Source",
    output: Path,
    how: Dealing,
    heard: Heard,
    num_files: int,
    min_sample_rate_hz: int,
) -> None:
    """Say what was found and who would be in which set; a plan's later commands learn the speakers."""
    found = source.read()
    first = describe_first(found, num_files, min_sample_rate_hz, source.allow_pipes, heard)
    print("\n".join([*describe(found, source.path), *first]))
    sets, surprises = deal_speakers(found, how)
    print("\n".join([*describe_sets(sets, found.spk2sex, found.data.utt2spk), *surprises]))
    if not MODE.checking:
        return
    members = Counter(found.data.utt2spk.values())
    for name, speakers in sets.items():
        note_speakers(output / name, {speaker: members[speaker] for speaker in speakers})


def _check_limits(found: Corpus, measured: Measured, limits: tuple[float, float, bool]) -> None:
    """Hold the whole corpus to the ledger's limits: before its speakers are dealt, which are fewer where utterances are."""
    if not measured.faults:
        return
    ledger = Ledger(found.data.path)
    for utterance in sorted(found.data.utt2spk):
        if utterance in measured.faults:
            ledger.drop(utterance, *measured.faults[utterance])
        else:
            ledger.keep(utterance)
    max_unreadable, max_policy, _ = limits
    ledger.check_limits(max_unreadable, max_policy)


def _design(how: Dealing, train: Path) -> dict:
    """What the receipts record of the trials, where it is not the usual; those of sets made before it mattered say nothing of it."""
    recorded = read_receipt(train / "receipts" / "made.json")
    if (how.sessions, how.enrol_utterances) == ("any", 1):
        return {}
    if recorded and "enrol_utterances" not in recorded["options"]:
        return {}
    return {"sessions": how.sessions, "enrol_utterances": how.enrol_utterances}


def _refuse_other_sets(tasks: Mapping[str, Task], sets: Mapping[str, Sequence[str]]) -> None:
    """Refuse to write some of the sets beside others that have other speakers, as another version may have dealt them."""
    for name, task in tasks.items():
        made = task.home / "utt2spk"
        if not task.path.exists() or not made.exists():
            continue
        strangers = sorted(set(read_map(made).values()) - set(sets[name]))
        if strangers:
            raise UserError(
                f"{made}: speaker '{strangers[0]}' is in {name} there, and is not dealt to it now; remove {task.home.parent} and run the "
                "same command again"
            )


@dataclass(frozen=True)
class _Source:
    """Where the utterances stand: in a table, in the lists of Kaldi directories, or as the files of a tree."""

    path: Path
    root: Path | None
    columns: Mapping[str, str]
    allow_pipes: bool
    folders: Mapping[str, Path]
    files: Sequence[tuple[str, int]]
    left_out: Mapping[str, int]

    def inputs(self) -> dict[str, Path]:
        """The files that list utterances, for the receipt."""
        if self.path.is_file():
            return {"table": self.path}
        return {
            f"{name}/{file}".strip("/"): folder / file
            for name, folder in self.folders.items()
            for file in lists_of(folder)
        }

    def time_options(self) -> dict:
        """For the receipt: which columns of a table are times, where they are others than start and end in seconds."""
        times = times_of_table(self.path, self.columns) if self.path.is_file() else {}
        return {"times": times} if times else {}

    def read(self) -> Corpus:
        """All utterances."""
        if self.path.is_file():
            return read_table(self.path, self.columns, self.root)
        if self.folders:
            return read_kaldi(self.path, self.root, self.allow_pipes)
        return read_tree(self.path, self.files, self.left_out)


def _find(
    corpus: Path, root: Path | None, columns: Mapping[str, str], allow_pipes: bool, formats: str
) -> _Source:
    """Look what a corpus is: Kaldi directories come before a tree."""
    if columns and not corpus.is_file():
        raise UserError(f"--columns names those of a table, which {corpus} is not; leave it out")
    folders = {} if corpus.is_file() else kaldi_folders(corpus)
    if not folders and corpus.is_dir():
        files, left_out = find_audio(corpus, SUFFIXES)
        ends = _ends_of(formats)
        chosen = [file for file in files if file[0].lower().endswith(ends)]
        if len(chosen) < len(files):
            left_out["sound of other formats"] = len(files) - len(chosen)
        return _Source(corpus, root, columns, allow_pipes, folders, chosen, left_out)
    if formats:
        raise UserError(
            f"--formats chooses among the files of a tree, which {corpus} is not; leave it out"
        )
    return _Source(corpus, root, columns, allow_pipes, folders, [], {})


def _ends_of(formats: str) -> tuple[str, ...]:
    """The ends of names that --formats asks for; all without it."""
    ends = tuple(
        f".{word.strip().lower().removeprefix('.')}" for word in formats.split(",") if word.strip()
    )
    if unknown := next((end for end in ends if end not in SUFFIXES), None):
        raise UserError(
            f"--formats: '{unknown}', expected some of {', '.join(SUFFIXES)}, joined by commas"
        )
    return ends or SUFFIXES


def _files_of(found: Corpus) -> dict[str, Path]:
    """Recording -> file, of those that are no pipes."""
    files = {recording: file_of(entry) for recording, entry in found.data.wav_scp.items()}
    return {recording: Path(file) for recording, file in files.items() if file}


def _refuse_other(corpus: Path) -> None:
    """Refuse what is neither a folder nor a table."""
    expected = "expected a folder of <speaker>/.../<file>, a table (.csv, .tsv) with columns path and speaker, or a Kaldi directory"
    if not corpus.exists():
        raise UserError(f"{corpus}: no such folder or file; {expected}")
    if corpus.is_file() and corpus.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise UserError(f"{corpus}: a file, but no table; {expected}")


def _write_set(
    task: Task,
    found: Corpus,
    speakers: Sequence[str],
    measured: Measured,
    limits: tuple[float, float, bool],
    channel: Channel,
) -> None:
    """Write one data directory, its ledger, held to its limits (unreadable, policy, whether trials may be lost), and its receipt."""
    name = task.home.name
    data = subset_data_dir(found.data, speakers=speakers)
    data.trials = found.trials.get(name)
    data.maps["utt2dur"] = measured.utt2dur
    if found.models.get(name):
        data.maps["enroll.spk2utt"] = found.models[name]
    models = {
        model: members.split() for model, members in data.maps.get("enroll.spk2utt", {}).items()
    }
    in_trials = {
        utterance
        for trial in data.trials or []
        for side in trial.split()[:2]
        for utterance in models.get(side, [side])
    }
    max_unreadable, max_policy, may_lose_trials = limits
    ledger = Ledger(task.home, in_trials, may_lose_trials)
    for utterance in sorted(data.utt2spk):
        if utterance in measured.faults:
            ledger.drop(utterance, *measured.faults[utterance])
        else:
            ledger.keep(utterance)
    ledger.check_limits(max_unreadable, max_policy)
    for utterance in ledger.kept:
        recording = data.segments[utterance].split()[0] if data.segments else utterance
        if channels := measured.several.get(recording, 0):
            ledger.found[channels_in_words(channels, channel)] += 1
    kept = subset_data_dir(data, utterances=ledger.kept)
    ledger.lost_trials = len(lines_left_out(data.trials or [], kept.trials or []))
    write_data_dir(kept, task.home)
    written = [task.home / file for file in lists_of(task.home)]
    num_speakers = len({data.utt2spk[utterance] for utterance in ledger.kept})
    counts = task.finish(
        [*written, *ledger.write(task.home)], {**ledger.counts, "speakers": num_speakers}
    )
    hours = sum(float(measured.utt2dur[utterance]) for utterance in ledger.kept) / 3600
    print(
        f"{task.home}: {counts['went_on']:,} of {counts['came_in']:,} utterances, {counts['speakers']:,} speakers, {hours:.2f} hours"
    )


if __name__ == "__main__":
    run(prepare_folder)
