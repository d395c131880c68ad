"""Make a data directory of the archives that an array of jobs packed; check what is dropped.

python -m steps.collect_packed data/full/train data/full/packed_16000/train --jobs 4
"""

from pathlib import Path
from typing import TYPE_CHECKING

from utils.cli import run
from utils.data_dir.formats import list_names
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION
from utils.receipts import Task, data_dir_inputs
from utils.receipts.job_parts import Parts, part_receipts

if TYPE_CHECKING:
    from utils.data_dir.ledger import Ledger

FORMAT = 1


def collect_packed(
    data: Path,
    packed: Path,
    *,
    jobs: int = 1,
    max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
    max_policy_fraction: float = MAX_POLICY_FRACTION,
    allow_missing_trials: bool = False,
) -> dict:
    """Write the lists of the packed data directory and the ledger of stage 2.

    ``wav.scp`` with offsets, ``utt2dur``, ``utt2num_samples``, and every list of the source that
    is still valid, without the dropped utterances; segments have become utterances.  If utterances
    were split, each piece is an utterance with the lists of its original (except ``text``), which
    ``utt2original`` names.  ``dropped`` and ``ledger.json`` have the dropped utterances and the
    reasons, ``lost_trials`` the trials that are lost.

    Parameters
    ----------
    data : path
        Data directory that was packed.
    packed : path
        Folder of the archives, which becomes a data directory.
    jobs : int
        Number of jobs that packed it.
    max_unreadable_fraction : float
        Largest fraction of utterances that may be unreadable; one always may.
    max_policy_fraction : float
        Largest fraction of utterances that may be dropped by policy; one always may.
    allow_missing_trials : bool
        Drop utterances even if trials name them.

    Returns
    -------
    dict
        The ledger's counts, packed hours, and clipped utterances.

    Raises
    ------
    UserError
        A job is missing, or too much is dropped.
    """
    receipts = part_receipts(packed, "pack_audio", jobs)
    task = Task(
        packed,
        "made",
        format=FORMAT,
        inputs={**data_dir_inputs(data, *list_names(data)), **receipts},
        options={
            "max_unreadable_fraction": max_unreadable_fraction,
            "max_policy_fraction": max_policy_fraction,
            "allow_missing_trials": allow_missing_trials,
        },
    )
    if task.is_done():
        return task.counts
    from utils.data_dir import read_data_dir, subset_data_dir, write_data_dir
    from utils.data_dir.ledger import (
        FOUND,
        PIECE_OUTCOMES,
        Ledger,
        count_lost_trials,
        utterances_in_trials,
    )
    from utils.data_dir.trial_list import lines_left_out
    from utils.files import atomic_write
    from utils.packed.packer import packed_lists

    parts = Parts(packed, receipts)
    source = read_data_dir(data, allow_pipes=True, needs_audio=True)
    wav_scp = parts.table("scp")
    num_samples = {key: int(number) for key, number in parts.table("num_samples").items()}
    ledger = Ledger(data, utterances_in_trials(data), allow_missing_trials)
    ledger.pieces.update({fate: parts.total(f"pieces:{fate}") for fate in PIECE_OUTCOMES})
    original, packed_utterances = None, list(wav_scp)
    if parts.options["split"]:
        original = parts.table("utt2original")
        packed_utterances = sorted(set(original.values()))
    ledger.read_parts(parts.files("dropped"), packed_utterances, source.utt2spk)
    ledger.check_limits(max_unreadable_fraction, max_policy_fraction, packed / "receipts")
    ledger.found.update(parts.totals(FOUND))
    kept = subset_data_dir(source, utterances=ledger.kept)
    lost_trials = sorted(lines_left_out(source.trials or [], kept.trials or []))
    ledger.lost_trials = len(lost_trials) + count_lost_trials(data)
    rate = parts.options["sample_rate_hz"]
    is_trimmed = bool(parts.options["trim"] or parts.options.get("last_seconds"))
    lists = packed_lists(kept, wav_scp, num_samples, rate, trimmed=is_trimmed, original=original)
    write_data_dir(lists, packed)
    with atomic_write(packed / "lost_trials") as file:
        file.writelines(f"{trial}\n" for trial in lost_trials)
    counts = {
        **ledger.counts,
        "hours": round(sum(num_samples.values()) / rate / 3600, 4),
        "clipped_utterances": parts.total("clipped_utterances"),
    }
    print(f"{packed}: {counts['hours']} hours packed; {ledger.summary}")
    print("".join(f"{line}\n" for line in _upsampled_lines(ledger)), end="")
    written = [packed / name for name in list_names(packed)]
    return task.finish([*written, packed / "lost_trials", *ledger.write(packed), parts], counts)


def _upsampled_lines(ledger: "Ledger") -> list[str]:
    """Which frequencies upsampled audio lacks; stage 1 has printed the channels."""
    lines = []
    for line in ledger.observation_lines():
        before, is_upsampled, rates = line.partition("upsampled from ")
        if is_upsampled:
            half_hz = int(rates.split()[0]) / 2
            lines.append(f"{before}{is_upsampled}{rates}: nothing above {half_hz:g} Hz is in them")
    return lines


if __name__ == "__main__":
    run(collect_packed)
