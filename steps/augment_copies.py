"""Augment copies of packed audio, one part of the job array at a time: for back ends, which train on embeddings, and for other programs.

    python -m steps.augment_copies data/packed_16000/train data/packed_16000/bank conf/augmentation/kaldi_voxceleb_copies.yaml \\
        data/packed_16000/train_copies --one-copy-per-transform true --job 1/4

The folder is a data directory when steps.collect_copies has merged the parts.  Networks need no copies: steps.train augments every crop anew.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from utils.augmentation.augmenter import UNCHANGED, Augmenter, resolved_augmentation
from utils.cli import run
from utils.config import make, read_yaml
from utils.embeddings.planned import rate_of_packed
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

    A copy is called ``<utterance>-<suffix><number>``; one that is played at another speed as another speaker, ``sp0.9-<utterance>-<suffix><number>``,
    as Kaldi calls it.

    Parameters
    ----------
    packed : path
        Packed data directory (steps.collect_packed).
    bank : path
        Noise and room bank (steps.augment); not looked at where the policy takes nothing from it.
    policy : path
        YAML with what a training YAML has in its section ``augmentation``, such as conf/augmentation/kaldi_voxceleb_copies.yaml.
    output : path
        Folder of the archives: writes ``packed.J.{ark,scp,num_samples,dropped}`` and the copies' lists.
    copies : int
        How many of each utterance.
    suffix : str
        How they are called.
    one_copy_per_transform : bool
        As many copies with each of the transforms of the policy's ``one_of``, called as in Kaldi: ``-reverb``, ``-noise``, ``-music``, ``-babble``.
    seed : int
        Of every draw, 0 or more.
    allow_trials : bool
        Leave to copy a set that has trials, which name originals only.
    job : str
        ``3/8``: the third of eight parts.

    Returns
    -------
    dict
        The ledger's counts, samples written, copies that had to be clipped, and those to which nothing happened.

    Raises
    ------
    UserError
        The policy or an option makes no sense, the bank has not what the policy wants, or the set has trials.
    """
    section, policies = read_policies(policy, copies, suffix, one_copy_per_transform)
    if seed < 0:
        raise UserError(f"--seed is {seed}, expected 0 or more")
    if (packed / "trials").exists() and not allow_trials:
        raise UserError(
            f"{packed}/trials: its audio is for tests, and trials name no copies; give --allow-trials to copy it nevertheless"
        )
    inputs = data_dir_inputs(packed, "wav.scp", "utt2spk", "utt2num_samples")
    augmentation = make(Augmenter, section, str(policy))
    if augmentation.uses_bank:
        inputs["bank"] = bank / "receipts" / "augment.json"
    # where it runs changes nothing
    resolved = {
        key: value for key, value in resolved_augmentation(section).items() if key != "device"
    }
    options = {
        "policy": resolved,
        "policy_name": policy.stem,
        "suffixes": [end for end, _ in policies],
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
        dear=True,
        expected_bytes=lambda: forecast_bytes(packed, len(policies), job),
    )
    rate = rate_of_packed(packed)
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
    maps = lists_of_copies(maker, packer, utt2spk)
    for name, mapping in maps.items():
        write_map(Path(f"{stem}.{name}"), mapping)
    unchanged = sum(maker.records[name] == UNCHANGED for name in packer.num_samples)
    return task.finish(
        [*outputs, *(f"{stem}.{name}" for name in maps)],
        {**packer.counts, "unchanged_copies": unchanged},
    )


def lists_of_copies(
    maker: "CopyMaker", packer: "Packer", utt2spk: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The lists of copies by their names: of all that were planned, ``utt2dur`` of those packed.

    Parameters
    ----------
    maker : CopyMaker
        Has made the copies.
    packer : Packer
        Has packed them.
    utt2spk : mapping of str to str
        Original -> speaker.
    """
    planned = maker.planned
    return {
        "utt2dur": {
            name: f"{number / packer.sample_rate_hz:.4f}"
            for name, number in packer.num_samples.items()
        },
        "utt2uniq": {name: copy.original for name, copy in planned.items()},
        "utt2spk": {
            name: f"{copy.prefix}{utt2spk[copy.original]}" for name, copy in planned.items()
        },
        "utt2augmentation": maker.records,
    }


def read_policies(
    policy: Path, copies: int, suffix: str, one_copy_per_transform: bool
) -> tuple[dict, list[tuple[str, dict]]]:
    """A policy as it is written, and the suffix and policy of each copy.

    Parameters
    ----------
    policy, copies, suffix, one_copy_per_transform
        As of `augment_copies`.

    Raises
    ------
    UserError
        As of `augment_copies`.
    """
    from utils.augmentation.copies import policies_of_copies

    section = read_yaml(policy)
    make(Augmenter, section, str(policy))
    try:
        return section, policies_of_copies(section, copies, suffix, one_copy_per_transform)
    except ValueError as error:
        raise UserError(f"{policy}: {error}") from None


def forecast_bytes(packed: Path, copies: int, job: str) -> int | None:
    """Size of a job's archive before it is written; None where the packed audio is not there yet.

    Parameters
    ----------
    packed : path
        Packed data directory.
    copies : int
        Of each utterance.
    job : str
        Which part of the utterances.
    """
    from utils.data_dir import job_utterances, read_map

    if not (packed / "utt2num_samples").exists():
        return None
    num_samples = read_map(packed / "utt2num_samples")
    return (
        2
        * copies
        * sum(int(num_samples[utterance]) for utterance in job_utterances(num_samples, job))
    )


if __name__ == "__main__":
    run(augment_copies)
