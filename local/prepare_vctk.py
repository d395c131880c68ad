"""Make data directories of VCTK, 0.80 or 0.92, for text-dependent and for text-independent verification.

    python -m local.prepare_vctk corpora/VCTK-Corpus data/td-prompted --mode td --protocol prompted

The first 85 % of the speakers in byte order are for training, the last tenth of these for dev; the others are the test set.
"""

import json
from functools import partial
from pathlib import Path
from typing import Literal

from local.audio_tree import durations
from local.corpus import changed_listing, finish_data_dir, path_from_checkout
from local.prepare_noisy_vctk import prepare_noisy_vctk
from local.vctk.selection import Selection, choose
from local.vctk.tree import Tree, read_speaker_info, read_tree
from utils.audio.leftovers import left_out_in_words
from utils.cli import run
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task

FORMAT = 1
TRAIN_PERCENT = 85
LEAST_DEV, LEAST_SPEAKERS = 2, 2  # trials need two speakers
MAX_MISSING_FRACTION = 0.01  # of the texts: those without a recording; the published 0.80 has one
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
        Holds wav48/ (0.80) or wav48_silence_trimmed/ (0.92), txt/ and speaker-info.txt, itself or in a folder; nothing is written there.
    output : path
        Gets the data directories, and what was left out of the corpus (``dropped``, ``ledger.json``).
    mode : str
        ``td``: the sentences that all speakers read, found by number and text, with their numbers in ``utt2prompt``; ``ti``: every recording.
    protocol : str
        In mode td: ``prompted`` takes all these sentences, ``seed`` the first one ("Please call Stella.").
    mic : int
        Microphone, 1 or 2, of version 0.92.
    dev_speakers : int or None
        The last so many training speakers are dev; None: a tenth of them, at least 2; 0: there is no dev.
    allow_incomplete : bool
        Go on where speakers or recordings are missing that speaker-info.txt or txt/ name.
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
        "protocol": protocol if mode == "td" else "",
        "mic": mic,
        "dev_speakers": dev_speakers,
        "allow_incomplete": allow_incomplete,
    }
    inputs = {"speaker-info.txt": info} if info.exists() else {}
    explain = {"files": partial(changed_listing, tree.root, [output / name for name in speakers])}
    task = partial(Task, format=FORMAT, inputs=inputs, options=options, explain=explain)
    tasks = {name: task(output / name, "made") for name in speakers}
    whole = task(output, "prepare_vctk")
    pending, is_counted = (
        [name for name, task in tasks.items() if not task.is_done()],
        whole.is_done(),
    )
    if pending or not is_counted:
        maps = read_speaker_info(info) if inputs else {}
        missing = _refuse_incomplete(tree, next(iter(maps.values()), {}), output, allow_incomplete)
        chosen = choose(tree, mode, protocol, output)
        _report_corpus(
            tree, chosen, {name: len(members) for name, members in speakers.items()}, maps, missing
        )
        for name in pending:
            _write_set(tasks[name], tree, chosen, speakers[name], maps, jobs)
        if not is_counted:
            _finish_corpus(whole, chosen, missing)
    noises = prepare_noisy_vctk(noisy_vctk, output, jobs=jobs) if noisy_vctk else {}
    return {name: task.counts for name, task in tasks.items()} | {"corpus": whole.counts} | noises


def _split_speakers(tree: Tree, dev_speakers: int | None) -> dict[str, list[str]]:
    """Who is in which set."""
    learnt = TRAIN_PERCENT * len(tree.speakers) // 100
    wanted = max(LEAST_DEV, learnt // 10) if dev_speakers is None else dev_speakers
    if (
        wanted not in (0, *range(LEAST_DEV, learnt - LEAST_SPEAKERS + 1))
        or len(tree.speakers) - learnt < LEAST_SPEAKERS
    ):
        raise UserError(
            f"{tree.root}: {len(tree.speakers)} speakers leave {learnt} to learn from, {wanted} of them for dev, and "
            f"{len(tree.speakers) - learnt} for test; expected 2 or more in each; give another --dev-speakers or the whole corpus"
        )
    sets = {
        "train": tree.speakers[: learnt - wanted],
        "dev": tree.speakers[learnt - wanted : learnt],
        "test": tree.speakers[learnt:],
    }
    return {name: members for name, members in sets.items() if members}


def _refuse_incomplete(
    tree: Tree, known: dict[str, str], output: Path, allow_incomplete: bool
) -> list[str]:
    """What other lists name and is not there; more than a few are refused."""
    recorded = {utterance.partition("_")[0] for utterance in tree.recordings}
    with_text = {utterance.partition("_")[0] for utterance in tree.texts}
    absent = sorted((known.keys() | with_text | set(tree.empty)) - set(tree.speakers))
    missing = sorted(
        utterance
        for utterance in tree.texts.keys() - tree.recordings.keys()
        if utterance.partition("_")[0] in recorded
    )
    with atomic_write(output / "missing") as file:
        file.writelines(f"{name}\n" for name in [*absent, *missing])
    limit = max(1, int(MAX_MISSING_FRACTION * len(tree.texts)))
    if (absent or len(missing) > limit) and not allow_incomplete:
        said = len(known.keys() | set(tree.speakers) | set(absent))
        parts = (
            [f"{len(absent)} of {said} speakers have no recordings, first {absent[0]}"]
            if absent
            else []
        )
        parts += (
            [
                f"{len(missing):,} of {len(tree.texts):,} texts have none, first {missing[0]}, limit {limit:,}"
            ]
            if len(missing) > limit
            else []
        )
        raise UserError(
            f"{tree.root}: {'; '.join(parts)} (list: {output / 'missing'}), expected the whole of VCTK {tree.version}: half-extracted; "
            "extract it again, or give --allow-incomplete"
        )
    return missing


def _report_corpus(
    tree: Tree, chosen: Selection, sizes: dict[str, int], maps: dict, missing: list[str]
) -> None:
    """Say what was found, where it differs from the published corpus, and what of it is used."""
    as_published = (
        "as published"
        if len(tree.speakers) == tree.published_speakers
        else f"the published one has {tree.published_speakers}"
    )
    print(
        f"{tree.root}: VCTK {tree.version}, {len(tree.speakers)} speakers ({as_published}), {len(tree.recordings):,} recordings, "
        f"{len(tree.texts):,} texts; {tree.other_files} other files among the recordings"
    )
    if tree.left_out:
        print(f"{tree.audio}: {left_out_in_words(tree.left_out)}")
    if missing:
        print(f"{tree.root}: {len(missing)} texts have no recording: {some(missing)}")
    if numbers := sorted(set(chosen.sentence.values())):
        print(
            f"{tree.root}: read by all speakers, by number and text: {', '.join(numbers)}; left out: {len(chosen.ledger.dropped)} recordings "
            f"without a text, {chosen.other_sentences:,} of other sentences"
        )
    if unused := sorted(
        set(tree.speakers) - {utterance.partition("_")[0] for utterance in chosen.utterances}
    ):
        print(
            f"{tree.root}: nothing to use of {some(unused)}: no recordings of this microphone{', or no texts' if numbers else ''}"
        )
    if unknown := sorted(set(tree.speakers) - next(iter(maps.values()), {}).keys()):
        print(
            f"{tree.root}/speaker-info.txt: nothing on {some(unknown)}: their sets have no spk2gender, spk2age and spk2accent"
        )
    no_dev = "" if "dev" in sizes else "; no dev: the last checkpoint is used"
    print(f"speakers: {', '.join(f'{name} {size}' for name, size in sizes.items())}{no_dev}")


def some(names: list[str]) -> str:
    """The first few names.

    Parameters
    ----------
    names : list of str
        In order.
    """
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _write_set(
    task: Task,
    tree: Tree,
    chosen: Selection,
    speakers: list[str],
    maps: dict[str, dict[str, str]],
    jobs: int,
) -> None:
    """Write one data directory."""
    members = set(speakers)
    utt2spk = {
        utterance: speaker
        for utterance in chosen.utterances
        if (speaker := utterance.partition("_")[0]) in members
    }
    spoken = set(utt2spk.values())
    if len(spoken) < LEAST_SPEAKERS:
        raise UserError(
            f"{tree.root}: {len(spoken)} of {len(speakers)} speakers of {task.home.name} have recordings to use, expected 2 or more; "
            "give another --mic or --mode, or the whole corpus"
        )
    path_of = {utterance: chosen.utterances[utterance][0] for utterance in utt2spk}
    files = [chosen.utterances[utterance] for utterance in utt2spk]
    seconds, faults = durations(
        tree.audio, files, jobs, task.home.parent / "measured" / task.home.name
    )
    utt2dur, unreadable = (
        {key: found[path] for key, path in path_of.items() if path in found}
        for found in (seconds, faults)
    )
    paths = {
        utterance: path_from_checkout(tree.audio / path) for utterance, path in path_of.items()
    }
    lists = {"utt2dur": utt2dur, "text": chosen.texts, "utt2prompt": chosen.sentence}
    lists = {
        name: {utterance: mapping[utterance] for utterance in utt2spk if utterance in mapping}
        for name, mapping in lists.items()
    }
    lists = {
        name: mapping
        for name, mapping in lists.items()
        if name == "utt2dur" or mapping.keys() == utt2spk.keys()
    }
    lists |= {
        name: {speaker: mapping[speaker] for speaker in spoken}
        for name, mapping in maps.items()
        if mapping.keys() >= spoken
    }
    counts = finish_data_dir(task, DataDir(task.home, paths, utt2spk, None, lists), unreadable)
    print(
        f"{task.home}: {counts['went_on']} of {counts['came_in']} utterances, {counts['speakers']} speakers"
    )


def _finish_corpus(task: Task, chosen: Selection, missing: list[str]) -> None:
    """Write what was left out of the corpus, and why."""
    counts = chosen.ledger.counts
    counts["came_in"] += chosen.other_sentences
    counts |= {"other_sentences": chosen.other_sentences, "texts_without_recording": len(missing)}
    chosen.ledger.write_part(task.home / "dropped")
    with atomic_write(task.home / "ledger.json") as file:
        json.dump(counts, file, indent=1)
        file.write("\n")
    task.finish([task.home / name for name in ("dropped", "ledger.json", "missing")], counts)


if __name__ == "__main__":
    run(prepare_vctk)
