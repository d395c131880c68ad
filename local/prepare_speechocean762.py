"""Make data directories and trials of speechocean762, a corpus of 250 speakers of English whose first language is Mandarin.

    python -m local.prepare_speechocean762 corpora/speechocean762 data/fold1 --fold 1 --noise corpora/noise --rirs corpora/rirs

Where the corpus' test/ is missing, speakers of train/ are held out: four folds test every speaker once.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from local.corpus import (
    finish_data_dir,
    measure,
    path_from_checkout,
    read_protocol,
    require,
    require_files,
)
from local.prepare_noise import prepare_bank
from local.trial_design import design_trials, stratified_order
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
    """The corpus' lists, of one part or of both together.

    Attributes
    ----------
    paths : dict
        Utterance -> audio file.
    lists : dict of dicts
        Every other list by its name; ``spk2group`` (sex and age group) and ``spk2age_group`` follow from the others.
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
        Holds WAVE/, train/ and, in the published corpus, test/; nothing is written there.
    output : path
        Gets the data directories train, dev, test and, if asked for, noise and rirs.
    fold : int
        Which speakers of train/ are held out for test, 1 to ``folds``; with test/ its speakers are the test set, and 1 is the only fold.
    folds : int
        How many folds test every speaker once.
    seed : int
        Decides on folds, dev speakers and impostors.
    noise, rirs : path
        Trees of noises and of room responses for augmentation.

    Returns
    -------
    dict
        Set -> counts of utterances, speakers and trials.

    Raises
    ------
    UserError
        This is not the corpus, some of it is missing or unreadable, or there is no such fold.
    """
    parts = _parts_of(corpus)
    _check_fold(fold, folds, corpus, parts)
    counts = prepare_bank(output, noise, rirs)
    inputs = {f"{part}/{name}": corpus / part / name for part in parts for name in LISTS}
    options = {
        "corpus": path_from_checkout(corpus),
        "seed": seed,
        **({"fold": fold, "folds": folds} if parts == ["train"] else {}),
    }
    tasks = {
        name: Task(output / name, "made", format=FORMAT, inputs=inputs, options=options)
        for name in ("train", "dev", "test")
    }
    pending = {name: task for name, task in tasks.items() if not task.is_done()}
    if pending:
        read = [_read_part(corpus, part, output) for part in parts]
        whole, official_test = read[0], None
        if len(read) == 2:
            train, test = read
            whole, official_test = _merge(train, test, corpus), set(test.lists["spk2group"])
        speakers = _split_speakers(whole, official_test, fold, folds, seed)
        _report_corpus(corpus, read, len(speakers["test"]), fold, folds)
        utt2dur, unreadable = measure(whole.paths, corpus)
        whole.lists["utt2dur"] = utt2dur
        for name, task in pending.items():
            _write_set(task, whole, speakers[name], unreadable, seed, has_trials=name != "train")
    return {**counts, **{name: task.counts for name, task in tasks.items()}}


def _parts_of(corpus: Path) -> list[str]:
    """Which parts of the corpus are there: train, or train and test."""
    for name in ("WAVE", "train", "train/wav.scp"):
        if not (corpus / name).exists():
            raise UserError(
                f"{corpus}: no {name} in it, expected the root of speechocean762 (WAVE/, train/, test/); correct the path"
            )
    return ["train", "test"] if (corpus / "test").exists() else ["train"]


def _check_fold(fold: int, folds: int, corpus: Path, parts: list[str]) -> None:
    """Refuse a fold that does not exist."""
    if folds < 2:
        raise UserError(
            f"--folds is {folds}, expected 2 or more: the other folds' speakers are those to train on"
        )
    if "test" in parts and fold != 1:
        raise UserError(
            f"--fold is {fold}, but {corpus}/test is there and its speakers are the test set: there is fold 1 only"
        )
    if not 1 <= fold <= folds:
        raise UserError(f"--fold is {fold}, expected 1 to {folds}")


def _read_part(corpus: Path, part: str, output: Path) -> Part:
    """Read the lists of one part and see that they agree and that all files are there."""
    folder = corpus / part
    lists = {name: read_protocol(folder / name) for name in LISTS}
    wav_scp, utt2spk = lists.pop("wav.scp"), lists["utt2spk"]
    require(wav_scp, folder / "wav.scp", utt2spk, folder / "utt2spk")
    require(utt2spk, folder / "utt2spk", wav_scp, folder / "wav.scp")
    require(utt2spk, folder / "utt2spk", lists["text"], folder / "text")
    for name, meaning, is_right in (
        ("spk2gender", "m or f", lambda value: value in ("m", "f")),
        ("spk2age", "years", str.isdecimal),
    ):
        require(set(utt2spk.values()), folder / "utt2spk", lists[name], folder / name)
        wrong = [
            speaker
            for speaker in sorted(set(utt2spk.values()))
            if not is_right(lists[name][speaker])
        ]
        if wrong:
            raise UserError(
                f"{folder / name}: '{lists[name][wrong[0]]}' of speaker '{wrong[0]}', expected {meaning}"
            )
    paths = {
        utterance: Path(path_from_checkout(corpus / entry)) for utterance, entry in wav_scp.items()
    }
    require_files(paths, folder / "wav.scp", output / f"missing_files.{part}")
    age_group = {
        speaker: "adult" if int(lists["spk2age"][speaker]) >= ADULT_YEARS else "child"
        for speaker in set(utt2spk.values())
    }
    group = {
        speaker: f"{lists['spk2gender'][speaker]} {age_group[speaker]}" for speaker in age_group
    }
    return Part(paths, lists | {"spk2age_group": age_group, "spk2group": group})


def _merge(train: Part, test: Part, corpus: Path) -> Part:
    """Both parts as one."""
    for kind, in_train, in_test in (
        ("utterance", train.paths, test.paths),
        ("speaker", train.lists["spk2group"], test.lists["spk2group"]),
    ):
        shared = sorted(in_train.keys() & in_test.keys())
        if shared:
            raise UserError(
                f"{corpus}: {kind} '{shared[0]}' is in train/ and in test/, {len(shared)} are; fetch the corpus again"
            )
    return Part(
        train.paths | test.paths,
        {name: train.lists[name] | test.lists[name] for name in train.lists},
    )


def _split_speakers(
    whole: Part, official_test: set[str] | None, fold: int, folds: int, seed: int
) -> dict[str, set[str]]:
    """Who is in which set; sexes and age groups in proportion wherever there is a choice."""
    order = stratified_order(whole.lists["spk2group"], seed)
    test = set(order[fold - 1 :: folds]) if official_test is None else official_test
    rest = [speaker for speaker in order if speaker not in test]
    if len(test) < 2 or len(rest) < DEV_SPEAKERS + 2:
        raise UserError(
            f"{len(order)} speakers leave {len(test)} for test, expected 2 or more, and {len(rest)} others, expected "
            f"{DEV_SPEAKERS + 2} or more, {DEV_SPEAKERS} of them for dev; give another --folds of local.prepare_speechocean762, or the whole corpus"
        )
    dev = {rest[index * len(rest) // DEV_SPEAKERS] for index in range(DEV_SPEAKERS)}
    return {"train": set(rest) - dev, "dev": dev, "test": test}


def _report_corpus(corpus: Path, parts: list[Part], num_test: int, fold: int, folds: int) -> None:
    """Say what was found, where it differs from the published corpus, and who the test speakers are."""
    for name, part in zip(("train", "test"), parts, strict=False):
        found = len(part.lists["spk2group"]), len(part.paths)
        expected = (
            "as published"
            if found == (PART_SPEAKERS, PART_UTTERANCES)
            else f"the published corpus has {PART_SPEAKERS} and {PART_UTTERANCES}"
        )
        print(f"{corpus}/{name}: {found[0]} speakers, {found[1]} utterances ({expected})")
    if len(parts) == 2:
        print(f"test set: the {num_test} speakers of {corpus}/test")
    else:
        print(
            f"{corpus}/test is missing: {num_test} speakers of train/ are held out for test (fold {fold} of {folds})"
        )


def _write_set(
    task: Task,
    whole: Part,
    speakers: set[str],
    unreadable: dict[str, str],
    seed: int,
    has_trials: bool,
) -> None:
    """Write one data directory."""
    utt2spk = {
        utterance: speaker
        for utterance, speaker in whole.lists["utt2spk"].items()
        if speaker in speakers
    }
    wav_scp = {utterance: str(whole.paths[utterance]) for utterance in utt2spk}
    names = speakers | utt2spk.keys()
    maps = {
        list_name: {key: value for key, value in mapping.items() if key in names}
        for list_name, mapping in whole.lists.items()
        if list_name not in ("utt2spk", "spk2group")
    }
    data = DataDir(task.home, wav_scp, utt2spk, None, maps)
    counts, shortage = {}, ""
    if has_trials:
        bad = sorted(utt2spk.keys() & unreadable.keys())
        if bad:
            raise UserError(
                f"{unreadable[bad[0]]}; trials of {task.home} need it, {len(bad)} such files: fetch them again"
            )
        trials, shortage = design_trials(utt2spk, whole.lists["spk2group"], seed)
        data.trials = [
            f"{enrol} {test} {'target' if is_target else 'nontarget'}"
            for enrol, test, is_target in trials
        ]
        num_targets = sum(is_target for *_, is_target in trials)
        members = Counter(utt2spk.values())
        single = sum(number == 1 for number in members.values())
        if not num_targets:
            raise UserError(
                f"{task.home}: each of its {len(members)} speakers has one utterance: there is no target trial; fetch the whole corpus"
            )
        alone = f"{single} of {len(members)} speakers have one utterance and no target trial"
        shortage = "; ".join(filter(None, [alone if single else "", shortage]))
        counts = {"targets": num_targets, "nontargets": len(trials) - num_targets}
    counts = finish_data_dir(task, data, unreadable, counts)
    said = f"{counts['went_on']} of {counts['came_in']} utterances, {counts['speakers']} speakers"
    said += (
        f", {counts['targets']} target and {counts['nontargets']} impostor trials"
        if has_trials
        else ""
    )
    print(f"{task.home}: {said}{'; ' + shortage if shortage else ''}")


if __name__ == "__main__":
    run(prepare_speechocean762)
