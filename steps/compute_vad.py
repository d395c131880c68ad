"""Decide which 10 ms frames are speech: one job of the array.

    python -m steps.compute_vad data/full/train --job 1/4
    python -m steps.compute_vad data/full/train --config conf/vad/energy.yaml --job 1/4

steps.collect_vad merges the parts.
"""

from pathlib import Path

from utils.audio import Channel
from utils.cli import run
from utils.receipts import Task, data_dir_inputs

FORMAT = 2


def compute_vad(
    data: Path,
    *,
    config: Path | None = None,
    top_db: float | None = None,
    channel: Channel = 0,
    allow_pipes: bool = False,
    root: Path | None = None,
    allow_missing_trials: bool = False,
    job: str = "1/1",
) -> dict:
    """Write voice activity decisions of one job's utterances as Kaldi vectors of 0 and 1.

    Parameters
    ----------
    data : path
        Data directory; writes ``vad/vad.J.{ark,scp,segments,num_frames,num_speech}``, with the
        stretches of speech as segments, and the job's part of the ledger, ``vad/vad.J.dropped``.
    config : path or None
        YAML with a detector's name and options, as in conf/vad (webrtc, energy, silero,
        librosa_trim, librosa_split, resemblyzer), where their uses are described; None: WebRTC's
        defaults.
    top_db : float or None
        For the librosa detectors, instead of the YAML's: level below the loudest frame, in dB, from
        which audio is silence.
    channel : int or "mean"
        Channel to read, from 0, or the mean of all; of mono audio always the only one.
    allow_pipes : bool
        Run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.
    allow_missing_trials : bool
        Drop unreadable utterances even if trials name them.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, and numbers of frames and of speech frames.

    Raises
    ------
    UserError
        An utterance of the trials is unreadable, or the detector's package cannot be loaded.
    """
    from utils.vad.base import runs
    from utils.vad.registry import make_vad

    overrides = {} if top_db is None else {"top_db": top_db}
    detector, options = make_vad(config, overrides)
    home, part = data / "vad", job.partition("/")[0]
    task = Task(
        home,
        "compute_vad",
        job=job,
        format=FORMAT,
        inputs=data_dir_inputs(data, "wav.scp", "utt2spk", "segments"),
        options={"detector": options, "channel": channel, "root": root},
    )
    if task.is_done():
        return task.counts
    import numpy as np

    from utils.archive import ArchiveWriter
    from utils.audio import UtteranceReader
    from utils.data_dir import job_utterances, read_data_dir, write_map
    from utils.data_dir.ledger import UNREADABLE, Ledger, utterances_in_trials
    from utils.errors import UnreadableAudio
    from utils.files import atomic_write
    from utils.vad.segments import segment_lines

    lists = read_data_dir(data, allow_pipes=allow_pipes, needs_audio=True)
    reader = UtteranceReader(
        lists.wav_scp, lists.segments, allow_pipes=allow_pipes, root=root, channel=channel
    )
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    num_frames, num_speech, segments = {}, {}, []
    with ArchiveWriter(home / f"vad.{part}.ark", home / f"vad.{part}.scp") as writer:
        for utterance in job_utterances(lists.utt2spk, job):
            try:
                samples, rate = reader.read(utterance)
            except UnreadableAudio as error:
                ledger.drop(utterance, UNREADABLE, error.reason)
                continue
            speech = detector.decisions(samples, rate)
            writer.write(utterance, speech.astype(np.float32))
            ledger.keep(utterance)
            num_frames[utterance], num_speech[utterance] = len(speech), int(speech.sum())
            segments += segment_lines(utterance, runs(speech), lists.segments)
    write_map(home / f"vad.{part}.num_frames", num_frames)
    write_map(home / f"vad.{part}.num_speech", num_speech)
    with atomic_write(home / f"vad.{part}.segments") as file:
        file.writelines(segments)
    ledger.write_part(home / f"vad.{part}.dropped")
    kinds = ("num_frames", "num_speech", "segments", "dropped")
    written = [home / f"vad.{part}.{kind}" for kind in kinds]
    return task.finish(
        [writer, *written],
        {
            **ledger.counts,
            **reader.channel_counts.counts,
            "frames": sum(num_frames.values()),
            "speech_frames": sum(num_speech.values()),
        },
    )


if __name__ == "__main__":
    run(compute_vad)
