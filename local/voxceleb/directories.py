"""Data directories from the files, speakers and lists of VoxCeleb."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from local.audio_tree import durations
from local.corpus import finish_data_dir, path_from_checkout
from local.trial_design import Trial, trial_lines
from local.voxceleb.lists import (
    LISTS,
    check_version,
    read_training_list,
    read_trial_list,
    refuse_leakage,
)
from local.voxceleb.meta import Speakers, is_voxceleb1, speaker_corpus
from local.voxceleb.missing import refuse_incomplete, report_part, write_missing
from local.voxceleb.sets import choose_dev_speakers, design_dev_trials
from local.voxceleb.trees import Utterances, find_utterances, speaker_part
from utils.audio.ffmpeg import require_ffmpeg
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.receipts import Task

DEV_SETS = {"dev", "tests/dev"}


@dataclass(frozen=True)
class Choice:
    """Options of `local.prepare_voxceleb`; ``corpora`` are those of which dev is trained on."""

    corpora: tuple[str, ...]
    train_list: Path | None
    dev_speakers: int | None
    seed: int
    allow_incomplete: bool
    allow_leakage: bool
    jobs: int


@dataclass
class Audio:
    """Files of each corpus, and seconds or fault of each measured utterance."""

    by_corpus: Mapping[str, Utterances]
    seconds: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.roots = {
            corpus: path_from_checkout(each.root) for corpus, each in self.by_corpus.items()
        }

    def __contains__(self, utterance: str) -> bool:
        corpus = speaker_corpus(utterance[:7])
        return corpus in self.by_corpus and utterance in self.by_corpus[corpus].files

    def entry(self, utterance: str) -> str:
        """The entry of wav.scp; made when it is written, since a million of them take 100 MB."""
        corpus = speaker_corpus(utterance[:7])
        return f"{self.roots[corpus]}/{self.by_corpus[corpus].files[utterance][0]}"


@dataclass(frozen=True)
class _Content:
    """Utterances of a data directory, those without a file, and trials."""

    utterances: list[str]
    missing: list[str]
    trials: list[str] | None = None
    lost_trials: int = 0


def make_sets(
    tasks: Mapping[str, Task],
    output: Path,
    roots: Mapping[str, Path],
    speakers: Speakers,
    paths: Mapping[str, Path],
    choice: Choice,
) -> None:
    """Find, check, measure and write all data directories of the tasks.

    Tasks are ``train``, ``dev``, ``tests/<list>`` and the set of all files that lists name;
    ``paths`` has the files of the lists of trials. UserError: something is missing, wrong or
    unreadable.
    """
    by_corpus = {}
    for corpus, root in roots.items():
        by_corpus[corpus] = find_utterances(root, corpus, speakers, choice.jobs)
        print("\n".join(by_corpus[corpus].notes))
    trials = {}
    for name, path in paths.items():
        trials[name] = _read_trials(name, path, speakers, choice.allow_incomplete)
    all_trials = list(dict.fromkeys(chain.from_iterable(trials.values())))
    named = _list_sides(all_trials)
    audio = Audio(by_corpus)
    pool, complaints = _training_pool(by_corpus, speakers, output, choice, paths)
    complaints += _incomplete_parts(by_corpus, speakers, output, choice, paths)
    in_trials, absent = _divide_by_file(named, audio)
    listing = output / "missing" / "test_files"
    complaints.append(write_missing(listing, absent, "files of the trials"))
    refuse_incomplete(complaints, choice.allow_incomplete)
    groups = _group_speakers(pool, speakers)
    present, missing = _divide_by_file(pool, audio)
    dev = _choose_dev(present, groups, choice)
    _measure(audio, sorted({*present, *in_trials}), output, choice.jobs)
    _refuse_unreadable(named, audio, choice.allow_incomplete)
    if "train" in tasks:
        for_train = [key for key in present if key[:7] not in dev]
        missing_in_train = [key for key in missing if key[:7] not in dev]
        _write(tasks["train"], _Content(for_train, missing_in_train), audio, speakers)
    for_dev = [key for key in present if key[:7] in dev]
    missing_in_dev = [key for key in missing if key[:7] in dev]
    dev_trials = _dev_trials(for_dev, audio, groups, choice.seed)
    dev_content = _Content(for_dev, missing_in_dev, dev_trials)
    for name in sorted(tasks.keys() & DEV_SETS):
        _write(tasks[name], dev_content, audio, speakers)
    for name in sorted(tasks.keys() - DEV_SETS - {"train"}):
        test_trials = trials.get(name.removeprefix("tests/"), all_trials)
        _write_test(tasks[name], test_trials, audio, speakers)


def _read_trials(name: str, path: Path, speakers: Speakers, allow_incomplete: bool) -> list[Trial]:
    trials, repeated = read_trial_list(path, speakers)
    print(check_version(name, path, trials, repeated, allow_incomplete))
    return trials


def _list_sides(trials: list[Trial]) -> list[str]:
    """Utterances of trials, in byte order."""
    utterances: set[str] = set()
    for enrol, test, _ in trials:
        utterances.update((enrol, test))
    return sorted(utterances)


def _divide_by_file(utterances: list[str], audio: Audio) -> tuple[list[str], list[str]]:
    """Utterances with a file, and those without."""
    present = [utterance for utterance in utterances if utterance in audio]
    missing = [utterance for utterance in utterances if utterance not in audio]
    return present, missing


def _group_speakers(pool: list[str], speakers: Speakers) -> dict[str, str]:
    """Speaker of the pool -> corpus and sex."""
    groups = {}
    for speaker in {utterance[:7] for utterance in pool}:
        groups[speaker] = f"{speaker_corpus(speaker)} {speakers.sex.get(speaker, '')}"
    return groups


def _choose_dev(present: list[str], groups: Mapping[str, str], choice: Choice) -> set[str]:
    """Draw the dev speakers and print their number."""
    if choice.dev_speakers == 0:
        print("dev: none, as asked for")
        return set()
    num_utterances = Counter(utterance[:7] for utterance in present)
    single = {speaker for speaker in groups if num_utterances[speaker] < 2}
    dev, line = choose_dev_speakers(groups, choice.dev_speakers, choice.seed, single)
    print(line)
    return dev


def _training_pool(
    by_corpus: Mapping[str, Utterances],
    speakers: Speakers,
    output: Path,
    choice: Choice,
    tests: Collection[str],
) -> tuple[list[str], list[str]]:
    """Utterances of train and dev, in byte order, and what is missing of them."""
    if choice.train_list is None:
        return sorted(
            key for corpus in choice.corpora for key in by_corpus[corpus].in_part("dev")
        ), []
    pool = read_training_list(choice.train_list, speakers)
    pool_speakers = {utterance[:7] for utterance in pool}
    for speaker in sorted(pool_speakers):
        corpus = speaker_corpus(speaker)
        part = speaker_part(speaker, speakers)
        if corpus in by_corpus:
            part = by_corpus[corpus].part.get(speaker) or part
        if corpus not in choice.corpora or part == "test":
            expected = " and ".join(f"{name} dev" for name in choice.corpora)
            raise UserError(
                f"{choice.train_list}: speaker {speaker} is of {corpus} {part}, expected speakers "
                f"of {expected}; take another list or --training"
            )
    trains_on_dev = any(is_voxceleb1(speaker) for speaker in pool_speakers)
    refuse_leakage(tests, trains_on_dev, str(choice.train_list), choice.allow_leakage)
    files: set[str] = set()
    for corpus in choice.corpora:
        files.update(by_corpus[corpus].files)
    missing = [utterance for utterance in pool if utterance not in files]
    listing = output / "missing" / "train_files"
    return pool, [write_missing(listing, missing, f"files of {choice.train_list}")]


def _incomplete_parts(
    by_corpus: Mapping[str, Utterances],
    speakers: Speakers,
    output: Path,
    choice: Choice,
    tests: Collection[str],
) -> list[str]:
    """What is missing of the parts that are needed; counts of all parts are printed."""
    needed = {("voxceleb1", "test")}
    if any(LISTS[name].uses_dev_speakers for name in tests):
        needed.add(("voxceleb1", "dev"))
    if choice.train_list is None:
        needed |= {(corpus, "dev") for corpus in choice.corpora}
    complaints = []
    for corpus in by_corpus:
        for part in ("dev", "test"):
            line, complaint = report_part(by_corpus[corpus], corpus, part, speakers, output)
            if (corpus, part) not in needed:
                print(f"{line} (not needed)")
                continue
            print(line)
            if complaint:
                complaints.append(f"{by_corpus[corpus].root}: {complaint}")
    return complaints


def _measure(audio: Audio, utterances: list[str], output: Path, jobs: int) -> None:
    """Add the durations of utterances, from headers."""
    for corpus, each in audio.by_corpus.items():
        in_corpus = [key for key in utterances if speaker_corpus(key[:7]) == corpus]
        files = [each.files[key] for key in in_corpus]
        root = audio.roots[corpus]
        require_ffmpeg(f"{root}/{path}" for path, _ in files)
        seconds, faults = durations(Path(root), files, jobs, output / "durations" / corpus)
        for key, (path, _) in zip(in_corpus, files, strict=True):
            if path in seconds:
                audio.seconds[key] = seconds[path]
            else:
                audio.unreadable[key] = faults[path]


def _refuse_unreadable(named: list[str], audio: Audio, allow_incomplete: bool) -> None:
    bad = [utterance for utterance in named if utterance in audio.unreadable]
    if bad and not allow_incomplete:
        raise UserError(
            f"{audio.unreadable[bad[0]]}; the trials name {len(bad):,} files that cannot be read: "
            "fetch them again, or give --allow-incomplete, with which their trials are lost and "
            "every result says so"
        )


def _dev_trials(
    utterances: list[str], audio: Audio, groups: Mapping[str, str], seed: int
) -> list[str] | None:
    """Trials of the dev utterances that can be read; None if there are none."""
    readable = [utterance for utterance in utterances if utterance not in audio.unreadable]
    if not readable:
        return None
    utt2spk = {utterance: utterance[:7] for utterance in readable}
    utt2session = {utterance: utterance[8:-6] for utterance in readable}
    return design_dev_trials(utt2spk, utt2session, groups, seed)


def _write_test(task: Task, trials: list[Trial], audio: Audio, speakers: Speakers) -> None:
    """Write a set of the files of trials; trials of missing and unreadable files are lost."""
    kept = [trial for trial in trials if trial[0] in audio.seconds and trial[1] in audio.seconds]
    present, missing = _divide_by_file(_list_sides(trials), audio)
    content = _Content(present, missing, trial_lines(kept), len(trials) - len(kept))
    _write(task, content, audio, speakers)


def _write(task: Task, content: _Content, audio: Audio, speakers: Speakers) -> None:
    """Write one data directory and print its counts."""
    utterances, trials = content.utterances, content.trials
    wav_scp, utt2spk, utt2session, utt2dur, unreadable = {}, {}, {}, {}, {}
    for key in utterances:
        wav_scp[key] = audio.entry(key)
        utt2spk[key], utt2session[key] = sys.intern(key[:7]), sys.intern(key[8:-6])
        if key in audio.seconds:
            utt2dur[key] = audio.seconds[key]
        if key in audio.unreadable:
            unreadable[key] = audio.unreadable[key]
    maps = {"utt2dur": utt2dur, "utt2session": utt2session}
    names = set(utt2spk.values())
    for list_name, mapping in (
        ("spk2gender", speakers.sex),
        ("spk2nationality", speakers.nationality),
    ):
        if names and names <= mapping.keys():  # a list covers its data directory
            maps[list_name] = {speaker: mapping[speaker] for speaker in names}
    counts = None
    if trials:
        num_targets = sum(line.endswith(" target") for line in trials)
        counts = {"targets": num_targets, "nontargets": len(trials) - num_targets}
    data = DataDir(task.home, wav_scp, utt2spk, None, maps, trials)
    written = finish_data_dir(
        task, data, unreadable, counts, missing=content.missing, lost_trials=content.lost_trials
    )
    line = (
        f"{task.home}: {written['went_on']:,} of {written['came_in']:,} utterances, "
        f"{written['speakers']:,} speakers"
    )
    if counts:
        line += f", {counts['targets']:,} target and {counts['nontargets']:,} nontarget trials"
    if content.lost_trials:
        line += f"; {content.lost_trials:,} trials are lost"
    if "spk2gender" not in data.maps:
        line += "; the sex of some speakers is not known"
    print(line)
