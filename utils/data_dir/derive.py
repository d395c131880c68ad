"""Data directories made from others: subsets, splits, unions, copies with other ids.

Also the share of one job of several.
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
    when all its utterances are; trials of two classes of which only one is left are all dropped.

    Parameters
    ----------
    data : DataDir
        The whole.
    utterances, speakers : iterables of str or None
        Those to keep; all have to be known.
    first : int or None
        Number of utterances to keep from the start of the list.
    per_speaker : int or None
        Number of utterances to draw for each speaker (all, if there are fewer).
    seed : int
        Of the draw, which depends on seed and speaker only.

    Returns
    -------
    DataDir
        At least one utterance.

    Raises
    ------
    UserError
        No way or several ways given, an unknown id, or nothing kept.
    """
    if sum(way is not None for way in (utterances, speakers, first, per_speaker)) != 1:
        raise UserError(
            f"{data.path}: a subset is chosen in exactly one way: "
            "utterances, speakers, first or per_speaker"
        )
    for count in (first, per_speaker):
        if count is not None and count < 1:
            raise UserError(f"{data.path}: {count} utterances asked for, expected 1 or more")
    kept: set[str] = set()
    if utterances is not None:
        kept = _check_known(data.path, "utterance", utterances, data.utt2spk)
    elif speakers is not None:
        known = set(data.utt2spk.values())
        wanted = _check_known(data.path, "speaker", speakers, known)
        kept = {utterance for utterance, speaker in data.utt2spk.items() if speaker in wanted}
    elif first is not None:
        kept.update(sorted(data.utt2spk)[:first])
    else:
        assert per_speaker is not None, "exactly one way is given"
        for speaker, members in data.spk2utt.items():
            kept.update(_draw(members, per_speaker, f"{seed} {speaker}"))
    return _restrict(data, kept)


def _check_known(path: Path, kind: str, wanted: Iterable[str], known: Collection[str]) -> set[str]:
    """The wanted ids as a set; all have to be known."""
    wanted = set(wanted)
    unknown = sorted(wanted.difference(known))
    if unknown:
        raise UserError(
            f"{path}/utt2spk: no {kind} '{unknown[0]}' "
            f"({len(unknown)} of {len(wanted)} are unknown), expected none; correct the list"
        )
    return wanted


def _draw(members: Sequence[str], count: int, seed: str) -> list[str]:
    """Draw without replacement; all if there are no more."""
    return random.Random(seed).sample(members, min(count, len(members)))


def drawn_utterances(
    utterances: Iterable[str], seed: int, count: int = DRAWN_UTTERANCES
) -> list[str]:
    """Draw at most ``count`` utterances; the draw depends on the seed and the names only."""
    return sorted(_draw(sorted(utterances), count, f"{seed} utterances"))


def _restrict(data: DataDir, kept: set[str]) -> DataDir:
    """A data directory with these of its utterances; lists that would be empty are left out."""
    if not kept:
        raise UserError(
            f"{data.path}: no utterance would be left, expected at least one; choose others"
        )
    speakers = {data.utt2spk[utterance] for utterance in kept}
    recordings = set()
    for utterance, segment in (data.segments or {}).items():
        if utterance in kept:
            recordings.add(segment.split()[0])
    kept_ids = {"utterance": kept, "speaker": speakers, "recording": recordings}
    lists = {}
    for file, mapping in data.keyed.items():
        kind = key_kind(file, data.keyed)
        if kind == "model":
            lists[file] = _restrict_models(mapping, kept)
        else:
            ids = kept_ids[kind]
            lists[file] = {key: value for key, value in mapping.items() if key in ids}
    trials = data.trials
    if trials:
        trials = _restrict_trials(data, trials, kept_ids, lists.get("enroll.spk2utt", {}))
    return from_lists(data.path, lists, trials)


def _restrict_models(models: Mapping[str, str], kept: set[str]) -> dict[str, str]:
    """The enrolment models with all their utterances kept."""
    return {model: members for model, members in models.items() if kept.issuperset(members.split())}


def _restrict_trials(
    data: DataDir,
    trials: Sequence[str],
    kept_ids: Mapping[str, set[str]],
    models: Mapping[str, str],
) -> Trials | None:
    """The trials with both sides kept; None if there are none, or if a class is lost."""
    all_models = data.maps.get("enroll.spk2utt", {}).keys()
    names = kept_ids["utterance"] | kept_ids["speaker"]
    enrol = (names - all_models) | models.keys()
    whole = Trials.of(trials)
    kept = whole.restricted(enrol, kept_ids["utterance"])
    if not kept or kept.classes != whole.classes:
        return None
    return kept


def split_data_dir(data: DataDir, parts: int, *, by_speaker: bool = False) -> list[DataDir]:
    """Contiguous parts of a data directory, as equal as possible.

    Parameters
    ----------
    data : DataDir
        The whole.
    parts : int
        Number of parts.
    by_speaker : bool
        Split between speakers only: parts are then equal in speakers, not in utterances.

    Returns
    -------
    list of DataDir
        In order; together they have every utterance once.  Trials stay if both their sides are in
        one part (see `subset_data_dir`).

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
            f"{data.path}: {parts} parts of {len(units)} {kind} asked for, "
            f"expected 1 to {len(units)}; ask for other parts"
        )
    directories = []
    for number in range(1, parts + 1):
        kept = set(_share(units, number, parts))
        if by_speaker:
            kept = {utterance for speaker in kept for utterance in spk2utt[speaker]}
        directories.append(_restrict(data, kept))
    return directories


def _share(items: Sequence[str], part: int, parts: int) -> Sequence[str]:
    """One of several contiguous parts whose sizes differ by at most one."""
    return items[len(items) * (part - 1) // parts : len(items) * part // parts]


def job_utterances(keys: Iterable[str], job: str) -> list[str]:
    """The utterances that one job of several processes.

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
    return list(_share(sorted(keys), int(part), int(parts)))


def combine_data_dirs(sources: Sequence[DataDir]) -> DataDir:
    """One data directory with all utterances of several.

    A list that not all of them have cannot cover every utterance and is left out, except for those
    that need not (vad.scp, feats.scp, utt2num_frames, trials, enroll.spk2utt).  Trials are in the
    order of the sources.

    Parameters
    ----------
    sources : sequence of DataDir
        At least one; speakers and recordings may occur in several if their entries agree.

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
    _refuse_mixed_sources(sources)
    files: set[str] = set()
    for source in sources:
        files.update(source.keyed)
    lists = {}
    for file in sorted(files):
        owners = [source for source in sources if file in source.keyed]
        kind = key_kind(file, owners[0].keyed)
        if len(owners) == len(sources) or kind == "model" or file in MAY_LACK_UTTERANCES:
            lists[file] = _union(file, owners, may_repeat=kind in ("speaker", "recording"))
    return from_lists(sources[0].path, lists, _combine_trials(sources))


def _refuse_mixed_sources(sources: Sequence[DataDir]) -> None:
    """Refuse recordings beside features alone, and segments beside whole recordings."""
    lacking = {}
    for file in SOURCES:
        lacking[file] = [source.path for source in sources if file not in source.keyed]
    if all(lacking.values()):
        without_audio, without_features = (lacking[file][0] for file in SOURCES)
        raise UserError(
            f"{without_audio} has no wav.scp and {without_features} no feats.scp, "
            "expected the same list in all; make the features of the others first"
        )
    whole = [source for source in sources if source.segments is None]
    if 0 < len(whole) < len(sources):
        other = next(source for source in sources if source.segments is not None)
        raise UserError(
            f"{other.path}/segments: exists, but {whole[0].path} has none, "
            "expected all or none to have it; write segments for the others"
        )


def _combine_trials(sources: Sequence[DataDir]) -> list[str] | None:
    """The trials of all sources, which all have classes or none."""
    combined: list[str] = []
    with_classes: list[Path] = []
    without_classes: list[Path] = []
    for source in sources:
        if source.trials:
            has_classes = Trials.of(source.trials).kinds is not None
            group = with_classes if has_classes else without_classes
            group.append(source.path)
            combined += source.trials
    if with_classes and without_classes:
        raise UserError(
            f"{without_classes[0]}/trials: its trials have no classes, those of {with_classes[0]} "
            "have classes, expected all or none; remove one of the lists"
        )
    return combined or None


def _union(file: str, sources: Sequence[DataDir], may_repeat: bool) -> dict[str, str]:
    """One list of several directories as one."""
    joined: dict[str, str] = {}
    origin: dict[str, Path] = {}
    for source in sources:
        mapping = source.keyed[file]
        for key in sorted(joined.keys() & mapping.keys()):
            if not may_repeat or joined[key] != mapping[key]:
                raise UserError(
                    f"{source.path}/{file}: '{key}' is in {origin[key]}/{file} too, "
                    "expected ids of one directory only; copy one of them: "
                    "python -m utils.data_dir copy OLD NEW --spk-prefix x- --utt-prefix x-"
                )
        joined |= mapping
        origin |= dict.fromkeys(mapping, source.path)
    return dict(sorted(joined.items()))


def copy_data_dir(data: DataDir, *, utt_prefix: str = "", spk_prefix: str = "") -> DataDir:
    """The same data directory with other ids.

    Parameters
    ----------
    data : DataDir
        Original; recordings keep their ids if there is a list ``segments``.
    utt_prefix : str
        Put before every utterance id; it should begin with ``spk_prefix``, so that utterances sort
        as their speakers do.
    spk_prefix : str
        Put before every speaker id and enrolment model.
    """
    prefixes = {
        "utterance": utt_prefix,
        "speaker": spk_prefix,
        "model": spk_prefix,
        "recording": "",
    }
    lists = {}
    for file, mapping in data.keyed.items():
        prefix = prefixes[key_kind(file, data.keyed)]
        lists[file] = {prefix + key: value for key, value in mapping.items()}
    for utterance, speaker in lists["utt2spk"].items():
        lists["utt2spk"][utterance] = spk_prefix + speaker
    models = lists.get("enroll.spk2utt", {})
    for model, members in models.items():
        models[model] = utt_prefix + members.replace(" ", f" {utt_prefix}")
    return from_lists(data.path, lists, _copy_trials(data, utt_prefix, spk_prefix))


def _copy_trials(data: DataDir, utt_prefix: str, spk_prefix: str) -> list[str] | None:
    """The trials with prefixed sides; an enrolment side is a model, a speaker or an utterance."""
    if data.trials is None:
        return None
    speakers = data.maps.get("enroll.spk2utt", {}).keys() | set(data.utt2spk.values())
    trials = []
    for trial in data.trials:
        enrol, test, *kind = trial.split()
        prefix = spk_prefix if enrol in speakers else utt_prefix
        trials.append(" ".join([prefix + enrol, utt_prefix + test, *kind]))
    return trials
