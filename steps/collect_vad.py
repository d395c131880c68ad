"""Merge the voice activity decisions of an array of jobs, and judge its losses.

    python -m steps.collect_vad data/full/train --jobs 4
"""

from pathlib import Path

from utils.cli import run
from utils.ledger import MAX_UNREADABLE_FRACTION
from utils.parts import Parts, part_receipts
from utils.receipts import Task, data_dir_inputs

FORMAT = 1


def collect_vad(data: Path, *, jobs: int = 1, max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION, allow_missing_trials: bool = False) -> dict:
    """Write ``vad.scp``, and the ledger of stage 1: ``vad/dropped`` and ``vad/ledger.json``.

    Parameters
    ----------
    data : path
        Data directory whose decisions steps.compute_vad has made.
    jobs : int
        How many jobs made them.
    max_unreadable_fraction : float
        More unreadable utterances than this (and than one) are an error.
    allow_missing_trials : bool
        Leave to lose utterances that trials name.

    Returns
    -------
    dict
        The ledger's counts, and frames in all and of speech.

    Raises
    ------
    UserError
        A job is missing, or too much is unreadable.
    """
    home = data / "vad"
    receipts = part_receipts(home, "compute_vad", jobs)
    task = Task(home, "collect_vad", format=FORMAT, inputs={**data_dir_inputs(data, "wav.scp", "utt2spk", "trials"), **receipts},
                options={"max_unreadable_fraction": max_unreadable_fraction, "allow_missing_trials": allow_missing_trials})
    if task.is_done():
        return task.counts
    from utils.data_dir import read_map, write_map
    from utils.ledger import Ledger, utterances_in_trials

    parts = Parts(home, receipts)
    decisions = parts.table("scp")
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    ledger.read_parts(parts.files("dropped"), decisions, read_map(data / "utt2spk"))
    ledger.check_limits(max_unreadable_fraction, receipts=home / "receipts")
    write_map(data / "vad.scp", decisions)
    num_frames, num_speech = parts.total("frames"), parts.total("speech_frames")
    print(f"{data}: speech in {num_speech / max(1, num_frames):.1%} of {num_frames / 360_000:.2f} hours; {ledger.summary}")
    return task.finish([data / "vad.scp", *ledger.write(home), parts], {**ledger.counts, "frames": num_frames, "speech_frames": num_speech})


if __name__ == "__main__":
    run(collect_vad)
