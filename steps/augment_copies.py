"""Write augmented copies of packed audio, for back ends and other programs: one job of the array.

    python -m steps.augment_copies data/packed_16000/train data/packed_16000/bank \\
        conf/augmentation/kaldi_voxceleb_copies.yaml data/packed_16000/train_copies \\
        --one-copy-per-transform true --job 1/4

steps.collect_copies makes a data directory of the parts.  Networks need no copies, since
steps.train augments every crop.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from utils.augmentation.augmenter import UNCHANGED, Augmenter, resolved_augmentation
from utils.cli import run
from utils.config import make, read_yaml
from utils.embeddings.planned import planned_rate_hz
from utils.errors import UserError
from utils.receipts import DONE, MODE, Task, data_dir_inputs
from utils.training.planned import refuse_planned_bank

if TYPE_CHECKING:
    from utils.augmentation.copies import CopyMaker
    from utils.packed.packer import Packer

FORMAT = 1


def augment_copies(
    packed: Path,
    bank: Path,
    policy: Path,
    output: Path,
    *,
    copies: int = 1,
    suffix: str = "aug",
    one_copy_per_transform: bool = False,
    seed: int = 1,
    allow_trials: bool = False,
    job: str = "1/1",
) -> dict:
    """Write augmented copies of one job's utterances as 16-bit waves.

    A copy is called ``<utterance>-<suffix><number>``, and, if another speed makes it another
    speaker, ``sp0.9-<utterance>-<suffix><number>`` as in Kaldi.

    Parameters
    ----------
    packed : path
        Packed data directory (steps.collect_packed).
    bank : path
        Noise bank (steps.augment); not read if the policy does not use it.
    policy : path
        YAML with the content of a section ``augmentation``, such as
        conf/augmentation/kaldi_voxceleb_copies.yaml.
    output : path
        Folder of the archives: writes ``packed.J.{ark,scp,num_samples,dropped}`` and the lists of
        the copies.
    copies : int
        Number of copies of each utterance.
    suffix : str
        Suffix of their names.
    one_copy_per_transform : bool
        Make ``copies`` copies with each transform of the policy's ``one_of``, with the suffixes of
        Kaldi: ``-reverb``, ``-noise``, ``-music``, ``-babble``.
    seed : int
        Seed of every draw, 0 or more.
    allow_trials : bool
        Also copy a set with trials, although these name originals only.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, samples written, and numbers of clipped and of unchanged copies.

    Raises
    ------
    UserError
        The policy or an option is impossible, the bank lacks what the policy needs, or the set has
        trials.
    """
    section, policies = _read_policies(policy, copies, suffix, one_copy_per_transform)
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    if (packed / "trials").exists() and not allow_trials:
        raise UserError(
            f"{packed}/trials: its audio is for tests, and trials name no copies; "
            "give --allow-trials to copy it nevertheless"
        )
    inputs = data_dir_inputs(packed, "wav.scp", "utt2spk", "utt2num_samples")
    augmentation = make(Augmenter, section, str(policy))
    if augmentation.uses_bank:
        inputs["bank"] = bank / "receipts" / "augment.json"
    resolved = resolved_augmentation(section)
    del resolved["device"]  # it does not change the result
    options = {
        "policy": resolved,
        "policy_name": policy.stem,
        "suffixes": [name_end for name_end, _ in policies],
        "one_copy_per_transform": one_copy_per_transform,
        "seed": seed,
    }
    task = Task(
        output,
        "augment_copies",
        job=job,
        format=FORMAT,
        inputs=inputs,
        options=options,
        expensive=True,
        expected_bytes=partial(forecast_bytes, packed, len(policies), job),
    )
    rate = planned_rate_hz(packed)
    if MODE.checking and rate and task.status().state != DONE:
        refuse_planned_bank(augmentation, bank, rate, str(policy))
    if task.is_done():
        return task.counts
    from utils.augmentation.copies import CopyMaker
    from utils.data_dir import job_utterances, read_map, write_map
    from utils.data_dir.ledger import Ledger
    from utils.packed.packer import Packer
    from utils.packed.reader import PackedReader

    wav_scp, utt2spk = read_map(packed / "wav.scp"), read_map(packed / "utt2spk")
    reader = PackedReader(wav_scp, read_map(packed / "utt2num_samples"))
    maker = CopyMaker(policies, str(policy), wav_scp, reader, bank, seed)
    planned = maker.plan(job_utterances(utt2spk, job))
    packer = Packer(maker, Ledger(packed), reader.sample_rate_hz)
    stem = output / f"packed.{job.partition('/')[0]}"
    outputs = packer.write(stem, sorted(planned))
    maps = _lists_of_copies(maker, packer, utt2spk)
    for name, mapping in maps.items():
        write_map(Path(f"{stem}.{name}"), mapping)
    unchanged = sum(maker.records[name] == UNCHANGED for name in packer.num_samples)
    return task.finish(
        [*outputs, *(f"{stem}.{name}" for name in maps)],
        {**packer.counts, "unchanged_copies": unchanged},
    )


def _lists_of_copies(
    maker: "CopyMaker", packer: "Packer", utt2spk: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Lists of the planned copies, and ``utt2dur`` of the packed ones."""
    utt2dur, utt2uniq, copies_utt2spk = {}, {}, {}
    for name, num_samples in packer.num_samples.items():
        utt2dur[name] = f"{num_samples / packer.sample_rate_hz:.4f}"
    for name, copy in maker.planned.items():
        utt2uniq[name] = copy.original
        copies_utt2spk[name] = f"{copy.prefix}{utt2spk[copy.original]}"
    return {
        "utt2dur": utt2dur,
        "utt2uniq": utt2uniq,
        "utt2spk": copies_utt2spk,
        "utt2augmentation": maker.records,
    }


def _read_policies(
    policy: Path, copies: int, suffix: str, one_copy_per_transform: bool
) -> tuple[dict, list[tuple[str, dict]]]:
    """The policy in the YAML, and the suffix and policy of each copy."""
    from utils.augmentation.copies import copy_policies

    section = read_yaml(policy)
    make(Augmenter, section, str(policy))
    try:
        return section, copy_policies(section, copies, suffix, one_copy_per_transform)
    except ValueError as error:
        raise UserError(f"{policy}: {error}") from None


def forecast_bytes(packed: Path, copies: int, job: str) -> int | None:
    """Size of a job's archive before it is written; None: the packed audio is not there yet."""
    from utils.data_dir import job_utterances, read_map

    if not (packed / "utt2num_samples").exists():
        return None
    num_samples = read_map(packed / "utt2num_samples")
    total = sum(int(num_samples[utterance]) for utterance in job_utterances(num_samples, job))
    return 2 * copies * total


if __name__ == "__main__":
    run(augment_copies)
