"""Make data directories of VCTK 0.80 or 0.92, for text-dependent or -independent verification.

    python -m local.prepare_vctk corpora/VCTK-Corpus data/td-prompted --mode td --protocol prompted

The first 85 % of the speakers in byte order are for training, the last tenth of these for dev; the
others are the test set.
"""

import json
from functools import partial
from pathlib import Path
from typing import Literal

from local.audio_tree import durations
from local.corpus import changed_listing, finish_data_dir, first_few, path_from_checkout, restrict
from local.prepare_noisy_vctk import prepare_noisy_vctk
from local.vctk.selection import Selection, select
from local.vctk.tree import Tree, read_speaker_info, read_tree
from utils.audio.leftovers import describe_left_out
from utils.cli import run
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task

FORMAT = 1
TRAIN_PERCENT = 85
MIN_SPEAKERS = 2  # of a set: trials need two
# Share of the texts that may have no recording; of the published 0.80, one has none.
MAX_MISSING_FRACTION = 0.01
SHOWN = 5


def prepare_vctk(
    vctk: Path,
    output: Path,
    *,
    mode: Literal["td", "ti"] = "td",
    protocol: Literal["prompted", "seed"] = "prompted",
    mic: int = 1,
    dev_speakers: int | None = None,
    allow_incomplete: bool = False,
    noisy_vctk: Path | None = None,
    jobs: int = 2,
) -> dict:
    """Choose recordings, divide the speakers, and write the data directories train, dev and test.

    Parameters
    ----------
    vctk : path
        Has wav48/ (0.80) or wav48_silence_trimmed/ (0.92), txt/ and speaker-info.txt, itself or in
        a folder; nothing is written there.
    output : path
        Gets the data directories, and what was left out of the corpus (``dropped``,
        ``ledger.json``).
    mode : str
        ``td``: the sentences that all speakers read, recognised by number and text, with their
        numbers in ``utt2prompt``; ``ti``: every recording.
    protocol : str
        In mode td: ``prompted`` takes all these sentences, ``seed`` the first one ("Please call
        Stella.").
    mic : int
        Microphone, 1 or 2, of version 0.92.
    dev_speakers : int or None
        Number of training speakers, the last ones, that are dev; None: a tenth, at least 2; 0: no
        dev set.
    allow_incomplete : bool
        Accept that speakers or recordings of speaker-info.txt or txt/ are missing.
    noisy_vctk : path or None
        The noisy VCTK, of which local.prepare_noisy_vctk makes ``noise`` and ``noise_test``.
    jobs : int
        Processes that read headers, and threads that read noise.

    Returns
    -------
    dict
        Set -> counts of utterances and speakers; ``corpus`` -> those of the ledger.

    Raises
    ------
    UserError
        This is not the corpus, it is incomplete, or too few speakers are left.
    """
    tree = read_tree(vctk, mic)
    speakers = _split_speakers(tree, dev_speakers)
    info = tree.root / "speaker-info.txt"
    options = {
        "corpus": path_from_checkout(tree.root),
        "files": tree.digest,
        "mode": mode,
        "protocol": "",
        "mic": mic,
        "dev_speakers": dev_speakers,
        "allow_incomplete": allow_incomplete,
    }
    if mode == "td":
        options["protocol"] = protocol
    inputs, maps = {}, {}
    if info.exists():
        inputs["speaker-info.txt"] = info
    explain = {"files": partial(changed_listing, tree.root, [output / name for name in speakers])}
    make = partial(Task, format=FORMAT, inputs=inputs, options=options, explain=explain)
    tasks = {name: make(output / name, "made") for name in speakers}
    whole = make(output, "prepare_vctk")
    pending = [name for name, task in tasks.items() if not task.is_done()]
    is_counted = whole.is_done()
    if pending or not is_counted:
        if inputs:
            maps = read_speaker_info(info)
        missing = _refuse_incomplete(tree, maps.get("spk2gender", {}), output, allow_incomplete)
        selection = select(tree, mode, protocol, output)
        _report_corpus(tree, selection, maps, missing)
        _report_speakers(speakers)
        for name in pending:
            _write_set(tasks[name], tree, selection, speakers[name], maps, jobs)
        if not is_counted:
            _finish_corpus(whole, selection, missing)
    counts = {name: task.counts for name, task in tasks.items()}
    counts["corpus"] = whole.counts
    if noisy_vctk:
        counts |= prepare_noisy_vctk(noisy_vctk, output, jobs=jobs)
    return counts


def _speaker(utterance: str) -> str:
    return utterance.partition("_")[0]


def _split_speakers(tree: Tree, dev_speakers: int | None) -> dict[str, list[str]]:
    """Speakers of each set; dev is left out if it has none."""
    total = len(tree.speakers)
    num_train = TRAIN_PERCENT * total // 100  # dev among them
    num_dev = dev_speakers
    if num_dev is None:
        num_dev = max(MIN_SPEAKERS, num_train // 10)
    is_dev_possible = num_dev == 0 or MIN_SPEAKERS <= num_dev <= num_train - MIN_SPEAKERS
    if not is_dev_possible or total - num_train < MIN_SPEAKERS:
        raise UserError(
            f"{tree.root}: {total} speakers leave {num_train} for training, {num_dev} of them for "
            f"dev, and {total - num_train} for test; expected 2 or more in each; give another "
            "--dev-speakers or the whole corpus"
        )
    sets = {"train": tree.speakers[: num_train - num_dev]}
    if num_dev:
        sets["dev"] = tree.speakers[num_train - num_dev : num_train]
    sets["test"] = tree.speakers[num_train:]
    return sets


def _refuse_incomplete(
    tree: Tree, known: dict[str, str], output: Path, allow_incomplete: bool
) -> list[str]:
    """Texts without a recording; UserError if they are many or speakers have no recordings.

    ``known`` has the speakers of speaker-info.txt. Writes the list ``missing``.
    """
    with_recordings = {_speaker(utterance) for utterance in tree.recordings}
    named = known.keys() | {_speaker(utterance) for utterance in tree.texts} | set(tree.empty)
    absent = sorted(named - set(tree.speakers))
    without = sorted(tree.texts.keys() - tree.recordings.keys())
    missing = [utterance for utterance in without if _speaker(utterance) in with_recordings]
    with atomic_write(output / "missing") as file:
        for name in absent + missing:
            file.write(f"{name}\n")
    limit = max(1, int(MAX_MISSING_FRACTION * len(tree.texts)))
    faults = []
    if absent:
        total = len(known.keys() | set(tree.speakers) | set(absent))
        faults.append(f"{len(absent)} of {total} speakers have no recordings, first {absent[0]}")
    if len(missing) > limit:
        faults.append(
            f"{len(missing):,} of {len(tree.texts):,} texts have none, first {missing[0]}, limit "
            f"{limit:,}"
        )
    if faults and not allow_incomplete:
        raise UserError(
            f"{tree.root}: {'; '.join(faults)} (list: {output / 'missing'}), expected the whole of "
            f"VCTK {tree.version}; extract it again, or give --allow-incomplete"
        )
    return missing


def _report_corpus(
    tree: Tree, selection: Selection, maps: dict[str, dict[str, str]], missing: list[str]
) -> None:
    """Print the size of the corpus, its differences to the published one, and what is not used."""
    remark = f"the published one has {tree.published_speakers}"
    if len(tree.speakers) == tree.published_speakers:
        remark = "as published"
    print(
        f"{tree.root}: VCTK {tree.version}, {len(tree.speakers)} speakers ({remark}), "
        f"{len(tree.recordings):,} recordings, {len(tree.texts):,} texts; {tree.other_files} other "
        "files among the recordings"
    )
    if tree.left_out:
        print(f"{tree.audio}: {describe_left_out(tree.left_out)}")
    if missing:
        print(f"{tree.root}: {len(missing)} texts have no recording: {first_few(missing, SHOWN)}")
    numbers = sorted(set(selection.sentence.values()))
    if numbers:
        print(
            f"{tree.root}: read by all speakers, by number and text: {', '.join(numbers)}; left "
            f"out: {len(selection.ledger.dropped)} recordings without a text, "
            f"{selection.other_sentences:,} of other sentences"
        )
    speakers = set(tree.speakers)
    unused = sorted(speakers - {_speaker(utterance) for utterance in selection.utterances})
    if unused:
        reason = "none of this microphone"
        if numbers:
            reason += ", or no texts"
        print(f"{tree.root}: no recordings are used of {first_few(unused, SHOWN)}: {reason}")
    unknown = sorted(speakers - maps.get("spk2gender", {}).keys())
    if unknown:
        print(
            f"{tree.root}/speaker-info.txt: nothing on {first_few(unknown, SHOWN)}: their sets "
            "have no spk2gender, spk2age and spk2accent"
        )


def _report_speakers(speakers: dict[str, list[str]]) -> None:
    line = ", ".join(f"{name} {len(members)}" for name, members in speakers.items())
    if "dev" not in speakers:
        line += "; no dev: the last checkpoint is used"
    print(f"speakers: {line}")


def _write_set(
    task: Task,
    tree: Tree,
    selection: Selection,
    speakers: list[str],
    maps: dict[str, dict[str, str]],
    jobs: int,
) -> None:
    """Write one data directory."""
    utt2spk = {}
    for utterance in selection.utterances:
        if _speaker(utterance) in speakers:
            utt2spk[utterance] = _speaker(utterance)
    present = set(utt2spk.values())
    if len(present) < MIN_SPEAKERS:
        raise UserError(
            f"{tree.root}: {len(present)} of {len(speakers)} speakers of {task.home.name} have "
            "recordings to use, expected 2 or more; give another --mic or --mode, or the whole "
            "corpus"
        )
    files = [selection.utterances[utterance] for utterance in utt2spk]
    cache = task.home.parent / "measured" / task.home.name
    seconds, faults = durations(tree.audio, files, jobs, cache)
    wav_scp, utt2dur, unreadable = {}, {}, {}
    for utterance, (path, _) in zip(utt2spk, files, strict=True):
        wav_scp[utterance] = path_from_checkout(tree.audio / path)
        if path in seconds:
            utt2dur[utterance] = seconds[path]
        else:
            unreadable[utterance] = faults[path]
    lists = {"utt2dur": utt2dur}
    for name, mapping in (("text", selection.texts), ("utt2prompt", selection.sentence)):
        if mapping.keys() >= utt2spk.keys():  # a list covers its data directory
            lists[name] = restrict(mapping, utt2spk)
    for name, mapping in maps.items():
        if mapping.keys() >= present:
            lists[name] = restrict(mapping, present)
    counts = finish_data_dir(task, DataDir(task.home, wav_scp, utt2spk, None, lists), unreadable)
    print(
        f"{task.home}: {counts['went_on']} of {counts['came_in']} utterances, "
        f"{counts['speakers']} speakers"
    )


def _finish_corpus(task: Task, selection: Selection, missing: list[str]) -> None:
    """Write what was left out of the corpus, and why."""
    counts = selection.ledger.counts
    counts["came_in"] += selection.other_sentences
    counts["other_sentences"] = selection.other_sentences
    counts["texts_without_recording"] = len(missing)
    selection.ledger.write_part(task.home / "dropped")
    with atomic_write(task.home / "ledger.json") as file:
        json.dump(counts, file, indent=1)
        file.write("\n")
    task.finish([task.home / name for name in ("dropped", "ledger.json", "missing")], counts)


if __name__ == "__main__":
    run(prepare_vctk)
