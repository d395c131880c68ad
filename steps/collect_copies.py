"""Make a data directory of the augmented copies that an array of jobs has written, with or without their originals.

python -m steps.collect_copies data/packed_16000/train data/packed_16000/train_copies --include-originals true --jobs 4
"""

import hashlib
import json
from pathlib import Path

from utils.cli import run
from utils.data_dir.formats import lists_of
from utils.data_dir.ledger import MAX_POLICY_FRACTION, MAX_UNREADABLE_FRACTION
from utils.packed.facts import COPIES, cut_of, vad_of
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
    """Write the lists of the copies, the ledger, and ``augmentation.json``: policy, seed, and which bank.

    ``utt2uniq`` names each copy's original, as in Kaldi, and ``utt2augmentation`` what happened to it.  Lists of utterances and of speakers say of a
    copy what they say of its original.  Voice activity decisions hold for copies of the same speed and direction, and are theirs too.

    Parameters
    ----------
    packed : path
        Packed data directory that was copied.
    output : path
        Folder of the copies' archives, which becomes a data directory.
    jobs : int
        How many jobs wrote them.
    include_originals : bool
        The originals too, where they lie, with their trials: what Kaldi's combine_data.sh makes of clean and augmented data.
    max_unreadable_fraction : float
        More unreadable utterances than this (and than one) are an error.
    max_policy_fraction : float
        More copies that were dropped by policy, since nothing can be heard, than this (and than one) are an error.

    Returns
    -------
    dict
        The ledger's counts of copies, and of copies to which nothing happened; hours of copies; utterances and speakers in all.

    Raises
    ------
    UserError
        A job is missing, or too much is lost.
    """
    receipts = part_receipts(output, "augment_copies", jobs)
    task = Task(
        output,
        "made",
        format=FORMAT,
        inputs={**data_dir_inputs(packed, *lists_of(packed)), **receipts},
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

    parts, source = (
        Parts(output, receipts),
        read_data_dir(packed, allow_pipes=True, needs_audio=True),
    )
    ledger = Ledger(output)
    ledger.read_parts(parts.files("dropped"), parts.table("scp"), parts.table("utt2uniq"))
    ledger.check_limits(max_unreadable_fraction, max_policy_fraction, output / "receipts")
    tables = {
        name: parts.table(name)
        for name in ("scp", "num_samples", "utt2dur", "utt2uniq", "utt2spk", "utt2augmentation")
    }
    lists = copied_lists(source, tables, parts.options["policy"], include_originals)
    write_data_dir(lists, output)
    with atomic_write(output / COPIES) as file:
        json.dump(
            facts_of_copies(packed, parts, next(iter(receipts.values())), include_originals),
            file,
            indent=1,
        )
        file.write("\n")
    counts = {
        **ledger.counts,
        "unchanged_copies": parts.total("unchanged_copies"),
        "utterances": len(lists.utt2spk),
        "speakers": len(lists.spk2utt),
        "hours_of_copies": round(sum(map(float, tables["utt2dur"].values())) / 3600, 4),
    }
    print(
        f"{output}: {counts['utterances']:,} utterances; {counts['hours_of_copies']} hours of copies: {ledger.summary}, "
        f"{counts['unchanged_copies']:,} as their originals"
    )
    written = [output / name for name in lists_of(output)]
    return task.finish([*written, output / COPIES, *ledger.write(output), parts], counts)


def facts_of_copies(packed: Path, parts: Parts, receipt: Path, include_originals: bool) -> dict:
    """The content of ``augmentation.json``.

    Parameters
    ----------
    packed : path
        Packed data directory that was copied.
    parts : Parts
        What the jobs wrote.
    receipt : path
        Of one of them.
    include_originals : bool
        Whether the originals came too.

    Returns
    -------
    dict
        ``copies`` (their suffixes), ``policy_name``, the resolved ``policy``, ``seed``, a digest of the ``bank``'s sound, ``include_originals``, what
        ``vad`` did to the originals and, where they were, how they were ``cut``.
    """
    facts = {
        key: parts.options[key]
        for key in ("policy_name", "policy", "one_copy_per_transform", "seed")
    }
    bank = existing_receipt(receipt)["inputs"].get("bank")
    bank_sound = bank and sound_digest(Path(bank["path"]))
    return {
        "copies": parts.options["suffixes"],
        "include_originals": include_originals,
        "vad": vad_of(packed),
        "bank": bank_sound,
        **facts,
        **({"cut": cut} if (cut := cut_of(packed)) else {}),
    }


def sound_digest(receipt: Path) -> str | None:
    """What a bank sounds like, in 64 digits: of its archives, not of its lists, which say where it lies; None where it is gone.

    Parameters
    ----------
    receipt : path
        Of steps.augment.
    """
    outputs = (read_receipt(receipt) or {"outputs": {}})["outputs"]
    archives = {name: facts["sha256"] for name, facts in outputs.items() if name.endswith(".ark")}
    return (
        hashlib.sha256(json.dumps(archives, sort_keys=True).encode()).hexdigest()
        if archives
        else None
    )


if __name__ == "__main__":
    run(collect_copies)
