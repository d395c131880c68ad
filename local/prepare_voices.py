"""Make the data directory of VOiCES 2019: far-field recordings, their conditions, the trials.

    python -m local.prepare_voices corpora/VOiCES data/dev --part dev

The challenge has a development and an evaluation set, each with some 4 million trials.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from local.audio_tree import durations, find_audio, listing_digest
from local.corpus import changed_listing, path_from_checkout, write_listing
from local.voices.lists import locate, read_keys
from local.voices.names import CONDITIONS, recording_stem
from local.voices.protocol import Listed, read_listed, refuse_wrong_keys
from utils.audio.leftovers import describe_left_out
from utils.cli import run
from utils.data_dir import DataDir, write_data_dir
from utils.data_dir.ledger import UNREADABLE, Ledger
from utils.data_dir.trial_list import Trials, lines_left_out
from utils.data_dir.trial_rules import WITHOUT_CLASS
from utils.errors import UserError
from utils.receipts import Task

FORMAT = 1
SUFFIXES = (".wav", ".flac")
# From the challenge's evaluation plan, version 6, section 2.2.
PUBLISHED = {"dev": "15,904 recordings of 196 speakers", "eval": "no counts"}


def prepare_voices(
    voices: Path,
    output: Path,
    *,
    part: Literal["dev", "eval"] = "dev",
    jobs: int = 2,
    allow_incomplete: bool = False,
) -> dict:
    """List the recordings of the enrolment and test lists, their conditions, and the trials.

    Enrolment sides of the trials are models (``enroll.spk2utt``), named as in the enrolment list.
    So results by ``utt2room``, ``utt2distractor``, ``utt2mic`` (type), ``utt2place``, ``utt2angle``
    and ``utt2session`` (chapter) are by the test side.

    Parameters
    ----------
    voices : path
        Folder that holds the set's audio and lists at any depth; nothing is written there.
    output : path
        Gets the data directory ``voices_<part>``.
    part : str
        ``dev`` or ``eval``.
    jobs : int
        Processes that read headers.
    allow_incomplete : bool
        Go on without files that are missing or cannot be read: their trials are lost, counted, and
        every result says so.

    Returns
    -------
    dict
        Counts of utterances, speakers, models and trials.

    Raises
    ------
    UserError
        The set is missing, its lists do not fit its audio or each other, or files are missing or
        cannot be read.
    """
    located = locate(voices, part)
    audio, keys = located.audio, located.lists["keys"]
    files, left_out = find_audio(audio, SUFFIXES)
    home = output / f"voices_{part}"
    options: dict[str, Any] = {"audio": path_from_checkout(audio), "files": listing_digest(files)}
    if allow_incomplete:
        options["allow_incomplete"] = True
    explain = {"files": partial(changed_listing, audio, [home])}
    task = Task(home, "made", format=FORMAT, inputs=located.lists, options=options, explain=explain)
    if task.is_done():
        return task.counts
    if left_out:
        print(f"{audio}: {describe_left_out(left_out)}")
    listed = read_listed(located, part)
    paths = _paths_by_stem(audio, files)
    stem_by_path, lost = {}, {}
    for stem in listed.utterances:
        if stem in paths:
            stem_by_path[paths[stem]] = stem
        else:
            lost[stem] = f"{audio}: no file of this name"
    listed_files = [file for file in files if file[0] in stem_by_path]
    seconds, unreadable = durations(audio, listed_files, jobs, output / "durations" / part)
    for path, reason in unreadable.items():
        lost[stem_by_path[path]] = reason
    _refuse_lost(audio, lost, len(listed.utterances), home, allow_incomplete)
    trials = read_keys(keys, {model: model for model in listed.models}, listed.utterances)
    refuse_wrong_keys(keys, trials, listed)
    measured = {}
    for path, duration in seconds.items():
        measured[stem_by_path[path]] = audio / path, duration
    data = _make_data_dir(home, listed, measured)
    counts = _finish(task, data, trials, listed, lost, allow_incomplete)
    num_others = len(files) - len(listed_files)
    print(
        f"{home}: {counts['went_on']:,} recordings of {counts['speakers']:,} speakers, "
        f"{counts['models']:,} enrolments, {_describe_trials(counts)}; "
        f"published: {PUBLISHED[part]}; {num_others:,} files are on no list"
    )
    return counts


def _describe_trials(counts: Mapping[str, int]) -> str:
    if "trials_without_class" in counts:
        return f"{counts['trials_without_class']:,} {WITHOUT_CLASS}"
    return f"{counts['targets']:,} target and {counts['nontargets']:,} nontarget trials"


def _paths_by_stem(audio: Path, files: Sequence[tuple[str, int]]) -> dict[str, str]:
    """Name of each recording, without extension -> path of its file."""
    paths: dict[str, str] = {}
    for path, _ in files:
        other = paths.setdefault(recording_stem(path), path)
        if other != path:
            raise UserError(
                f"{audio}: {other} and {path} have one name, expected each recording once; "
                "remove the copy"
            )
    return paths


def _refuse_lost(
    audio: Path, lost: Mapping[str, str], num_listed: int, home: Path, allow_incomplete: bool
) -> None:
    """Write the list of lost files; UserError if there are any and that is not allowed."""
    listing = home.parent / f"lost_files.{home.name}"
    write_listing(listing, [f"{stem} {reason}" for stem, reason in sorted(lost.items())])
    if not lost:
        return
    first = min(lost)
    complaint = (
        f"{audio}: {len(lost):,} of {num_listed:,} listed files are missing or cannot be read, "
        f"first '{first}' ({lost[first]}; list: {listing})"
    )
    if len(lost) == num_listed:
        raise UserError(f"{complaint}; audio and lists are of different sets: correct --voices")
    if not allow_incomplete:
        raise UserError(
            f"{complaint}; unpack the archive again, or give --allow-incomplete to lose their "
            "trials"
        )
    print(complaint)


def _make_data_dir(home: Path, listed: Listed, measured: Mapping[str, tuple[Path, str]]) -> DataDir:
    """The data directory of the recordings that can be read, without trials.

    ``measured`` has stem -> path and seconds.
    """
    wav_scp: dict[str, str] = {}
    utt2spk: dict[str, str] = {}
    maps: dict[str, dict[str, str]] = {"utt2dur": {}}
    for condition in CONDITIONS:
        maps[f"utt2{condition}"] = {}
    for stem, utterance in listed.utterances.items():
        if stem not in measured:
            continue
        path, duration = measured[stem]
        recording = listed.recordings[stem]
        wav_scp[utterance] = path_from_checkout(path)
        utt2spk[utterance] = recording.speaker
        maps["utt2dur"][utterance] = duration
        for condition in CONDITIONS:
            maps[f"utt2{condition}"][utterance] = getattr(recording, condition)
    maps["enroll.spk2utt"] = {}
    for model, members in listed.models.items():
        if utt2spk.keys() >= set(members):
            maps["enroll.spk2utt"][model] = " ".join(sorted(members))
    return DataDir(home, wav_scp, utt2spk, None, maps)


def _finish(
    task: Task,
    data: DataDir,
    trials: Trials,
    listed: Listed,
    lost: Mapping[str, str],
    allow_incomplete: bool,
) -> dict:
    """Write the data directory, its ledger and its receipt; the counts.

    ``trials`` are all that the keys name; ``lost`` has stem -> reason.
    """
    ledger = Ledger(data.path, set(listed.utterances.values()), allow_incomplete)
    for stem, utterance in sorted(listed.utterances.items()):
        if stem in lost:
            ledger.drop(utterance, UNREADABLE, lost[stem])
        else:
            ledger.keep(utterance)
    data.trials = trials
    if lost:
        data.trials = trials.restricted(data.maps["enroll.spk2utt"].keys(), data.utt2spk.keys())
    ledger.lost_trials = len(lines_left_out(trials, data.trials))
    write_data_dir(data, data.path)
    counts = {
        **ledger.counts,
        "speakers": len(data.spk2utt),
        "models": len(data.maps["enroll.spk2utt"]),
    }
    if data.trials.kinds is None:
        counts["trials_without_class"] = len(data.trials)
    else:
        counts["targets"] = data.trials.kinds.count("target")
        counts["nontargets"] = data.trials.kinds.count("nontarget")
    written = [data.path / name for name in [*data.keyed, "spk2utt", "trials"]]
    written += ledger.write(data.path)
    return task.finish(written, counts)


if __name__ == "__main__":
    run(prepare_voices)
