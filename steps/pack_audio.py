"""Pack audio into large archives of 16-bit mono waves at one rate: one job of the array.

    python -m steps.pack_audio data/full/train data/full/packed_16000/train --job 1/4
    python -m steps.pack_audio data/full/train data/full/packed_16000_split/train \\
        --split true --min-seconds 1.0 --job 1/4

steps.collect_packed makes a data directory of the parts.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from utils.audio import Channel
from utils.cli import run
from utils.embeddings.planned import note_packed
from utils.errors import UserError, WrongArguments
from utils.receipts import Task, data_dir_inputs

FORMAT = 1


def pack_audio(
    data: Path,
    packed: Path,
    *,
    sample_rate_hz: int = 16000,
    trim: bool = False,
    split: bool = False,
    min_seconds: float = 0.3,
    min_speech_seconds: float = 0.1,
    last_seconds: float = 0.0,
    channel: Channel = 0,
    allow_pipes: bool = False,
    root: Path | None = None,
    allow_missing_trials: bool = False,
    job: str = "1/1",
) -> dict:
    """Read, trim or split, resample and pack one job's utterances, or drop them.

    Dropped are unreadable and short utterances, and those with too little speech.

    Parameters
    ----------
    data : path
        Data directory, with voice activity decisions (stage 1) if ``trim``, ``split`` or
        ``min_speech_seconds`` needs them.
    packed : path
        Folder of the archives: writes ``packed.J.{ark,scp,num_samples,dropped}``, and
        ``packed.J.utt2original`` with ``split``.
    sample_rate_hz : int
        Rate to pack at.
    trim : bool
        Cut out what is not speech: an utterance's stretches of speech are joined.
    split : bool
        Make every stretch of speech an utterance of its own,
        ``<utterance>-<first frame>-<end frame>`` (10 ms frames, 7 digits), to train on long
        recordings.  Not together with ``trim``, and not if trials or speaker models name the
        utterances.
    min_seconds : float
        Shorter utterances (as packed) are dropped by policy; shorter pieces are counted.
    min_speech_seconds : float
        Utterances with less speech are dropped by policy, also silent ones; 0: no decisions are
        needed.
    last_seconds : float
        Pack only the end of what is left of an utterance; 0: all of it.
    channel : int or "mean"
        Channel to read, from 0, or the mean of all; of mono audio always the only one.
    allow_pipes : bool
        Run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.
    allow_missing_trials : bool
        Drop utterances even if trials name them.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, packed samples, and clipped utterances (or pieces).

    Raises
    ------
    UserError
        An utterance of the trials would be dropped, one has no decisions, or trials name what is to
        be split.
    """
    if split:
        _check_split(data, trim)
    needs_vad = trim or split or min_speech_seconds > 0
    inputs = data_dir_inputs(data, "wav.scp", "utt2spk", "segments")
    if needs_vad:
        inputs["vad"] = data / "vad" / "receipts" / "collect_vad.json"
    options = {
        "sample_rate_hz": sample_rate_hz,
        "trim": trim,
        "split": split,
        "min_seconds": min_seconds,
        "min_speech_seconds": min_speech_seconds,
        "channel": channel,
        "root": root,
    }
    if last_seconds:
        options["last_seconds"] = last_seconds
    task = Task(
        packed,
        "pack_audio",
        job=job,
        format=FORMAT,
        inputs=inputs,
        expensive=True,
        options=options,
        expected_bytes=partial(forecast_bytes, data, sample_rate_hz, job),
    )
    note_packed(packed, data, sample_rate_hz, split)
    if task.is_done():
        return task.counts
    from utils.archive import read_scp
    from utils.audio import UtteranceReader
    from utils.data_dir import job_utterances, read_data_dir
    from utils.data_dir.ledger import Ledger, utterances_in_trials
    from utils.packed.packer import Packer, keep_end

    lists = read_data_dir(data, allow_pipes=allow_pipes, needs_audio=True)
    reader = UtteranceReader(
        lists.wav_scp, lists.segments, allow_pipes=allow_pipes, root=root, channel=channel
    )
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    packer = Packer(
        reader,
        ledger,
        sample_rate_hz,
        decisions=read_scp(data / "vad.scp") if needs_vad else None,
        trim=trim,
        split=split,
        min_seconds=min_seconds,
        min_speech_seconds=min_speech_seconds,
        transform=keep_end(last_seconds),
        remarks=reader.channel_counts.silent,
    )
    number, _, _ = job.partition("/")
    outputs = packer.write(packed / f"packed.{number}", job_utterances(lists.utt2spk, job))
    upsampled = _count_upsampled(reader.channel_counts.rates, sample_rate_hz)
    return task.finish(outputs, {**packer.counts, **reader.channel_counts.counts, **upsampled})


def _count_upsampled(rates: Mapping[int, int], sample_rate_hz: int) -> dict[str, int]:
    """Counts for the ledger of utterances recorded at a lower rate than the packed one."""
    return {
        f"upsampled from {rate} Hz to {sample_rate_hz} Hz": number
        for rate, number in sorted(rates.items())
        if rate < sample_rate_hz
    }


def _check_split(data: Path, trim: bool) -> None:
    """Raise UserError for --split with --trim, or if trials or models name the utterances."""
    if trim:
        raise WrongArguments(
            "--trim and --split: both were given; either the speech is joined, "
            "or every stretch of it becomes an utterance"
        )
    named = [name for name in ("trials", "enroll.spk2utt") if (data / name).exists()]
    if named:
        raise UserError(
            f"{data / named[0]}: names utterances, which --split would cut into pieces; "
            "pack this set without it"
        )


def forecast_bytes(data: Path, sample_rate_hz: int, job: str) -> int | None:
    """Size of a job's archive before it is written, from ``utt2dur``; None without that list."""
    from utils.data_dir import job_utterances, read_map

    if not (data / "utt2dur").exists():
        return None
    utt2dur = read_map(data / "utt2dur")
    seconds = [float(utt2dur[utterance]) for utterance in job_utterances(utt2dur, job)]
    return round(2 * sample_rate_hz * sum(seconds))


if __name__ == "__main__":
    run(pack_audio)
