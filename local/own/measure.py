"""What the headers of a corpus' files say, and which utterances cannot be used."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.audio_tree import headers
from local.own.kaldi import file_of
from utils.audio import OVERSHOOT_SECONDS, Channel, audio_header
from utils.data_dir import DataDir
from utils.data_dir.ledger import POLICY, UNREADABLE
from utils.errors import UnreadableAudio, UserError
from utils.files import atomic_write

LOW_RATE = POLICY + "sample_rate"
CUT = ("fewer samples", "no samples", "is missing")  # words of what a half-extracted archive leaves


@dataclass
class Measured:
    """Durations of the utterances that can be used, and why the others cannot.

    Attributes
    ----------
    utt2dur : dict of str to str
        Seconds, four decimals.
    faults : dict of str to (str, str)
        Utterance -> reason of the ledger, detail.
    rates : Counter of int
        Sample rate in Hz -> recordings.
    recording_seconds : dict of str to float
        Recording -> duration.
    several : dict of str to int
        Recording that has not one channel -> how many; 0: its header does not say.
    """

    utt2dur: dict[str, str]
    faults: dict[str, tuple[str, str]]
    rates: Counter
    recording_seconds: dict[str, float]
    several: dict[str, int]

    def seconds_of(self, data: DataDir) -> dict[str, float]:
        """Seconds of the whole recording of each utterance that can be used.

        Parameters
        ----------
        data : DataDir
            What was measured.
        """
        recordings = {name: line.split()[0] for name, line in (data.segments or {}).items()}
        return {name: self.recording_seconds[recordings.get(name, name)] for name in self.utt2dur}


class Rates:
    """Sample rates of files, each looked up once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def of(self, file: str) -> int:
        """The rate in Hz; 1 where the file cannot be opened, which is found and said when all are measured.

        Parameters
        ----------
        file : str
            Its path.
        """
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
    """Look at the header of each recording; commands are run, where they are allowed.

    Parameters
    ----------
    data : DataDir
        Its recordings, and segments where it has them.
    min_sample_rate_hz : int
        Recordings of a lower rate are not used.
    jobs : int
        Processes.
    cache : path
        Folder of what has been measured already.
    allow_pipes : bool
        Leave to run commands.
    channel : int or "mean"
        The one that is heard: recordings of several without it are not used.

    Raises
    ------
    UserError
        A segment lies behind the end of its recording.
    """
    found, wrong = _read_headers(data.wav_scp, jobs, cache, allow_pipes)
    faults = {recording: (UNREADABLE, reason) for recording, reason in wrong.items()}
    faults |= {
        recording: (LOW_RATE, f"{rate} Hz, expected {min_sample_rate_hz} or more")
        for recording, (_, rate, _) in found.items()
        if rate < min_sample_rate_hz
    }
    several = {
        recording: channels for recording, (_, _, channels) in found.items() if channels != 1
    }
    for recording, channels in several.items():
        if channel != "mean" and 0 < channels <= channel:
            reason = f"channel {channel} was asked for, it has {channels} (counted from 0)"
            faults[recording] = UNREADABLE, f"{data.wav_scp[recording]}: {reason}"
    utt2dur, of_utterances = {}, {}
    for utterance in data.utt2spk:
        recording = data.segments[utterance].split()[0] if data.segments else utterance
        if recording in faults:
            of_utterances[utterance] = faults[recording]
        else:
            utt2dur[utterance] = f"{_seconds(data, utterance, found[recording][0]):.4f}"
    rates = Counter(rate for _, rate, _ in found.values())
    recording_seconds = {recording: seconds for recording, (seconds, _, _) in found.items()}
    return Measured(utt2dur, of_utterances, rates, recording_seconds, several)


def _read_headers(
    wav_scp: Mapping[str, str], jobs: int, cache: Path, allow_pipes: bool
) -> tuple[dict[str, tuple[float, int, int]], dict[str, str]]:
    """Recording -> seconds, rate and channels, or what is wrong with it."""
    absolute = {
        recording: os.path.abspath(entry) for recording, entry in wav_scp.items() if file_of(entry)
    }
    sized = [(entry, os.path.getsize(file_of(entry))) for entry in dict.fromkeys(absolute.values())]
    read, unreadable = headers(Path("/"), sized, jobs, cache)
    found = {
        recording: (float(read[entry][0]), *read[entry][1:])
        for recording, entry in absolute.items()
        if entry in read
    }
    wrong = {
        recording: unreadable[entry] for recording, entry in absolute.items() if entry in unreadable
    }
    for recording in wav_scp.keys() - absolute.keys():
        try:
            num_samples, rate, channels = audio_header(wav_scp[recording], allow_pipes=allow_pipes)
            found[recording] = (num_samples / rate, rate, channels or 0)
        except UnreadableAudio as error:
            wrong[recording] = str(error)
    return found, wrong


def _seconds(data: DataDir, utterance: str, recording_seconds: float) -> float:
    if not data.segments:
        return recording_seconds
    recording, start, end = data.segments[utterance].split()
    last = recording_seconds if float(end) < 0 else float(end)
    if last > recording_seconds + OVERSHOOT_SECONDS or float(start) >= recording_seconds:
        raise UserError(
            f"{data.path}: '{utterance}' is from {start} to {last:g} s, expected a part of the {recording_seconds:.3f} s of "
            f"'{recording}'; correct it{_hint_of_units(data)}"
        )
    return min(last, recording_seconds) - float(start)


def _hint_of_units(data: DataDir) -> str:
    """What else may be wrong with times behind the end of a file: a table's are seconds unless it says otherwise."""
    if not data.path.is_file():
        return ""
    return ", or, where times are samples or milliseconds, call their columns start_samples, end_ms, ... (in the header, or by --columns)"


def refuse_many_unreadable(
    where: Path, measured: Measured, max_fraction: float, listing: Path
) -> None:
    """Refuse a corpus of which too much cannot be opened.

    Parameters
    ----------
    where : path
        The corpus.
    measured : Measured
        Of all its utterances.
    max_fraction : float
        As of the ledger: one may always be lost.
    listing : path
        Where they are written down, if they are too many.

    Raises
    ------
    UserError
        Says how many, names the first and the listing.
    """
    unreadable = {
        utterance: detail
        for utterance, (reason, detail) in measured.faults.items()
        if reason == UNREADABLE
    }
    total = len(measured.utt2dur) + len(measured.faults)
    if len(unreadable) <= max(1, int(max_fraction * total + 1e-9)):
        listing.unlink(missing_ok=True)
        return
    with atomic_write(listing) as file:
        file.writelines(
            f"{utterance} {detail}\n" for utterance, detail in sorted(unreadable.items())
        )
    cut = _count_cut(unreadable)
    hint = f"{cut} are empty or cut short: is the archive extracted whole? " if cut else ""
    raise UserError(
        f"{where}: {len(unreadable)} of {total} utterances cannot be read, first {min(unreadable.values())} (list: {listing}); {hint}"
        "mend them, or raise --max-unreadable-fraction"
    )


def _count_cut(unreadable: Mapping[str, str]) -> int:
    """How many files end too early."""
    return sum(any(words in detail for words in CUT) for detail in unreadable.values())
