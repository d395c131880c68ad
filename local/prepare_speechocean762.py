"""Make data directories and trials of speechocean762: 250 Mandarin speakers of English.

    python -m local.prepare_speechocean762 corpora/speechocean762 data/fold1 --fold 1 \\
        --noise corpora/noise --rirs corpora/rirs

If the corpus' test/ is missing, speakers of train/ are held out: four folds test every speaker
once.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from local.corpus import (
    finish_data_dir,
    measure,
    path_from_checkout,
    read_protocol,
    require,
    require_files,
    restrict,
)
from local.prepare_noise import prepare_bank
from local.trial_design import design_trials, stratified_order, trial_lines
from utils.cli import run
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
PART_SPEAKERS, PART_UTTERANCES = 125, 2500  # of train/ and of test/ in the published corpus
LISTS = ("wav.scp", "utt2spk", "spk2gender", "spk2age", "text")
ADULT_YEARS = 18
DEV_SPEAKERS = 10


@dataclass
class Part:
    """Files and lists of one part of the corpus, or of both.

    ``lists`` has ``spk2age_group`` and ``spk2group`` (sex and age group) besides the corpus' own.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    lists: dict[str, dict[str, str]] = field(default_factory=dict)


def prepare_speechocean762(
    corpus: Path,
    output: Path,
    *,
    fold: int = 1,
    folds: int = 4,
    seed: int = 1,
    noise: Path | None = None,
    rirs: Path | None = None,
) -> dict:
    """Split the speakers into train, dev and test, and design the trials of dev and test.

    Parameters
    ----------
    corpus : path
        Has WAVE/, train/ and, in the published corpus, test/; nothing is written there.
    output : path
        Gets the data directories train, dev, test and, if asked for, noise and rirs.
    fold : int
        Which speakers of train/ are held out for test, 1 to ``folds``; if test/ exists, its
        speakers are the test set, and 1 is the only fold.
    folds : int
        Number of folds that test every speaker once.
    seed : int
        For folds, dev speakers and nontarget trials.
    noise, rirs : path
        Trees of noises and of room impulse responses for augmentation.

    Returns
    -------
    dict
        Set -> counts of utterances, speakers and trials.

    Raises
    ------
    UserError
        This is not the corpus, some of it is missing or unreadable, or the fold does not exist.
    """
    parts = _find_parts(corpus)
    _check_fold(fold, folds, corpus, parts)
    counts = prepare_bank(output, noise, rirs)
    inputs = {f"{part}/{name}": corpus / part / name for part in parts for name in LISTS}
    options = {"corpus": path_from_checkout(corpus), "seed": seed}
    if parts == ["train"]:
        options |= {"fold": fold, "folds": folds}
    make = partial(Task, format=FORMAT, inputs=inputs, options=options)
    tasks = {name: make(output / name, "made") for name in ("train", "dev", "test")}
    pending = [name for name, task in tasks.items() if not task.is_done()]
    if pending:
        by_part = [_read_part(corpus, part, output) for part in parts]
        whole, official_test = by_part[0], None
        if len(by_part) == 2:
            train, test = by_part
            whole, official_test = _merge(train, test, corpus), set(test.lists["spk2group"])
        speakers = _split_speakers(whole, official_test, fold, folds, seed)
        _report_corpus(corpus, by_part, len(speakers["test"]), fold, folds)
        utt2dur, unreadable = measure(whole.paths, corpus)
        whole.lists["utt2dur"] = utt2dur
        for name in pending:
            _write_set(tasks[name], whole, speakers[name], unreadable, seed)
    for name, task in tasks.items():
        counts[name] = task.counts
    return counts


def _find_parts(corpus: Path) -> list[str]:
    """The parts of the corpus that exist: train, or train and test."""
    for name in ("WAVE", "train", "train/wav.scp"):
        if not (corpus / name).exists():
            raise UserError(
                f"{corpus}: no {name} in it, expected the root of speechocean762 (WAVE/, train/, "
                "test/); correct the path"
            )
    if (corpus / "test").exists():
        return ["train", "test"]
    return ["train"]


def _check_fold(fold: int, folds: int, corpus: Path, parts: list[str]) -> None:
    """Refuse a fold that does not exist."""
    if folds < 2:
        raise UserError(
            f"--folds is {folds}, expected 2 or more: the speakers of the other folds are for "
            "training"
        )
    if "test" in parts and fold != 1:
        raise UserError(
            f"--fold is {fold}, expected 1: the speakers of {corpus}/test are the test set"
        )
    if not 1 <= fold <= folds:
        raise UserError(f"--fold is {fold}, expected 1 to {folds}")


def _read_part(corpus: Path, part: str, output: Path) -> Part:
    """Read the lists of one part; UserError if they disagree or files are missing."""
    folder = corpus / part
    lists = {name: read_protocol(folder / name) for name in LISTS}
    wav_scp, utt2spk = lists.pop("wav.scp"), lists["utt2spk"]
    speakers = set(utt2spk.values())
    require(wav_scp, folder / "wav.scp", utt2spk, folder / "utt2spk")
    require(utt2spk, folder / "utt2spk", wav_scp, folder / "wav.scp")
    require(utt2spk, folder / "utt2spk", lists["text"], folder / "text")
    for name in ("spk2gender", "spk2age"):
        require(speakers, folder / "utt2spk", lists[name], folder / name)
    for speaker in sorted(speakers):
        sex, age = lists["spk2gender"][speaker], lists["spk2age"][speaker]
        if sex not in ("m", "f"):
            raise UserError(
                f"{folder}/spk2gender: '{sex}' of speaker '{speaker}', expected m or f; fetch the "
                "file again"
            )
        if not age.isdecimal():
            raise UserError(
                f"{folder}/spk2age: '{age}' of speaker '{speaker}', expected years; fetch the file "
                "again"
            )
    paths = {key: Path(path_from_checkout(corpus / entry)) for key, entry in wav_scp.items()}
    require_files(paths, folder / "wav.scp", output / f"missing_files.{part}")
    lists["spk2age_group"], lists["spk2group"] = {}, {}
    for speaker in speakers:
        age_group = "child"
        if int(lists["spk2age"][speaker]) >= ADULT_YEARS:
            age_group = "adult"
        lists["spk2age_group"][speaker] = age_group
        lists["spk2group"][speaker] = f"{lists['spk2gender'][speaker]} {age_group}"
    return Part(paths, lists)


def _merge(train: Part, test: Part, corpus: Path) -> Part:
    """Both parts as one."""
    for kind, in_train, in_test in (
        ("utterance", train.paths, test.paths),
        ("speaker", train.lists["spk2group"], test.lists["spk2group"]),
    ):
        shared = in_train.keys() & in_test.keys()
        if shared:
            raise UserError(
                f"{corpus}: {len(shared)} {kind}s are in train/ and in test/, first "
                f"'{min(shared)}', expected none; fetch the corpus again"
            )
    lists = {name: train.lists[name] | test.lists[name] for name in train.lists}
    return Part(train.paths | test.paths, lists)


def _split_speakers(
    whole: Part, official_test: set[str] | None, fold: int, folds: int, seed: int
) -> dict[str, set[str]]:
    """Speakers of each set; sexes and age groups in proportion where they are drawn."""
    order = stratified_order(whole.lists["spk2group"], seed)
    test = official_test
    if test is None:
        test = set(order[fold - 1 :: folds])
    rest = [speaker for speaker in order if speaker not in test]
    if len(test) < 2 or len(rest) < DEV_SPEAKERS + 2:
        raise UserError(
            f"{len(order)} speakers leave {len(test)} for test, expected 2 or more, and "
            f"{len(rest)} others, expected {DEV_SPEAKERS + 2} or more, {DEV_SPEAKERS} of them for "
            "dev; give another --folds of local.prepare_speechocean762, or the whole corpus"
        )
    dev = {rest[index * len(rest) // DEV_SPEAKERS] for index in range(DEV_SPEAKERS)}
    return {"train": set(rest) - dev, "dev": dev, "test": test}


def _report_corpus(corpus: Path, parts: list[Part], num_test: int, fold: int, folds: int) -> None:
    """Print the sizes of the corpus beside the published ones, and where the test set is from."""
    for name, part in zip(("train", "test"), parts, strict=False):
        num_speakers, num_utterances = len(part.lists["spk2group"]), len(part.paths)
        remark = f"the published corpus has {PART_SPEAKERS} and {PART_UTTERANCES}"
        if (num_speakers, num_utterances) == (PART_SPEAKERS, PART_UTTERANCES):
            remark = "as published"
        print(f"{corpus}/{name}: {num_speakers} speakers, {num_utterances} utterances ({remark})")
    if len(parts) == 2:
        print(f"test set: the {num_test} speakers of {corpus}/test")
    else:
        print(
            f"{corpus}/test is missing: {num_test} speakers of train/ are held out for test "
            f"(fold {fold} of {folds})"
        )


def _write_set(
    task: Task, whole: Part, speakers: set[str], unreadable: dict[str, str], seed: int
) -> None:
    """Write one data directory, with trials unless it is train."""
    whole_utt2spk = whole.lists["utt2spk"]
    utt2spk = {key: speaker for key, speaker in whole_utt2spk.items() if speaker in speakers}
    wav_scp = {utterance: str(whole.paths[utterance]) for utterance in utt2spk}
    names = speakers | utt2spk.keys()
    maps = {}
    for list_name, mapping in whole.lists.items():
        if list_name not in ("utt2spk", "spk2group"):
            maps[list_name] = restrict(mapping, names)
    data = DataDir(task.home, wav_scp, utt2spk, None, maps)
    if task.home.name == "train":
        counts = finish_data_dir(task, data, unreadable)
        print(f"{task.home}: {_count_utterances(counts)}")
        return
    trials, shortages = _design_trials(task, data, whole.lists["spk2group"], unreadable, seed)
    data.trials = trial_lines(trials)
    num_targets = sum(is_target for *_, is_target in trials)
    counts = {"targets": num_targets, "nontargets": len(trials) - num_targets}
    counts = finish_data_dir(task, data, unreadable, counts)
    line = (
        f"{_count_utterances(counts)}, {counts['targets']} target and {counts['nontargets']} "
        "nontarget trials"
    )
    print("; ".join([f"{task.home}: {line}", *shortages]))


def _design_trials(
    task: Task, data: DataDir, spk2group: dict[str, str], unreadable: dict[str, str], seed: int
) -> tuple[list[tuple[str, str, bool]], list[str]]:
    """Trials of a set, and shortages."""
    bad = sorted(data.utt2spk.keys() & unreadable.keys())
    if bad:
        raise UserError(
            f"{unreadable[bad[0]]}; {len(bad)} files of {task.home} cannot be read, and its trials "
            "need them: fetch them again"
        )
    trials, shortage = design_trials(data.utt2spk, spk2group, seed)
    members = Counter(data.utt2spk.values())
    if not any(is_target for *_, is_target in trials):
        raise UserError(
            f"{task.home}: each of its {len(members)} speakers has one utterance: there is no "
            "target trial; fetch the whole corpus"
        )
    shortages = []
    num_single = sum(number == 1 for number in members.values())
    if num_single:
        shortages.append(
            f"{num_single} of {len(members)} speakers have one utterance and no target trial"
        )
    if shortage:
        shortages.append(shortage)
    return trials, shortages


def _count_utterances(counts: dict) -> str:
    return f"{counts['went_on']} of {counts['came_in']} utterances, {counts['speakers']} speakers"


if __name__ == "__main__":
    run(prepare_speechocean762)
