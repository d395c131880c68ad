"""Merge the features of an array of jobs into feats.scp and utt2num_frames.

python -m steps.collect_feats data/full/packed_16000/train --jobs 4
"""

import json
from pathlib import Path

from utils.cli import run
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import Task, data_dir_inputs
from utils.receipts.job_parts import Parts, part_receipts

FORMAT = 1


def collect_feats(
    data: Path,
    *,
    jobs: int = 1,
    max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
    max_policy_fraction: float = MAX_POLICY_FRACTION,
    allow_missing_trials: bool = False,
) -> dict:
    """Write ``feats.scp``, ``utt2num_frames``, ``frame_shift`` (seconds) and ``feats.json``.

    ``feats.json`` describes the front end; the ledger goes to ``feats/``.

    Parameters
    ----------
    data : path
        Data directory with features by steps.make_feats.
    jobs : int
        Number of jobs that made them.
    max_unreadable_fraction : float
        Largest fraction of utterances that may be unreadable; one always may.
    max_policy_fraction : float
        Largest fraction of utterances that may be too short for a frame; one always may.
    allow_missing_trials : bool
        Drop utterances even if trials name them.

    Returns
    -------
    dict
        The ledger's counts, and frames.

    Raises
    ------
    UserError
        A job is missing, too much is dropped, or feats.scp was made elsewhere.
    """
    home = data / "feats"
    receipts = part_receipts(home, "make_feats", jobs)
    task = Task(
        home,
        "collect_feats",
        format=FORMAT,
        inputs={**data_dir_inputs(data, "utt2spk", "trials"), **receipts},
        options={
            "max_unreadable_fraction": max_unreadable_fraction,
            "max_policy_fraction": max_policy_fraction,
            "allow_missing_trials": allow_missing_trials,
        },
    )
    _refuse_foreign(data, task)
    if task.is_done():
        return task.counts
    from utils.data_dir import read_map, write_map
    from utils.data_dir.ledger import Ledger, utterances_in_trials

    parts = Parts(home, receipts)
    feats_scp = parts.table("scp")
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    ledger.read_parts(parts.files("dropped"), feats_scp, read_map(data / "utt2spk"))
    ledger.check_limits(max_unreadable_fraction, max_policy_fraction, home / "receipts")
    descriptions = [path.read_text(encoding="utf-8") for path in parts.files("json")]
    if len(set(descriptions)) > 1:
        raise UserError(
            f"{home}: the jobs made features of different kinds; "
            "remove the folder and run the jobs again"
        )
    write_map(data / "feats.scp", feats_scp)
    write_map(data / "utt2num_frames", parts.table("num_frames"))
    frame_shift_seconds = json.loads(descriptions[0])["frame_shift_seconds"]
    with atomic_write(data / "feats.json") as file:
        file.write(f"{descriptions[0]}\n")
    with atomic_write(data / "frame_shift") as file:
        file.write(f"{frame_shift_seconds:g}\n")
    print(f"{data}: {parts.total('frames'):,} frames; {ledger.summary}")
    written = [data / name for name in ("feats.scp", "utt2num_frames", "feats.json", "frame_shift")]
    return task.finish(
        [*written, *ledger.write(home), parts], {**ledger.counts, "frames": parts.total("frames")}
    )


def _refuse_foreign(data: Path, task: Task) -> None:
    """Raise UserError for a feats.scp that this step has not written: it would be overwritten."""
    lists = data / "feats.scp"
    if not lists.exists() or task.path.exists():
        return
    with open(lists, encoding="utf-8", newline="\n") as file:
        # without a receipt it can still be ours, if the run was killed before
        if f" {data / 'feats' / 'feats.'}" not in file.readline():
            raise UserError(
                f"{lists}: these features were made elsewhere; "
                "move the list away, or make features in a copy of the data directory"
            )


if __name__ == "__main__":
    run(collect_feats)
