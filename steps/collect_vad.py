"""Merge the voice activity decisions of an array of jobs, and check what is dropped.

python -m steps.collect_vad data/full/train --jobs 4
"""

from pathlib import Path

from utils.cli import run
from utils.data_dir.ledger import MAX_UNREADABLE_FRACTION
from utils.receipts import Task, data_dir_inputs
from utils.receipts.job_parts import Parts, part_receipts

FORMAT = 2


def collect_vad(
    data: Path,
    *,
    jobs: int = 1,
    max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
    allow_missing_trials: bool = False,
) -> dict:
    """Write ``vad.scp``, ``vad/segments`` and the ledger of stage 1, and print how much is speech.

    ``vad/segments`` has the stretches of speech as Kaldi's segments,
    ``<utterance>-<start>-<end> <recording> <start> <end>``: in the names hundredths of a second
    within the utterance, in the columns seconds within the recording.  The ledger is
    ``vad/dropped`` and ``vad/ledger.json``.

    Parameters
    ----------
    data : path
        Data directory with decisions by steps.compute_vad.
    jobs : int
        Number of jobs that made them.
    max_unreadable_fraction : float
        Largest fraction of utterances that may be unreadable; one always may.
    allow_missing_trials : bool
        Drop utterances even if trials name them.

    Returns
    -------
    dict
        The ledger's counts, numbers of frames and of speech frames, minimum, quartiles and maximum
        of the fraction of speech over the utterances, and the number of utterances without any.

    Raises
    ------
    UserError
        A job is missing, or too much is unreadable.
    """
    home = data / "vad"
    receipts = part_receipts(home, "compute_vad", jobs)
    task = Task(
        home,
        "collect_vad",
        format=FORMAT,
        inputs={**data_dir_inputs(data, "wav.scp", "utt2spk", "trials"), **receipts},
        options={
            "max_unreadable_fraction": max_unreadable_fraction,
            "allow_missing_trials": allow_missing_trials,
        },
    )
    if task.is_done():
        return task.counts
    from utils.data_dir import read_map, write_map
    from utils.data_dir.ledger import FOUND, Ledger, utterances_in_trials
    from utils.vad.segments import speech_summary, summary_lines

    parts = Parts(home, receipts)
    decisions = parts.table("scp")
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    ledger.read_parts(parts.files("dropped"), decisions, read_map(data / "utt2spk"))
    ledger.check_limits(max_unreadable_fraction, receipts=home / "receipts")
    ledger.found.update(parts.totals(FOUND))
    write_map(data / "vad.scp", decisions)
    write_map(home / "segments", parts.table("segments"))
    num_frames = {key: int(number) for key, number in parts.table("num_frames").items()}
    num_speech = {key: int(number) for key, number in parts.table("num_speech").items()}
    summary = speech_summary(num_frames, num_speech)
    lines = [*summary_lines(str(data), num_speech, summary), f"{data}: {ledger.summary}"]
    print("\n".join([*lines, *ledger.observation_lines()]))
    return task.finish(
        [data / "vad.scp", home / "segments", *ledger.write(home), parts],
        {**ledger.counts, **summary},
    )


if __name__ == "__main__":
    run(collect_vad)
