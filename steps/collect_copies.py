"""Make a data directory of the augmented copies of an array of jobs, with or without originals.

python -m steps.collect_copies data/packed_16000/train data/packed_16000/train_copies --jobs 4
"""

import hashlib
import json
from pathlib import Path

from utils.cli import run
from utils.data_dir.formats import list_names
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION
from utils.packed.facts import COPIES, describe_cut, vad_when_packed
from utils.receipts import Task, data_dir_inputs, existing_receipt, read_receipt
from utils.receipts.job_parts import Parts, part_receipts

FORMAT = 1


def collect_copies(
    packed: Path,
    output: Path,
    *,
    jobs: int = 1,
    include_originals: bool = False,
    max_unreadable_fraction: float = MAX_UNREADABLE_FRACTION,
    max_policy_fraction: float = MAX_POLICY_FRACTION,
) -> dict:
    """Write the lists of the copies, the ledger, and ``augmentation.json`` (policy, seed and bank).

    ``utt2uniq`` names each copy's original, as in Kaldi, and ``utt2augmentation`` records what was
    done.  Other lists have for a copy what they have for its original; voice activity decisions
    only for copies of the same speed and direction.

    Parameters
    ----------
    packed : path
        Packed data directory that was copied.
    output : path
        Folder of the copies' archives, which becomes a data directory.
    jobs : int
        Number of jobs that wrote them.
    include_originals : bool
        Include the originals, in their archives, and their trials, as Kaldi's combine_data.sh does
        for clean and augmented data.
    max_unreadable_fraction : float
        Largest fraction of utterances that may be unreadable; one always may.
    max_policy_fraction : float
        Largest fraction of copies that may be dropped by policy, as silent; one always may.

    Returns
    -------
    dict
        The ledger's counts of copies, and of unchanged copies; hours of copies; total numbers of
        utterances and speakers.

    Raises
    ------
    UserError
        A job is missing, or too much is dropped.
    """
    receipts = part_receipts(output, "augment_copies", jobs)
    task = Task(
        output,
        "made",
        format=FORMAT,
        inputs={**data_dir_inputs(packed, *list_names(packed)), **receipts},
        options={
            "include_originals": include_originals,
            "max_unreadable_fraction": max_unreadable_fraction,
            "max_policy_fraction": max_policy_fraction,
        },
    )
    if task.is_done():
        return task.counts
    from utils.augmentation.copies import copied_lists
    from utils.data_dir import read_data_dir, write_data_dir
    from utils.data_dir.ledger import Ledger
    from utils.files import atomic_write

    parts = Parts(output, receipts)
    source = read_data_dir(packed, allow_pipes=True, needs_audio=True)
    ledger = Ledger(output)
    ledger.read_parts(parts.files("dropped"), parts.table("scp"), parts.table("utt2uniq"))
    ledger.check_limits(max_unreadable_fraction, max_policy_fraction, output / "receipts")
    names = ("scp", "num_samples", "utt2dur", "utt2uniq", "utt2spk", "utt2augmentation")
    tables = {name: parts.table(name) for name in names}
    lists = copied_lists(source, tables, parts.options["policy"], include_originals)
    write_data_dir(lists, output)
    facts = _copies_facts(packed, parts, next(iter(receipts.values())), include_originals)
    with atomic_write(output / COPIES) as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    seconds = sum(float(duration) for duration in tables["utt2dur"].values())
    counts = {
        **ledger.counts,
        "unchanged_copies": parts.total("unchanged_copies"),
        "utterances": len(lists.utt2spk),
        "speakers": len(lists.spk2utt),
        "hours_of_copies": round(seconds / 3600, 4),
    }
    print(
        f"{output}: {counts['utterances']:,} utterances; "
        f"{counts['hours_of_copies']} hours of copies: {ledger.summary}, "
        f"{counts['unchanged_copies']:,} equal to their originals"
    )
    written = [output / name for name in list_names(output)]
    return task.finish([*written, output / COPIES, *ledger.write(output), parts], counts)


def _copies_facts(packed: Path, parts: Parts, receipt: Path, include_originals: bool) -> dict:
    """The content of ``augmentation.json``; `receipt` is that of one of the jobs."""
    bank = existing_receipt(receipt)["inputs"].get("bank")
    bank_digest = None
    if bank:
        bank_digest = _bank_digest(Path(bank["path"]))
    facts = {
        "copies": parts.options["suffixes"],
        "include_originals": include_originals,
        "vad": vad_when_packed(packed),
        "bank": bank_digest,
    }
    for key in ("policy_name", "policy", "one_copy_per_transform", "seed"):
        facts[key] = parts.options[key]
    cut = describe_cut(packed)
    if cut:
        facts["cut"] = cut
    return facts


def _bank_digest(receipt: Path) -> str | None:
    """SHA-256 of a bank's archives, without its lists, which hold paths; None if it is gone.

    `receipt` is that of steps.augment.
    """
    contents = read_receipt(receipt)
    if contents is None:
        return None
    archives = {}
    for name, output in contents["outputs"].items():
        if name.endswith(".ark"):
            archives[name] = output["sha256"]
    if not archives:
        return None
    return hashlib.sha256(json.dumps(archives, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    run(collect_copies)
