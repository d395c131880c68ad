"""Description of what the preparation of a corpus would do, without doing it."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from local.corpus import restrict
from local.own.corpus import Corpus
from local.own.kaldi import entry_file
from local.own.measure import measure_corpus
from local.own.sound import Packing, describe_audio
from local.own.times import refuse_other_durations
from utils.data_dir import DataDir
from utils.errors import UserError
from utils.metrics.interval_rule import few_speakers


def describe(corpus: Corpus, where: Path) -> list[str]:
    """Lines about the speakers, utterances, sessions and lists of the corpus at ``where``."""
    data, members = corpus.data, Counter(corpus.data.utt2spk.values())
    fewest, most = min(members.values()), max(members.values())
    shortest = next(speaker for speaker, number in members.items() if number == fewest)
    longest = next(speaker for speaker, number in members.items() if number == most)
    span = f"per speaker {fewest:,} ('{shortest}') to {most:,} ('{longest}')"
    lines = [
        f"{where}: {corpus.form}",
        f"  speakers: {len(members):,} ({_count_sexes(corpus.spk2sex.values())})",
        f"  utterances: {len(data.utt2spk):,}; {span}",
        _describe_sessions(data),
        f"  lists: {', '.join(sorted(data.maps)) or 'no others'}",
    ]
    return lines + [f"  {note}" for note in corpus.notes]


def _describe_sessions(data: DataDir) -> str:
    sessions = data.maps.get("utt2session")
    if not sessions:
        return "  sessions: not known"
    pairs = {(data.utt2spk[utterance], session) for utterance, session in sessions.items()}
    counts = Counter(speaker for speaker, _ in pairs).values()
    return (
        f"  sessions: {len(set(sessions.values())):,} names; per speaker "
        f"{min(counts)} to {max(counts)}"
    )


def _count_sexes(sexes: Iterable[str]) -> str:
    """Number of speakers of each sex, as a text."""
    counts = Counter(sexes)
    if set(counts) == {"unknown"}:
        return "sex not known"
    return ", ".join(f"{count:,} {sex}" for sex, count in sorted(counts.items()))


def describe_first(
    corpus: Corpus, number: int, min_sample_rate_hz: int, allow_pipes: bool, packing: Packing
) -> list[str]:
    """Lines about the headers of the first recordings, and which of them would be refused."""
    first = dict(islice(sorted(corpus.data.wav_scp.items()), number))
    refused = []
    wav_scp = {}
    for recording, entry in first.items():
        file = entry_file(entry)
        if file and not Path(file).is_file():
            refused.append(f"  would be an error: {entry} is missing")
        else:
            wav_scp[recording] = entry
    data = _restrict_recordings(corpus.data, wav_scp)
    with tempfile.TemporaryDirectory() as cache:
        measured = measure_corpus(
            data, min_sample_rate_hz, 1, Path(cache), allow_pipes, packing.channel
        )
    stated = {name: value for name, value in corpus.stated.items() if name in data.utt2spk}
    lasting = measured.recording_durations(corpus.data)
    try:
        refuse_other_durations(data.path, stated, measured.utt2dur, lasting)
    except UserError as error:
        refused.append(f"  would be an error: {error}")
    for utterance, (_, detail) in sorted(measured.faults.items()):
        refused.append(f"  would be dropped: {utterance}: {detail}")
    rates = ", ".join(f"{rate} Hz ({count})" for rate, count in sorted(measured.rates.items()))
    span = _describe_durations(measured.utt2dur.values())
    return [
        f"  first {len(first)} files: {span}; {rates or 'no rate'}",
        *describe_audio(wav_scp, measured, packing),
        *refused,
    ]


def _restrict_recordings(data: DataDir, wav_scp: dict[str, str]) -> DataDir:
    """The utterances of some recordings."""
    if data.segments is None:
        return DataDir(data.path, wav_scp, restrict(data.utt2spk, wav_scp), None)
    segments = {key: line for key, line in data.segments.items() if line.split()[0] in wav_scp}
    return DataDir(data.path, wav_scp, restrict(data.utt2spk, segments), segments)


def _describe_durations(utterance_seconds: Iterable[str]) -> str:
    seconds = [float(text) for text in utterance_seconds]
    if not seconds:
        return "none can be used"
    minutes = sum(seconds) / 60
    return f"{min(seconds):.1f} to {max(seconds):.1f} s, {minutes:.1f} min in all"


def describe_sets(
    sets: Mapping[str, Sequence[str]], spk2sex: Mapping[str, str], utt2spk: Mapping[str, str]
) -> list[str]:
    """Lines about the speakers and utterances of each set."""
    members = Counter(utt2spk.values())
    lines = []
    for name, speakers in sets.items():
        sexes = _count_sexes(spk2sex[speaker] for speaker in speakers)
        num_utterances = sum(members[speaker] for speaker in speakers)
        lines.append(
            f"  {name}: {len(speakers):,} speakers ({sexes}), {num_utterances:,} utterances"
        )
        if name != "train":
            warning = few_speakers(len(speakers))
            if warning:
                lines.append(f"    {warning}")
    return lines
