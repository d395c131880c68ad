"""Make the data directory of VOiCES 2019, development or evaluation set: far-field recordings, their conditions, the challenge's 4 million trials.

python -m local.prepare_voices corpora/VOiCES data/dev --part dev
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from local.audio_tree import durations, find_audio, listing_digest
from local.corpus import changed_listing, path_from_checkout
from local.voices.lists import Located, locate, read_keys
from local.voices.names import CONDITIONS, stem_of
from local.voices.protocol import Listed, read_listed, refuse_wrong_keys
from utils.audio.leftovers import left_out_in_words
from utils.cli import run
from utils.data_dir import DataDir, write_data_dir
from utils.data_dir.ledger import UNREADABLE, Ledger
from utils.data_dir.trial_list import Trials, lines_left_out
from utils.data_dir.trial_rules import WITHOUT_CLASS
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task

FORMAT = 1
SUFFIXES = (".wav", ".flac")
PUBLISHED = {
    "dev": "15,904 recordings of 196 speakers",
    "eval": "no counts",
}  # the challenge's evaluation plan, version 6, section 2.2


def prepare_voices(
    voices: Path,
    output: Path,
    *,
    part: Literal["dev", "eval"] = "dev",
    jobs: int = 2,
    allow_incomplete: bool = False,
) -> dict:
    """List the recordings that enrolment and test list name, their conditions as maps, and the keys as trials.

    Enrolment sides of the trials are models (``enroll.spk2utt``) of the list's own names, so that a breakdown by the maps ``utt2room``,
    ``utt2distractor``, ``utt2mic`` (type), ``utt2place``, ``utt2angle`` and ``utt2session`` (chapter) is one by the test side.

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
        Go on without files that are missing or cannot be read: their trials are lost, counted, and every result says so.

    Returns
    -------
    dict
        Counts of utterances, speakers, models and trials.

    Raises
    ------
    UserError
        The set is not there, its lists do not fit its audio or each other, or files are missing or cannot be read.
    """
    found = locate(voices, part)
    files, left_out = find_audio(found.audio, SUFFIXES)
    home = output / f"voices_{part}"
    options = {
        "audio": path_from_checkout(found.audio),
        "files": listing_digest(files),
        **({"allow_incomplete": True} if allow_incomplete else {}),
    }
    explain = {"files": partial(changed_listing, found.audio, [home])}
    task = Task(home, "made", format=FORMAT, inputs=found.lists, options=options, explain=explain)
    if task.is_done():
        return task.counts
    if left_out:
        print(f"{found.audio}: {left_out_in_words(left_out)}")
    listed = read_listed(found, part)
    paths = _paths_of(found.audio, files)
    missing = {
        stem: f"{found.audio}: no file of this name"
        for stem in listed.utterances
        if stem not in paths
    }
    wanted = {paths[stem][0]: stem for stem in listed.utterances if stem in paths}
    seconds, unreadable = durations(
        found.audio,
        [file for file in files if file[0] in wanted],
        jobs,
        output / "durations" / part,
    )
    lost = missing | {wanted[path]: reason for path, reason in unreadable.items()}
    _refuse_lost(found, lost, len(listed.utterances), home, allow_incomplete)
    trials = read_keys(
        found.lists["keys"], {model: model for model in listed.models}, listed.utterances
    )
    refuse_wrong_keys(found.lists["keys"], trials, listed)
    data = _data_of(
        home, listed, {wanted[path]: (found.audio / path, value) for path, value in seconds.items()}
    )
    counts = finish(task, data, trials, listed, lost, allow_incomplete)
    others = len(files) - len(wanted)
    print(
        f"{home}: {counts['went_on']:,} recordings of {counts['speakers']:,} speakers, "
        f"{counts['models']:,} enrolments, {_describe_trials(counts)}; "
        f"published: {PUBLISHED[part]}; {others:,} files are on no list"
    )
    return counts


def _describe_trials(counts: Mapping[str, int]) -> str:
    if "trials_without_class" in counts:
        return f"{counts['trials_without_class']:,} {WITHOUT_CLASS}"
    return f"{counts['targets']:,} target and {counts['nontargets']:,} nontarget trials"


def _paths_of(audio: Path, files: Sequence[tuple[str, int]]) -> dict[str, tuple[str, int]]:
    """Files by their names without end."""
    paths: dict[str, tuple[str, int]] = {}
    for file in files:
        other = paths.setdefault(stem_of(file[0]), file)
        if other is not file:
            raise UserError(
                f"{audio}: {other[0]} and {file[0]} have one name, expected each recording once; remove the copy"
            )
    return paths


def _refuse_lost(
    found: Located, lost: Mapping[str, str], num_listed: int, home: Path, allow_incomplete: bool
) -> None:
    """Write down which files are lost, and refuse to go on without leave."""
    listing = home.parent / f"lost_files.{home.name}"
    if not lost:
        listing.unlink(missing_ok=True)
        return
    with atomic_write(listing) as file:
        file.writelines(f"{stem} {reason}\n" for stem, reason in sorted(lost.items()))
    first = min(lost)
    said = (
        f"{found.audio}: {len(lost):,} of {num_listed:,} listed files are missing or cannot be read, first '{first}' ({lost[first]}; "
        f"list: {listing})"
    )
    if len(lost) == num_listed:
        raise UserError(f"{said}; audio and lists are of different sets: correct --voices")
    if not allow_incomplete:
        raise UserError(
            f"{said}; unpack the archive again, or give --allow-incomplete to lose their trials"
        )
    print(said)


def _data_of(home: Path, listed: Listed, measured: Mapping[str, tuple[Path, str]]) -> DataDir:
    """The lists of the data directory, without what is lost, and without trials."""
    kept = {stem: utterance for stem, utterance in listed.utterances.items() if stem in measured}
    whole = set(kept.values())
    maps = {"utt2dur": {utterance: measured[stem][1] for stem, utterance in kept.items()}}
    for condition in CONDITIONS:
        maps[f"utt2{condition}"] = {
            utterance: getattr(listed.recordings[stem], condition)
            for stem, utterance in kept.items()
        }
    maps["enroll.spk2utt"] = {
        model: " ".join(sorted(members))
        for model, members in listed.models.items()
        if whole.issuperset(members)
    }
    wav_scp = {utterance: path_from_checkout(measured[stem][0]) for stem, utterance in kept.items()}
    return DataDir(
        home,
        wav_scp,
        {utterance: listed.recordings[stem].speaker for stem, utterance in kept.items()},
        None,
        maps,
    )


def finish(
    task: Task,
    data: DataDir,
    trials: Trials,
    listed: Listed,
    lost: Mapping[str, str],
    allow_incomplete: bool,
) -> dict:
    """Write the data directory, its ledger and its receipt.

    Parameters
    ----------
    task : Task
        Whose home it is.
    data : DataDir
        From `_data_of`.
    trials : Trials
        All that the keys name.
    listed : Listed
        What the corpus' lists name.
    lost : mapping of str to str
        Names that were left out, with the reasons.
    allow_incomplete : bool
        They may be.

    Returns
    -------
    dict
        The counts.
    """
    ledger = Ledger(data.path, set(listed.utterances.values()), allow_incomplete)
    for stem, utterance in sorted(listed.utterances.items()):
        if stem in lost:
            ledger.drop(utterance, UNREADABLE, lost[stem])
        else:
            ledger.keep(utterance)
    data.trials = (
        trials.restricted(data.maps["enroll.spk2utt"].keys(), data.utt2spk.keys())
        if lost
        else trials
    )
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
    return task.finish(
        [
            *(data.path / name for name in [*data.keyed, "spk2utt", "trials"]),
            *ledger.write(data.path),
        ],
        counts,
    )


if __name__ == "__main__":
    run(prepare_voices)
