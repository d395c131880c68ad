"""From the files, speakers and lists of VoxCeleb to its data directories."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.audio_tree import durations
from local.corpus import finish_data_dir, path_from_checkout
from local.voxceleb.lists import (
    LISTS,
    Trial,
    check_version,
    read_training_list,
    read_trial_list,
    refuse_heard,
)
from local.voxceleb.meta import Speakers, corpus_of, is_voxceleb1
from local.voxceleb.missing import refuse_incomplete, report_part, write_missing
from local.voxceleb.sets import choose_dev_speakers, design_dev_trials, part_of_map
from local.voxceleb.trees import Utterances, find_utterances, part_of
from utils.audio.ffmpeg import require_ffmpeg
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.receipts import Task


@dataclass(frozen=True)
class Choice:
    """What was asked for; as the options of `local.prepare_voxceleb`.

    Attributes
    ----------
    corpora : tuple of str
        Those whose dev parts are trained on.
    train_list, dev_speakers, seed, allow_incomplete, allow_leakage, jobs
        As there.
    """

    corpora: tuple[str, ...]
    train_list: Path | None
    dev_speakers: int | None
    seed: int
    allow_incomplete: bool
    allow_leakage: bool
    jobs: int


@dataclass
class Sounds:
    """Utterances with their files, durations and faults.

    Attributes
    ----------
    found : mapping of str to Utterances
        Corpus -> its files.
    seconds, unreadable : dict of str to str
        Utterance -> duration; what is wrong with it.
    """

    found: Mapping[str, Utterances]
    seconds: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.prefix = {corpus: path_from_checkout(each.root) for corpus, each in self.found.items()}

    def __contains__(self, utterance: str) -> bool:
        corpus = corpus_of(utterance[:7])
        return corpus in self.found and utterance in self.found[corpus].files

    def entry(self, utterance: str) -> str:
        """What wav.scp says: made when it is written, since of a million utterances each list is 100 MB.

        Parameters
        ----------
        utterance : str
            One that is there.
        """
        corpus = corpus_of(utterance[:7])
        return f"{self.prefix[corpus]}/{self.found[corpus].files[utterance][0]}"


def make_sets(
    tasks: Mapping[str, Task],
    output: Path,
    roots: Mapping[str, Path],
    speakers: Speakers,
    paths: Mapping[str, Path],
    choice: Choice,
) -> None:
    """Find, check, measure and write all data directories that are to be made.

    Parameters
    ----------
    tasks : mapping of str to Task
        ``train``, ``dev``, ``tests/<list>``, and the set of all files that lists name.
    output : path
        Folder above them.
    roots : mapping of str to path
        Corpus -> its folder.
    speakers : Speakers
        What is known of them.
    paths : mapping of str to path
        List of trials -> its file.
    choice : Choice
        What was asked for.

    Raises
    ------
    UserError
        Something is missing, wrong or unreadable.
    """
    found = {
        corpus: find_utterances(root, corpus, speakers, choice.jobs)
        for corpus, root in roots.items()
    }
    print("\n".join(line for each in found.values() for line in each.said))
    trials = {
        name: _trials_of(name, path, speakers, choice.allow_incomplete)
        for name, path in paths.items()
    }
    every = list(dict.fromkeys(trial for of_list in trials.values() for trial in of_list))
    pool, complaints = _training_pool(found, speakers, output, choice, paths)
    complaints += _incomplete_parts(found, speakers, output, choice, paths)
    named = sorted({utterance for trial in every for utterance in trial[:2]})
    sounds = Sounds(found)
    absent = [key for key in named if key not in sounds]
    listing = output / "missing" / "test_files"
    complaints.append(write_missing(listing, absent, "files of the trials"))
    refuse_incomplete(complaints, choice.allow_incomplete)
    groups = {
        speaker: f"{corpus_of(speaker)} {speakers.sex.get(speaker, '')}"
        for speaker in {utterance[:7] for utterance in pool}
    }
    dev: set[str] = set()
    said = "dev: none, as asked for"
    if choice.dev_speakers != 0:
        utterances_of = Counter(key[:7] for key in pool if key in sounds)
        single = {speaker for speaker in groups if utterances_of[speaker] < 2}
        dev, said = choose_dev_speakers(groups, choice.dev_speakers, choice.seed, single)
    print(said)
    here, gone = _here_and_gone(pool, sounds)
    _measure(sounds, sorted({*here, *(key for key in named if key in sounds)}), output, choice.jobs)
    _refuse_unreadable(named, sounds, choice.allow_incomplete)
    if "train" in tasks:
        utterances, missing = ([key for key in keys if key[:7] not in dev] for keys in (here, gone))
        _write(tasks["train"], _Content(utterances, missing), sounds, speakers)
    utterances, missing = ([key for key in keys if key[:7] in dev] for keys in (here, gone))
    of_dev = _Content(utterances, missing, _dev_trials(utterances, sounds, groups, choice.seed))
    for name in sorted(tasks.keys() & {"dev", "tests/dev"}):
        _write(tasks[name], of_dev, sounds, speakers)
    for name in sorted(tasks.keys() - {"train", "dev", "tests/dev"}):
        of_test = trials.get(name.removeprefix("tests/"), every)
        _write_test(tasks[name], of_test, sounds, speakers)


def _trials_of(name: str, path: Path, speakers: Speakers, allow_incomplete: bool) -> list[Trial]:
    trials, repeated = read_trial_list(path, speakers)
    print(check_version(name, path, trials, repeated, allow_incomplete))
    return trials


def _training_pool(
    found: Mapping[str, Utterances],
    speakers: Speakers,
    output: Path,
    choice: Choice,
    tests: Collection[str],
) -> tuple[list[str], list[str]]:
    """Utterances to train on, dev's among them, in byte order; and what is wrong with them."""
    if choice.train_list is None:
        return sorted(key for corpus in choice.corpora for key in found[corpus].of_part("dev")), []
    pool = read_training_list(choice.train_list, speakers)
    for speaker in sorted({utterance[:7] for utterance in pool}):
        corpus = corpus_of(speaker)
        part = found[corpus].part.get(speaker) if corpus in found else None
        if corpus not in choice.corpora or (part or part_of(speaker, speakers)) == "test":
            raise UserError(
                f"{choice.train_list}: speaker {speaker} is of {corpus} {part or part_of(speaker, speakers)}, expected speakers of "
                f"{' and '.join(f'{corpus} dev' for corpus in choice.corpora)}; take another list or --training"
            )
    refuse_heard(
        tests,
        any(map(is_voxceleb1, {utterance[:7] for utterance in pool})),
        str(choice.train_list),
        choice.allow_leakage,
    )
    there = {key for corpus in choice.corpora for key in found[corpus].files}
    return pool, [
        write_missing(
            output / "missing" / "train_files",
            [key for key in pool if key not in there],
            f"files of {choice.train_list}",
        )
    ]


def _incomplete_parts(
    found: Mapping[str, Utterances],
    speakers: Speakers,
    output: Path,
    choice: Choice,
    tests: Collection[str],
) -> list[str]:
    """What is missing of the parts that are needed; counts of all parts are printed."""
    needed = {("voxceleb1", "test")} | (
        {("voxceleb1", "dev")} if any(LISTS[name].draws_on_dev for name in tests) else set()
    )
    needed |= {(corpus, "dev") for corpus in choice.corpora if choice.train_list is None}
    complaints = []
    for corpus, part in ((corpus, part) for corpus in found for part in ("dev", "test")):
        line, complaint = report_part(found[corpus], corpus, part, speakers, output)
        print(line + ("" if (corpus, part) in needed else " (not needed)"))
        complaints += (
            [f"{found[corpus].root}: {complaint}"] if complaint and (corpus, part) in needed else []
        )
    return complaints


def _measure(sounds: Sounds, utterances: list[str], output: Path, jobs: int) -> None:
    """Fill in the durations of utterances, from headers."""
    for corpus, each in sounds.found.items():
        key_of = {each.files[key][0]: key for key in utterances if corpus_of(key[:7]) == corpus}
        prefix = sounds.prefix[corpus]
        require_ffmpeg(f"{prefix}/{path}" for path in key_of)
        seconds, unreadable = durations(
            Path(prefix),
            [each.files[key] for key in key_of.values()],
            jobs,
            output / "durations" / corpus,
        )
        sounds.seconds |= {key_of[path]: length for path, length in seconds.items()}
        sounds.unreadable |= {key_of[path]: fault for path, fault in unreadable.items()}


def _refuse_unreadable(named: list[str], sounds: Sounds, allow_incomplete: bool) -> None:
    bad = [utterance for utterance in named if utterance in sounds.unreadable]
    if bad and not allow_incomplete:
        raise UserError(
            f"{sounds.unreadable[bad[0]]}; the trials name {len(bad):,} files that cannot be read: fetch them again, or give "
            "--allow-incomplete, with which their trials are lost and every result says so"
        )


def _dev_trials(
    utterances: list[str], sounds: Sounds, groups: Mapping[str, str], seed: int
) -> list[str] | None:
    """Trials of the utterances of dev that can be read; None where there are none."""
    readable = {key: key[:7] for key in utterances if key not in sounds.unreadable}
    if not readable:
        return None
    return design_dev_trials(readable, {key: key[8:-6] for key in readable}, groups, seed)


def _write_test(task: Task, trials: list[Trial], sounds: Sounds, speakers: Speakers) -> None:
    """A set of the files that trials name; those of missing and unreadable files are lost, and counted."""
    named = sorted({utterance for trial in trials for utterance in trial[:2]})
    kept = [trial for trial in trials if trial[0] in sounds.seconds and trial[1] in sounds.seconds]
    lines = [
        f"{enrol} {test} {'target' if is_target else 'nontarget'}"
        for enrol, test, is_target in kept
    ]
    here, missing = _here_and_gone(named, sounds)
    _write(task, _Content(here, missing, lines, len(trials) - len(kept)), sounds, speakers)


def _here_and_gone(utterances: list[str], sounds: Sounds) -> tuple[list[str], list[str]]:
    """Those that have a file, and those that have none."""
    here = [utterance for utterance in utterances if utterance in sounds]
    gone = [utterance for utterance in utterances if utterance not in sounds]
    return here, gone


@dataclass(frozen=True)
class _Content:
    """What a data directory is to hold, and what of it is missing."""

    utterances: list[str]
    missing: list[str]
    trials: list[str] | None = None
    lost_trials: int = 0


def _write(task: Task, content: _Content, sounds: Sounds, speakers: Speakers) -> None:
    """Write one data directory and say what is in it."""
    utterances, trials, lost_trials = content.utterances, content.trials, content.lost_trials
    utt2spk = {utterance: sys.intern(utterance[:7]) for utterance in utterances}
    names = set(utt2spk.values())
    seconds = {key: sounds.seconds[key] for key in utterances if key in sounds.seconds}
    of_speakers = {
        "spk2gender": part_of_map(speakers.sex, names),
        "spk2nationality": part_of_map(speakers.nationality, names),
    }
    maps = {"utt2dur": seconds, "utt2session": {key: sys.intern(key[8:-6]) for key in utterances}}
    maps |= {name: each for name, each in of_speakers.items() if each}
    data = DataDir(
        task.home, {key: sounds.entry(key) for key in utterances}, utt2spk, None, maps, trials
    )
    unreadable = {key: sounds.unreadable[key] for key in utterances if key in sounds.unreadable}
    targets = sum(line.endswith(" target") for line in trials or ())
    counts = finish_data_dir(
        task,
        data,
        unreadable,
        {"targets": targets, "nontargets": len(trials) - targets} if trials else None,
        missing=content.missing,
        lost_trials=lost_trials,
    )
    said = f"{counts['went_on']:,} of {counts['came_in']:,} utterances, {counts['speakers']:,} speakers"
    said += f", {targets:,} target and {len(trials) - targets:,} impostor trials" if trials else ""
    said += f"; {lost_trials:,} trials are lost" if lost_trials else ""
    said += "" if "spk2gender" in data.maps else "; the sex of some speakers is not known"
    print(f"{task.home}: {said}")
