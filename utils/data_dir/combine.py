"""Data directories put together, or copied under other ids."""

from collections.abc import Sequence

from utils.data_dir.directory import DataDir, from_lists
from utils.data_dir.rules import MAY_LACK_UTTERANCES, key_kind
from utils.errors import UserError


def combine_data_dirs(sources: Sequence[DataDir]) -> DataDir:
    """One data directory of all utterances of several.

    A list that not all of them have cannot cover every utterance and is left out, but for those that need not (vad.scp, feats.scp,
    utt2num_frames, trials, enroll.spk2utt).  Trials follow one another in the order of the sources.

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
        An utterance occurs in two, two differ about a speaker or recording, or only some have segments.
    """
    whole = [source for source in sources if source.segments is None]
    if 0 < len(whole) < len(sources):
        cut = next(source for source in sources if source.segments is not None)
        raise UserError(f"{cut.path}/segments: found, but {whole[0].path} has none, expected all or none to have it; write segments for the others")
    lists = {}
    for file in sorted({file for source in sources for file in source.keyed}):
        having = [source for source in sources if file in source.keyed]
        kind = key_kind(file, having[0].keyed)
        if len(having) == len(sources) or kind == "model" or file in MAY_LACK_UTTERANCES:
            lists[file] = union(file, having, may_repeat=kind in ("speaker", "recording"))
    trials = [trial for source in sources for trial in source.trials or ()]
    return from_lists(sources[0].path, lists, trials or None)


def union(file: str, sources: Sequence[DataDir], may_repeat: bool) -> dict[str, str]:
    """One list from several.

    Parameters
    ----------
    file : str
        Name of the list.
    sources : sequence of DataDir
        All have it.
    may_repeat : bool
        An id may occur in several if its value is the same.
    """
    joined, origin = {}, {}
    for source in sources:
        mapping = source.keyed[file]
        for key in sorted(joined.keys() & mapping.keys()):
            if not may_repeat or joined[key] != mapping[key]:
                raise UserError(f"{source.path}/{file}: '{key}' is in {origin[key]}/{file} too, expected ids of one directory only; "
                                "copy one of them with --utt-prefix and --spk-prefix")
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
        Put before every utterance id; it should begin with ``spk_prefix``, so that utterances sort as their speakers do.
    spk_prefix : str
        Put before every speaker id and enrolment model.
    """
    prefix = {"utterance": utt_prefix, "speaker": spk_prefix, "model": spk_prefix, "recording": ""}
    lists = {file: {prefix[key_kind(file, data.keyed)] + key: value for key, value in mapping.items()} for file, mapping in data.keyed.items()}
    lists["utt2spk"] = {utterance: spk_prefix + speaker for utterance, speaker in lists["utt2spk"].items()}
    models = data.maps.get("enroll.spk2utt", {})
    if models:
        lists["enroll.spk2utt"] = {spk_prefix + model: utt_prefix + members.replace(" ", f" {utt_prefix}") for model, members in models.items()}
    named = models.keys() | set(data.utt2spk.values())
    trials = data.trials and [f"{spk_prefix if enrol in named else utt_prefix}{enrol} {utt_prefix}{test} {kind}"
                              for enrol, test, kind in map(str.split, data.trials)]
    return from_lists(data.path, lists, trials)
