"""Data directories made of others: subsets, splits, several joined, the same under other ids.

Also what one job of several works on.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from utils.data_dir.directory import SOURCES, DataDir, from_lists
from utils.data_dir.rules import MAY_LACK_UTTERANCES, key_kind
from utils.data_dir.trial_list import Trials
from utils.errors import UserError

DRAWN_UTTERANCES = 2000  # at most: a mean needs no more


def subset_data_dir(
    data: DataDir,
    *,
    utterances: Iterable[str] | None = None,
    speakers: Iterable[str] | None = None,
    first: int | None = None,
    per_speaker: int | None = None,
    seed: int = 0,
) -> DataDir:
    """Some of the utterances, chosen in one of four ways.

    Every list is filtered with them.  A trial is kept when both its sides are, an enrolment model
    when all its utterances are; trials of two classes of which only one is left are dropped whole.

    Parameters
    ----------
    data : DataDir
        Where to choose from.
    utterances, speakers : iterables of str or None
        Those to keep; all have to be known.
    first : int or None
        How many utterances to keep from the start of the list.
    per_speaker : int or None
        How many utterances to draw of each speaker (all, where there are fewer).
    seed : int
        Of the draw, which depends on seed and speaker only.

    Returns
    -------
    DataDir
        At least one utterance.

    Raises
    ------
    UserError
        None or several ways given, an unknown id, or nothing kept.
    """
    if sum(way is not None for way in (utterances, speakers, first, per_speaker)) != 1:
        raise UserError(
            f"{data.path}: a subset is chosen in exactly one way: utterances, speakers, first or per_speaker"
        )
    if any(count is not None and count < 1 for count in (first, per_speaker)):
        raise UserError(
            f"{data.path}: {first if per_speaker is None else per_speaker} utterances asked for, expected a number from 1"
        )
    if utterances is not None:
        kept = _known(data.path, "utterance", utterances, data.utt2spk)
    elif speakers is not None:
        wanted = _known(data.path, "speaker", speakers, set(data.utt2spk.values()))
        kept = {utterance for utterance, speaker in data.utt2spk.items() if speaker in wanted}
    elif first is not None:
        kept = set(sorted(data.utt2spk)[:first])
    else:
        assert per_speaker is not None, "exactly one way is given"
        kept = {
            utterance
            for speaker, members in data.spk2utt.items()
            for utterance in _draw(members, per_speaker, f"{seed} {speaker}")
        }
    return _restrict(data, kept)


def _known(path: Path, kind: str, wanted: Iterable[str], there: Collection[str]) -> set[str]:
    """The wanted ids as a set."""
    wanted = set(wanted)
    unknown = sorted(wanted.difference(there))
    if unknown:
        raise UserError(
            f"{path}/utt2spk: no {kind} '{unknown[0]}' ({len(unknown)} of {len(wanted)} are unknown), expected none; correct the list"
        )
    return wanted


def _draw(members: Sequence[str], count: int, seed: str) -> list[str]:
    """Some of a list, at random without repetition; all when there are no more."""
    return random.Random(seed).sample(members, min(count, len(members)))


def drawn_utterances(
    utterances: Iterable[str], seed: int, count: int = DRAWN_UTTERANCES
) -> list[str]:
    """A draw without repetition, which depends on the seed and on the names alone."""
    return sorted(_draw(sorted(utterances), count, f"{seed} utterances"))


def _restrict(data: DataDir, kept: set[str]) -> DataDir:
    """A data directory with these of its utterances; lists of which nothing is left go."""
    if not kept:
        raise UserError(
            f"{data.path}: no utterance would be left, expected at least one; choose others"
        )
    utt2spk = {
        utterance: speaker for utterance, speaker in data.utt2spk.items() if utterance in kept
    }
    keep = {"utterance": kept, "speaker": set(utt2spk.values())}
    if data.segments is not None:
        keep["recording"] = {
            segment.split()[0] for utterance, segment in data.segments.items() if utterance in kept
        }
    lists = {}
    for file, mapping in data.keyed.items():
        kind = key_kind(file, data.keyed)
        if kind == "model":
            lists[file] = {
                model: members
                for model, members in mapping.items()
                if kept.issuperset(members.split())
            }
        else:
            lists[file] = {key: value for key, value in mapping.items() if key in keep[kind]}
    trials = data.trials
    if trials:
        trials = _restrict_trials(data, trials, keep, lists.get("enroll.spk2utt", {}))
    return from_lists(data.path, lists, trials)


def _restrict_trials(
    data: DataDir, trials: Sequence[str], keep: Mapping[str, set[str]], models: Mapping[str, str]
) -> Trials | None:
    """The trials whose two sides are kept; None where none is, or where a class is lost."""
    all_models = data.maps.get("enroll.spk2utt", {}).keys()
    sides = (keep["utterance"] | keep["speaker"]) - all_models | models.keys()
    whole = Trials.of(trials)
    kept = whole.restricted(sides, keep["utterance"])
    return kept if kept and kept.classes == whole.classes else None


def split_data_dir(data: DataDir, parts: int, *, by_speaker: bool = False) -> list[DataDir]:
    """Contiguous parts of a data directory, as equal as can be.

    Parameters
    ----------
    data : DataDir
        Whole.
    parts : int
        How many.
    by_speaker : bool
        Cut between speakers only: parts are then equal in speakers, not in utterances.

    Returns
    -------
    list of DataDir
        In order; together they hold every utterance once.  Trials stay where both their sides are
        in one part (see `subset_data_dir`).

    Raises
    ------
    UserError
        Fewer utterances (or speakers) than parts.
    """
    spk2utt = data.spk2utt
    units = sorted(spk2utt) if by_speaker else sorted(data.utt2spk)
    if not 1 <= parts <= len(units):
        kind = "speakers" if by_speaker else "utterances"
        raise UserError(
            f"{data.path}: {parts} parts of {len(units)} {kind} asked for, expected 1 to {len(units)}; ask for other parts"
        )
    cut = (_part_of(units, part, parts) for part in range(1, parts + 1))
    return [
        _restrict(
            data,
            {utterance for speaker in part for utterance in spk2utt[speaker]}
            if by_speaker
            else set(part),
        )
        for part in cut
    ]


def _part_of(items: Sequence[str], part: int, parts: int) -> Sequence[str]:
    """One of several contiguous parts whose sizes differ by at most one."""
    return items[len(items) * (part - 1) // parts : len(items) * part // parts]


def job_utterances(keys: Iterable[str], job: str) -> list[str]:
    """What one job of several works on.

    Parameters
    ----------
    keys : iterable of str
        Utterances, in any order.
    job : str
        ``3/8``: the third of eight.

    Returns
    -------
    list of str
        Contiguous part of the keys in byte order; empty when there are more jobs than keys.

    Raises
    ------
    UserError
        Not of the form J/N with 1 <= J <= N.
    """
    part, _, parts = job.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UserError(
            f"--job: '{job}', expected J/N with 1 <= J <= N, for example 3/8; correct it"
        )
    return list(_part_of(sorted(keys), int(part), int(parts)))


def combine_data_dirs(sources: Sequence[DataDir]) -> DataDir:
    """One data directory of all utterances of several.

    A list that not all of them have cannot cover every utterance and is left out, but for those
    that need not (vad.scp, feats.scp, utt2num_frames, trials, enroll.spk2utt).  Trials follow one
    another in the order of the sources.

    Parameters
    ----------
    sources : sequence of DataDir
        At least one; speakers and recordings may occur in several if all say the same of them.

    Returns
    -------
    DataDir
        Keys in byte order; its path is that of the first.

    Raises
    ------
    UserError
        An utterance occurs in two, two differ about a speaker or recording, only some have
        segments, or some have no recordings and others no features.
    """
    lacking = {
        file: [source.path for source in sources if file not in source.keyed] for file in SOURCES
    }
    if all(lacking.values()):
        without_audio, without_features = (lacking[file][0] for file in SOURCES)
        raise UserError(
            f"{without_audio} has no wav.scp and {without_features} no feats.scp, expected one of the two in all; make the features of the others first"
        )
    whole = [source for source in sources if source.segments is None]
    if 0 < len(whole) < len(sources):
        cut = next(source for source in sources if source.segments is not None)
        raise UserError(
            f"{cut.path}/segments: found, but {whole[0].path} has none, expected all or none to have it; write segments for the others"
        )
    lists = {}
    for file in sorted({file for source in sources for file in source.keyed}):
        having = [source for source in sources if file in source.keyed]
        kind = key_kind(file, having[0].keyed)
        if len(having) == len(sources) or kind == "model" or file in MAY_LACK_UTTERANCES:
            lists[file] = _union(file, having, may_repeat=kind in ("speaker", "recording"))
    return from_lists(sources[0].path, lists, _trials_of_all(sources))


def _trials_of_all(sources: Sequence[DataDir]) -> list[str] | None:
    """The trials of several, which all have classes or none."""
    having = [source for source in sources if source.trials]
    without = [source.path for source in having if Trials.of(source.trials or ()).kinds is None]
    if 0 < len(without) < len(having):
        other = next(source.path for source in having if source.path not in without)
        raise UserError(
            f"{without[0]}/trials: its trials have no classes, those of {other} have, expected all or none; take one of the lists away"
        )
    return [trial for source in having for trial in source.trials or ()] or None


def _union(file: str, sources: Sequence[DataDir], may_repeat: bool) -> dict[str, str]:
    """One list from several."""
    joined: dict[str, str] = {}
    origin: dict[str, Path] = {}
    for source in sources:
        mapping = source.keyed[file]
        for key in sorted(joined.keys() & mapping.keys()):
            if not may_repeat or joined[key] != mapping[key]:
                raise UserError(
                    f"{source.path}/{file}: '{key}' is in {origin[key]}/{file} too, expected ids of one directory only; "
                    "copy one of them: python -m utils.data_dir copy OLD NEW --spk-prefix x- --utt-prefix x-"
                )
        joined |= mapping
        origin |= dict.fromkeys(mapping, source.path)
    return dict(sorted(joined.items()))


def copy_data_dir(data: DataDir, *, utt_prefix: str = "", spk_prefix: str = "") -> DataDir:
    """The same under other ids.

    Parameters
    ----------
    data : DataDir
        Original; recordings keep their ids where there is a segments.
    utt_prefix : str
        Put before every utterance id; it should begin with ``spk_prefix``, so that utterances sort
        as their speakers do.
    spk_prefix : str
        Put before every speaker id and enrolment model.
    """
    prefix = {"utterance": utt_prefix, "speaker": spk_prefix, "model": spk_prefix, "recording": ""}
    lists = {
        file: {prefix[key_kind(file, data.keyed)] + key: value for key, value in mapping.items()}
        for file, mapping in data.keyed.items()
    }
    lists["utt2spk"] = {
        utterance: spk_prefix + speaker for utterance, speaker in lists["utt2spk"].items()
    }
    models = data.maps.get("enroll.spk2utt", {})
    if models:
        lists["enroll.spk2utt"] = {
            spk_prefix + model: utt_prefix + members.replace(" ", f" {utt_prefix}")
            for model, members in models.items()
        }
    named = models.keys() | set(data.utt2spk.values())
    trials = data.trials and [
        " ".join(
            [f"{spk_prefix if enrol in named else utt_prefix}{enrol} {utt_prefix}{test}", *kind]
        )
        for enrol, test, *kind in map(str.split, data.trials)
    ]
    return from_lists(data.path, lists, trials)
