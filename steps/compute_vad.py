"""Decide which 10 ms frames are speech, one part of the job array at a time.

    python -m steps.compute_vad data/full/train --job 1/4

The decisions are complete when steps.collect_vad has merged the parts.
"""

from pathlib import Path
from typing import Literal

from utils.cli import run
from utils.receipts import Task, data_dir_inputs

FORMAT = 1


def compute_vad(data: Path, *, aggressiveness: Literal[0, 1, 2, 3] = 2, window_ms: Literal[10, 20, 30] = 30,
                min_silence_seconds: float = 0.2, min_speech_seconds: float = 0.1, padding_seconds: float = 0.05, channel: int = 0,
                allow_pipes: bool = False, root: Path | None = None, allow_missing_trials: bool = False, job: str = "1/1") -> dict:
    """Write WebRTC's voice activity decisions of one job's utterances as Kaldi vectors of 0 and 1.

    Parameters
    ----------
    data : path
        Data directory; writes ``vad/vad.J.{ark,scp}`` and the job's part of the ledger, ``vad/vad.J.dropped``.
    aggressiveness : int
        From 0, which takes most for speech, to 3.
    window_ms : int
        10, 20 or 30 ms: what the detector looks at for one decision.
    min_silence_seconds : float
        Shorter gaps within speech count as speech.
    min_speech_seconds : float
        Shorter stretches of speech count as silence.
    padding_seconds : float
        Added on both sides of each stretch of speech.
    channel : int
        Of sound with several, from 0.
    allow_pipes : bool
        Leave to run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.
    allow_missing_trials : bool
        Leave to drop unreadable utterances that trials name.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, and frames in all and of speech.

    Raises
    ------
    UserError
        An utterance of the trials is unreadable.
    """
    smoothing = {"min_silence_seconds": min_silence_seconds, "min_speech_seconds": min_speech_seconds, "padding_seconds": padding_seconds}
    detection = {"aggressiveness": aggressiveness, "window_ms": window_ms}
    home, part = data / "vad", job.partition("/")[0]
    task = Task(home, "compute_vad", job=job, format=FORMAT, inputs=data_dir_inputs(data, "wav.scp", "utt2spk", "segments"),
                options={**detection, **smoothing, "channel": channel, "root": root})
    if task.is_done():
        return task.counts
    import numpy as np

    from utils.archive import ArchiveWriter
    from utils.audio import UnreadableAudio, UtteranceReader
    from utils.data_dir import job_utterances, read_data_dir
    from utils.ledger import UNREADABLE, Ledger, utterances_in_trials
    from utils.vad import smooth, webrtc_decisions

    lists = read_data_dir(data, allow_pipes=allow_pipes)
    reader = UtteranceReader(lists.wav_scp, lists.segments, allow_pipes=allow_pipes, root=root, channel=channel)
    ledger, num_frames, num_speech = Ledger(data, utterances_in_trials(data), allow_missing_trials), 0, 0
    with ArchiveWriter(home / f"vad.{part}.ark", home / f"vad.{part}.scp") as writer:
        for utterance in job_utterances(lists.utt2spk, job):
            try:
                samples, rate = reader.read(utterance)
            except UnreadableAudio as fault:
                ledger.drop(utterance, UNREADABLE, fault.reason)
                continue
            speech = smooth(webrtc_decisions(samples, rate, **detection), **smoothing)
            writer.write(utterance, speech.astype(np.float32))
            ledger.keep(utterance)
            num_frames, num_speech = num_frames + len(speech), num_speech + int(speech.sum())
    ledger.write_part(home / f"vad.{part}.dropped")
    return task.finish([writer, home / f"vad.{part}.dropped"], {**ledger.counts, "frames": num_frames, "speech_frames": num_speech})


if __name__ == "__main__":
    run(compute_vad)
