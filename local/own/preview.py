"""What the preparation of a corpus would do, said without doing it."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from local.own.corpus import Corpus
from local.own.kaldi import file_of
from local.own.measure import measure_corpus
from local.own.sound import Heard, sound_lines
from local.own.times import refuse_other_durations
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.metrics.interval_rule import few_speakers


def describe(corpus: Corpus, where: Path) -> list[str]:
    """What a corpus holds, in a few lines.

    Parameters
    ----------
    corpus : Corpus
        As read.
    where : path
        For the first line.
    """
    data, members = corpus.data, Counter(corpus.data.utt2spk.values())
    fewest, most = (
        min(members.items(), key=lambda item: item[1]),
        max(members.items(), key=lambda item: item[1]),
    )
    lines = [
        f"{where}: {corpus.form}",
        f"  speakers: {len(members):,} ({_sexes_in_words(corpus.spk2sex.values())})",
        f"  utterances: {len(data.utt2spk):,}; of a speaker {fewest[1]:,} ('{fewest[0]}') to {most[1]:,} ('{most[0]}')",
    ]
    sessions = data.maps.get("utt2session")
    if sessions:
        of_speaker = Counter(
            speaker
            for speaker, _ in {
                (data.utt2spk[utterance], session) for utterance, session in sessions.items()
            }
        )
        lines.append(
            f"  sessions: {len(set(sessions.values())):,} names; of a speaker {min(of_speaker.values())} to {max(of_speaker.values())}"
        )
    else:
        lines.append("  sessions: not known")
    return [
        *lines,
        f"  lists: {', '.join(sorted(data.maps)) or 'none besides'}",
        *[f"  {note}" for note in corpus.notes],
    ]


def _sexes_in_words(sexes: Iterable[str]) -> str:
    """How many there are of each sex."""
    counts = Counter(sexes)
    return (
        "sex not known"
        if set(counts) == {"unknown"}
        else ", ".join(f"{count:,} {sex}" for sex, count in sorted(counts.items()))
    )


def describe_first(
    corpus: Corpus, number: int, min_sample_rate_hz: int, allow_pipes: bool, heard: Heard
) -> list[str]:
    """What the headers of the first files say, and which of them would be refused.

    Parameters
    ----------
    corpus : Corpus
        As read.
    number : int
        How many files to look at.
    min_sample_rate_hz, allow_pipes
        As of `measure_corpus`.
    heard : Heard
        Channel and rate of what will be packed.
    """
    whole = corpus.data
    first = dict(islice(sorted(whole.wav_scp.items()), number))
    missing = {
        recording: entry
        for recording, entry in first.items()
        if file_of(entry) and not Path(file_of(entry)).is_file()
    }
    wav_scp = {recording: entry for recording, entry in first.items() if recording not in missing}
    segments = (
        None
        if whole.segments is None
        else {key: line for key, line in whole.segments.items() if line.split()[0] in wav_scp}
    )
    utt2spk = {
        utterance: speaker
        for utterance, speaker in whole.utt2spk.items()
        if utterance in (wav_scp if segments is None else segments)
    }
    with tempfile.TemporaryDirectory() as cache:
        measured = measure_corpus(
            DataDir(whole.path, wav_scp, utt2spk, segments),
            min_sample_rate_hz,
            1,
            Path(cache),
            allow_pipes,
            heard.channel,
        )
    stated = {name: said for name, said in corpus.stated.items() if name in utt2spk}
    try:
        refuse_other_durations(whole.path, stated, measured.utt2dur, measured.seconds_of(whole))
        contradiction = []
    except UserError as error:
        contradiction = [f"  would stop it: {error}"]
    seconds = [float(value) for value in measured.utt2dur.values()]
    span = (
        f"{min(seconds):.1f} to {max(seconds):.1f} s, {sum(seconds) / 60:.1f} min in all"
        if seconds
        else "none can be used"
    )
    rates = ", ".join(f"{rate} Hz ({count})" for rate, count in sorted(measured.rates.items()))
    refused = [f"  would stop it: {entry} is missing" for entry in missing.values()] + contradiction
    refused += [
        f"  would be dropped: {utterance}: {detail}"
        for utterance, (_, detail) in sorted(measured.faults.items())
    ]
    said = sound_lines(wav_scp, measured, heard)
    return [f"  first {len(first)} files: {span}; {rates or 'no rate'}", *said, *refused]


def describe_sets(
    sets: Mapping[str, Sequence[str]], spk2sex: Mapping[str, str], utt2spk: Mapping[str, str]
) -> list[str]:
    """Who would be in which set.

    Parameters
    ----------
    sets : mapping of str to sequence of str
        Set -> speakers.
    spk2sex, utt2spk : mappings of str to str
        Of the corpus.
    """
    members = Counter(utt2spk.values())
    lines = []
    for name, speakers in sets.items():
        lines.append(
            f"  {name}: {len(speakers):,} speakers ({_sexes_in_words(spk2sex[speaker] for speaker in speakers)}), "
            f"{sum(members[speaker] for speaker in speakers):,} utterances"
        )
        too_few = few_speakers(len(speakers)) if name != "train" else ""
        if too_few:
            lines.append(f"    {too_few}")
    return lines
