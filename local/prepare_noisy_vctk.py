"""Make data directories of the noise in the noisy VCTK: what its noisy recordings have beyond the clean ones.

    python -m local.prepare_noisy_vctk corpora/noisy_vctk data/td-prompted

The differences are written here, never into the corpus: ``noise`` to train with, and ``noise_test`` with the types ``enrol`` and ``verify``, so that
what is enrolled, what is verified and what is trained on have different noises.
"""

import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from local.corpus import changed_listing, path_from_checkout
from local.vctk.tree import DEEPEST, folders_below
from utils.audio import audio_info, read_audio
from utils.cli import run
from utils.errors import UnreadableAudio, UserError
from utils.receipts import Task

FORMAT = 1
AUDIO_SUFFIXES = (".wav", ".flac")
# What stands between clean_ and _wav in the published set's folders; DataShare 10283/1942, its first edition, calls the 28 speakers' part trainset.
PARTS = {"test": ["testset"], "train": ["trainset_28spk", "trainset_56spk", "trainset"]}
READ_AHEAD = 64  # pairs: some 40 MB at a time
USES = ("train", "train", "train", "enrol", "verify")  # of every five noises in byte order


@dataclass(frozen=True)
class Pair:
    """One recording, clean and noisy.

    Parameters
    ----------
    clean, noisy : path or None
        The files; None where one is missing.
    """

    clean: Path | None
    noisy: Path | None


class Differences:
    """Noisy minus clean by name; it has the interface of `utils.audio.UtteranceReader`.

    Parameters
    ----------
    pairs : mapping of str to Pair
        By name, in the order in which they will be read: some are read ahead.
    threads : int
        That read.
    """

    def __init__(self, pairs: Mapping[str, Pair], threads: int = 1):
        self.pairs, self.names, self.threads = pairs, list(pairs), threads
        self.ahead: dict[str, tuple[np.ndarray, int] | UnreadableAudio] = {}

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """Samples, as loud as they were recorded, and their rate.

        Parameters
        ----------
        name : str
            Of a pair.

        Raises
        ------
        UnreadableAudio
            A file is missing or cannot be read, or the two do not match in length or rate.
        """
        if name not in self.ahead:
            first = self.names.index(name)
            block = self.names[first : first + READ_AHEAD]
            with ThreadPoolExecutor(self.threads) as pool:
                self.ahead = dict(zip(block, pool.map(self._read, block), strict=True))
        found = self.ahead.pop(name)
        if isinstance(found, UnreadableAudio):
            raise found
        return found

    def _read(self, name):
        pair = self.pairs[name]
        if not (pair.clean and pair.noisy):
            return UnreadableAudio(
                str(pair.clean or pair.noisy),
                f"has no {'noisy' if pair.clean else 'clean'} counterpart",
            )
        try:
            (clean, clean_rate), (noisy, rate) = (
                read_audio(str(pair.clean)),
                read_audio(str(pair.noisy)),
            )
        except UnreadableAudio as fault:
            return fault
        if rate != clean_rate or len(noisy) != len(clean):
            return UnreadableAudio(
                str(pair.noisy),
                f"{len(noisy)} samples at {rate} Hz, the clean one has {len(clean)} at {clean_rate}",
            )
        return noisy - clean, rate


def prepare_noisy_vctk(
    noisy_vctk: Path,
    output: Path,
    *,
    part: Literal["found", "test", "train", "all"] = "found",
    jobs: int = 2,
) -> dict:
    """Subtract the clean recordings from the noisy ones.

    Parameters
    ----------
    noisy_vctk : path
        Holds clean_testset_wav/ and noisy_testset_wav/, or those of trainset_28spk, trainset_56spk or trainset, itself or in folders.
    output : path
        Gets the data directories ``noise`` and ``noise_test``, each with its noises in one archive, at the rate of the corpus.
    part : str
        Of the corpus: ``test``, ``train`` or ``all``; ``found``: test, as the GE2E seed, or train where that is not there.
    jobs : int
        Threads that read.

    Returns
    -------
    dict
        Data directory -> the ledger's counts.

    Raises
    ------
    UserError
        This is not the corpus, a part of it is missing, or too many pairs do not match or cannot be read.
    """
    pairs, sizes = _find_pairs(noisy_vctk, part)
    options = {
        "corpus": path_from_checkout(noisy_vctk),
        "files": hashlib.sha256("\n".join(sizes).encode()).hexdigest(),
        "part": part,
    }
    explain = {"files": partial(changed_listing, noisy_vctk, [])}
    use_of = {name: USES[number % len(USES)] for number, name in enumerate(pairs)}
    tasks = {
        name: Task(
            output / name, "made", format=FORMAT, inputs={}, options=options, explain=explain
        )
        for name in ("noise", "noise_test")
    }
    for home, task in tasks.items():
        if not task.is_done():
            wanted = {
                name: use for name, use in use_of.items() if (use == "train") == (home == "noise")
            }
            _write_noises(task, {name: pairs[name] for name in wanted}, wanted, jobs)
    return {name: task.counts for name, task in tasks.items()}


def _find_pairs(given: Path, part: str) -> tuple[dict[str, Pair], list[str]]:
    """Pairs of clean and noisy files by name, in byte order, and ``<path> <bytes>`` of each file."""
    if not given.is_dir():
        raise UserError(
            f"{given}: no such folder; --noisy-vctk names the one that holds clean_testset_wav/ and noisy_testset_wav/"
        )
    folders: dict[str, list[Path]] = {}
    for folder in folders_below(
        given, DEEPEST
    ):  # some archives hold a folder in a folder of the same name
        folders.setdefault(folder.name, []).append(folder)
    pairs: dict[str, Pair] = {}
    sizes: list[str] = []
    looked_for = "all" if part == "found" else part
    if part == "found":
        part = (
            "test"
            if {f"{side}_{stem}_wav" for side in ("clean", "noisy") for stem in PARTS["test"]}
            & folders.keys()
            else "train"
        )
    for stem in [stem for name, stems in PARTS.items() if part in (name, "all") for stem in stems]:
        sides = [
            {
                file.stem: file
                for folder in folders.get(f"{side}_{stem}_wav", [])
                for file in sorted(folder.iterdir())
                if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith(".")
            }
            for side in ("clean", "noisy")
        ]
        if any(sides) and not all(sides):
            raise UserError(
                f"{given}: {'clean' if sides[0] else 'noisy'}_{stem}_wav/ has files and its counterpart "
                f"{'noisy' if sides[0] else 'clean'}_{stem}_wav/ has none, expected both; extract it too"
            )
        names = sorted(sides[0].keys() | sides[1].keys())
        pairs |= {f"{stem}-{name}": Pair(sides[0].get(name), sides[1].get(name)) for name in names}
        sizes += [
            f"{file.parent.name}/{file.name} {file.stat().st_size}"
            for side in sides
            for _, file in sorted(side.items())
        ]
    if len(pairs) < len(USES):
        wanted = " or ".join(
            f"clean_{stem}_wav/ with noisy_{stem}_wav/"
            for name, stems in PARTS.items()
            if looked_for in (name, "all")
            for stem in stems
        )
        there = ", ".join(sorted(name + "/" for name in folders)[:3]) or "no folders"
        there += (
            f" and is {given.name}/ itself: give the folder above it"
            if re.fullmatch("(clean|noisy)_.*_wav", given.name)
            else ""
        )
        raise UserError(
            f"{given}: {len(pairs)} pairs of recordings, expected {len(USES)} or more in {wanted}; it holds {there}; "
            "correct --noisy-vctk"
        )
    return dict(sorted(pairs.items())), sizes


def _write_noises(
    task: Task, pairs: Mapping[str, Pair], use_of: Mapping[str, str], jobs: int
) -> None:
    """Write one data directory and its archive."""
    from utils.archive import read_scp
    from utils.data_dir import DataDir, write_data_dir
    from utils.data_dir.ledger import Ledger
    from utils.packed.packer import Packer

    rate = _rate_of(pairs)
    packer = Packer(Differences(pairs, jobs), Ledger(task.home), rate)
    written = packer.write(task.home / "noises", sorted(pairs))
    packer.ledger.check_limits(has_options=False)
    kept = packer.num_samples
    maps = {
        "utt2type": {name: use_of[name] for name in kept},
        "utt2dur": {name: f"{number / rate:.4f}" for name, number in kept.items()},
    }
    data = DataDir(
        task.home,
        dict(read_scp(task.home / "noises.scp")),
        {name: name for name in kept},
        None,
        maps,
    )
    write_data_dir(data, task.home)
    lists = [task.home / name for name in [*data.keyed, "spk2utt"]]
    counts = task.finish([*written, *lists, *packer.ledger.write(task.home)], packer.counts)
    print(f"{task.home}: {counts['went_on']} of {counts['came_in']} noises at {rate} Hz")


def _rate_of(pairs: Mapping[str, Pair]) -> int:
    """Samples per second of the first clean recording that can be read."""
    fault = "there are none"
    for pair in pairs.values():
        try:
            if pair.clean:
                return audio_info(str(pair.clean))[1]
        except UnreadableAudio as error:
            fault = str(error)
    raise UserError(
        f"none of {len(pairs)} clean recordings can be read ({fault}); extract the noisy VCTK again"
    )


if __name__ == "__main__":
    run(prepare_noisy_vctk)
