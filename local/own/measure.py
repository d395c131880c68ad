"""Headers of a corpus' files, and the utterances that cannot be used."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.audio_tree import headers
from local.corpus import write_listing
from local.own.kaldi import entry_file
from utils.audio import OVERSHOOT_SECONDS, Channel, audio_header
from utils.data_dir import DataDir
from utils.data_dir.ledger import POLICY, UNREADABLE
from utils.errors import UnreadableAudio, UserError

LOW_RATE = POLICY + "sample_rate"
# Parts of messages about files that a half-extracted archive leaves.
CUT = ("fewer samples", "no samples", "is missing")


@dataclass
class Measured:
    """Durations of the utterances that can be used, and why the others cannot."""

    utt2dur: dict[str, str]  # seconds, four decimals
    faults: dict[str, tuple[str, str]]  # utterance -> reason of the ledger, detail
    rates: Counter  # sample rate in Hz -> recordings
    recording_seconds: dict[str, float]
    several: dict[str, int]  # recording -> channels, unless it has one; 0: unknown

    def recording_durations(self, data: DataDir) -> dict[str, float]:
        """Seconds of the whole recording of each utterance that can be used."""
        seconds = {}
        for utterance in self.utt2dur:
            seconds[utterance] = self.recording_seconds[utterance_recording(data, utterance)]
        return seconds


def utterance_recording(data: DataDir, utterance: str) -> str:
    """The recording that an utterance is of."""
    if data.segments:
        return data.segments[utterance].split()[0]
    return utterance


def to_seconds(utt2dur: Mapping[str, str]) -> dict[str, float]:
    """Durations as numbers."""
    return {utterance: float(seconds) for utterance, seconds in utt2dur.items()}


class Rates:
    """Sample rates of files, each read once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def read(self, file: str) -> int:
        """The rate in Hz; 1 for a file that cannot be read, which is reported with the others."""
        if file not in self.known:
            try:
                self.known[file] = audio_header(file).sample_rate_hz
            except UnreadableAudio:
                self.known[file] = 1
        return self.known[file]


def measure_corpus(
    data: DataDir,
    min_sample_rate_hz: int,
    jobs: int,
    cache: Path,
    allow_pipes: bool,
    channel: Channel = 0,
) -> Measured:
    """Read the header of each recording; run the commands of pipes if they are allowed.

    Recordings of a lower rate, and those of several channels without ``channel``, are not used.
    ``cache`` is the folder of `headers`. Of features alone, durations are those of ``utt2dur``, if
    there is one. UserError: a segment ends after its recording.
    """
    if not data.wav_scp:
        utt2dur = data.maps.get("utt2dur", {})
        return Measured(utt2dur, {}, Counter(), to_seconds(utt2dur), {})
    measured, unreadable = _read_headers(data.wav_scp, jobs, cache, allow_pipes)
    faults = {recording: (UNREADABLE, reason) for recording, reason in unreadable.items()}
    rates: Counter[int] = Counter()
    recording_seconds, several = {}, {}
    for recording, (seconds, rate_hz, channels) in measured.items():
        rates[rate_hz] += 1
        recording_seconds[recording] = seconds
        if rate_hz < min_sample_rate_hz:
            faults[recording] = LOW_RATE, f"{rate_hz} Hz, expected {min_sample_rate_hz} or more"
        if channels != 1:
            several[recording] = channels
            if channel != "mean" and 0 < channels <= channel:
                fault = f"channel {channel} was asked for, it has {channels} (counted from 0)"
                faults[recording] = UNREADABLE, f"{data.wav_scp[recording]}: {fault}"
    utterance_faults = {}
    utt2dur = {}
    for utterance in data.utt2spk:
        recording = utterance_recording(data, utterance)
        if recording in faults:
            utterance_faults[utterance] = faults[recording]
        else:
            seconds = _utterance_seconds(data, utterance, recording_seconds[recording])
            utt2dur[utterance] = f"{seconds:.4f}"
    return Measured(utt2dur, utterance_faults, rates, recording_seconds, several)


def _read_headers(
    wav_scp: Mapping[str, str], jobs: int, cache: Path, allow_pipes: bool
) -> tuple[dict[str, tuple[float, int, int]], dict[str, str]]:
    """Recording -> seconds, Hz and channels, or the fault of one that cannot be read."""
    absolute, pipes = {}, []
    for recording, entry in wav_scp.items():
        if entry_file(entry):
            absolute[recording] = os.path.abspath(entry)
        else:
            pipes.append(recording)
    entries = dict.fromkeys(absolute.values())
    files = [(entry, os.path.getsize(entry_file(entry))) for entry in entries]
    parsed, faults = headers(Path("/"), files, jobs, cache)
    measured, unreadable = {}, {}
    for recording, entry in absolute.items():
        if entry in parsed:
            seconds, rate_hz, channels = parsed[entry]
            measured[recording] = float(seconds), rate_hz, channels
        elif entry in faults:
            unreadable[recording] = faults[entry]
    for recording in pipes:
        try:
            num_samples, rate_hz, known_channels = audio_header(
                wav_scp[recording], allow_pipes=allow_pipes
            )
            measured[recording] = num_samples / rate_hz, rate_hz, known_channels or 0
        except UnreadableAudio as error:
            unreadable[recording] = str(error)
    return measured, unreadable


def _utterance_seconds(data: DataDir, utterance: str, recording_seconds: float) -> float:
    if not data.segments:
        return recording_seconds
    recording, start, end = data.segments[utterance].split()
    last = float(end)
    if last < 0:
        last = recording_seconds
    if last > recording_seconds + OVERSHOOT_SECONDS or float(start) >= recording_seconds:
        raise UserError(
            f"{data.path}: '{utterance}' is from {start} to {last:g} s, expected a part of the "
            f"{recording_seconds:.3f} s of '{recording}'; correct it{_hint_at_units(data)}"
        )
    return min(last, recording_seconds) - float(start)


def _hint_at_units(data: DataDir) -> str:
    """Another possible cause, in a table: times that are not in seconds."""
    if not data.path.is_file():
        return ""
    return (
        ", or, if times are samples or milliseconds, call their columns start_samples, end_ms, ... "
        "(in the header, or by --columns)"
    )


def refuse_many_unreadable(
    where: Path, measured: Measured, max_fraction: float, listing: Path
) -> None:
    """Raise UserError if more than a fraction (and than one) of the utterances are unreadable.

    They are written to ``listing``, with the fault of each.
    """
    unreadable = {}
    for utterance, (reason, detail) in measured.faults.items():
        if reason == UNREADABLE:
            unreadable[utterance] = detail
    total = len(measured.utt2dur) + len(measured.faults)
    if len(unreadable) <= max(1, int(max_fraction * total + 1e-9)):
        write_listing(listing, [])
        return
    write_listing(listing, [f"{name} {detail}" for name, detail in sorted(unreadable.items())])
    hint = ""
    num_cut = sum(any(part in detail for part in CUT) for detail in unreadable.values())
    if num_cut:
        hint = f"{num_cut} are empty or cut short: is the archive fully extracted? "
    raise UserError(
        f"{where}: {len(unreadable)} of {total} utterances cannot be read, first "
        f"{min(unreadable.values())} (list: {listing}); {hint}repair them, or raise "
        "--max-unreadable-fraction"
    )
