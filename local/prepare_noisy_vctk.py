"""Make data directories of the noise in the noisy VCTK: noisy minus clean recordings.

    python -m local.prepare_noisy_vctk corpora/noisy_vctk data/td-prompted

The differences are written to the output, never into the corpus: ``noise`` for training, and
``noise_test`` with the types ``enrol`` and ``verify``, so that enrolment, verification and training
have different noises.
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
from local.vctk.tree import MAX_DEPTH, folders_below
from utils.audio import audio_info, read_audio
from utils.cli import run
from utils.errors import UnreadableAudio, UserError
from utils.receipts import Task

FORMAT = 1
AUDIO_SUFFIXES = (".wav", ".flac")
# Between clean_ and _wav in the names of the folders; DataShare 10283/1942, the first edition,
# calls the part of 28 speakers trainset.
PARTS = {"test": ["testset"], "train": ["trainset_28spk", "trainset_56spk", "trainset"]}
PARTS["all"] = PARTS["test"] + PARTS["train"]
READ_AHEAD = 64  # pairs: some 40 MB at a time
USES = ("train", "train", "train", "enrol", "verify")  # of every five noises in byte order


@dataclass(frozen=True)
class Pair:
    """One recording, clean and noisy; None where a file is missing."""

    clean: Path | None
    noisy: Path | None


class Differences:
    """Noisy minus clean by name, with the interface of `utils.audio.UtteranceReader`.

    ``pairs`` are in the order in which they will be read; some are read ahead, by threads.
    """

    def __init__(self, pairs: Mapping[str, Pair], threads: int = 1):
        self.pairs, self.names, self.threads = pairs, list(pairs), threads
        self.ahead: dict[str, tuple[np.ndarray, int] | UnreadableAudio] = {}

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """Samples at the recorded level, and their rate in Hz.

        UnreadableAudio: a file is missing or cannot be read, or lengths or rates differ.
        """
        if name not in self.ahead:
            first = self.names.index(name)
            block = self.names[first : first + READ_AHEAD]
            with ThreadPoolExecutor(self.threads) as pool:
                self.ahead = dict(zip(block, pool.map(self._read, block), strict=True))
        result = self.ahead.pop(name)
        if isinstance(result, UnreadableAudio):
            raise result
        return result

    def _read(self, name: str) -> tuple[np.ndarray, int] | UnreadableAudio:
        pair = self.pairs[name]
        if pair.noisy is None:
            return UnreadableAudio(str(pair.clean), "has no noisy counterpart")
        if pair.clean is None:
            return UnreadableAudio(str(pair.noisy), "has no clean counterpart")
        try:
            clean, clean_rate = read_audio(str(pair.clean))
            noisy, rate = read_audio(str(pair.noisy))
        except UnreadableAudio as fault:
            return fault
        if rate != clean_rate or len(noisy) != len(clean):
            return UnreadableAudio(
                str(pair.noisy),
                f"{len(noisy)} samples at {rate} Hz, the clean one has {len(clean)} at "
                f"{clean_rate}",
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
        Has clean_testset_wav/ and noisy_testset_wav/, or those of trainset_28spk, trainset_56spk or
        trainset, itself or in folders.
    output : path
        Gets the data directories ``noise`` and ``noise_test``, each with its noises in one archive,
        at the rate of the corpus.
    part : str
        Of the corpus: ``test``, ``train`` or ``all``; ``found``: test, as published for GE2E, or
        train if there is no test.
    jobs : int
        Threads that read.

    Returns
    -------
    dict
        Data directory -> the ledger's counts.

    Raises
    ------
    UserError
        This is not the corpus, a part of it is missing, or too many pairs do not match or cannot be
        read.
    """
    pairs, sizes = _find_pairs(noisy_vctk, part)
    options = {
        "corpus": path_from_checkout(noisy_vctk),
        "files": hashlib.sha256("\n".join(sizes).encode()).hexdigest(),
        "part": part,
    }
    explain = {"files": partial(changed_listing, noisy_vctk, [])}
    uses: dict[str, dict[str, str]] = {"noise": {}, "noise_test": {}}
    for number, name in enumerate(pairs):
        use = USES[number % len(USES)]
        if use == "train":
            uses["noise"][name] = use
        else:
            uses["noise_test"][name] = use
    make = partial(Task, format=FORMAT, inputs={}, options=options, explain=explain)
    counts = {}
    for home, use_by_name in uses.items():
        task = make(output / home, "made")
        if not task.is_done():
            _write_noises(task, {name: pairs[name] for name in use_by_name}, use_by_name, jobs)
        counts[home] = task.counts
    return counts


def _find_pairs(given: Path, part: str) -> tuple[dict[str, Pair], list[str]]:
    """Pairs of clean and noisy files by name, in byte order, and "<path> <bytes>" of each file."""
    if not given.is_dir():
        raise UserError(
            f"{given}: no such folder, expected the one that holds clean_testset_wav/ and "
            "noisy_testset_wav/; correct --noisy-vctk"
        )
    folders: dict[str, list[Path]] = {}
    # Some archives have a folder in a folder of the same name.
    for folder in folders_below(given, MAX_DEPTH):
        folders.setdefault(folder.name, []).append(folder)
    stems = PARTS["all"]
    if part == "found":
        has_test = "clean_testset_wav" in folders or "noisy_testset_wav" in folders
        part = "train"
        if has_test:
            part = "test"
    else:
        stems = PARTS[part]
    pairs: dict[str, Pair] = {}
    sizes: list[str] = []
    for stem in PARTS[part]:
        clean = _list_files(folders.get(f"clean_{stem}_wav", []))
        noisy = _list_files(folders.get(f"noisy_{stem}_wav", []))
        if bool(clean) != bool(noisy):
            full, empty = "noisy", "clean"
            if clean:
                full, empty = "clean", "noisy"
            raise UserError(
                f"{given}: {full}_{stem}_wav/ has files and its counterpart {empty}_{stem}_wav/ "
                "has none, expected both; extract it too"
            )
        for name in sorted(clean.keys() | noisy.keys()):
            pairs[f"{stem}-{name}"] = Pair(clean.get(name), noisy.get(name))
        for side in (clean, noisy):
            for _, file in sorted(side.items()):
                sizes.append(f"{file.parent.name}/{file.name} {file.stat().st_size}")
    if len(pairs) < len(USES):
        _refuse_few_pairs(given, len(pairs), stems, list(folders))
    return dict(sorted(pairs.items())), sizes


def _list_files(folders: list[Path]) -> dict[str, Path]:
    """Audio files of some folders, by stem."""
    files = {}
    for folder in folders:
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith("."):
                files[file.stem] = file
    return files


def _refuse_few_pairs(given: Path, num_pairs: int, stems: list[str], names: list[str]) -> None:
    wanted = " or ".join(f"clean_{stem}_wav/ with noisy_{stem}_wav/" for stem in stems)
    content = ", ".join(f"{name}/" for name in sorted(names)[:3]) or "no folders"
    if re.fullmatch("(clean|noisy)_.*_wav", given.name):
        content += f" and is {given.name}/ itself: give the folder above it"
    raise UserError(
        f"{given}: {num_pairs} pairs of recordings, expected {len(USES)} or more in {wanted}; it "
        f"holds {content}; correct --noisy-vctk"
    )


def _write_noises(
    task: Task, pairs: Mapping[str, Pair], use_by_name: Mapping[str, str], jobs: int
) -> None:
    """Write one data directory and its archive."""
    from utils.archive import read_scp
    from utils.data_dir import DataDir, write_data_dir
    from utils.data_dir.ledger import Ledger
    from utils.packed.packer import Packer

    rate_hz = _find_rate(pairs)
    packer = Packer(Differences(pairs, jobs), Ledger(task.home), rate_hz)
    written = packer.write(task.home / "noises", sorted(pairs))
    packer.ledger.check_limits(has_options=False)
    wav_scp = dict(read_scp(task.home / "noises.scp"))
    utt2spk, utt2type, utt2dur = {}, {}, {}
    for name, num_samples in packer.num_samples.items():
        utt2spk[name] = name
        utt2type[name] = use_by_name[name]
        utt2dur[name] = f"{num_samples / rate_hz:.4f}"
    maps = {"utt2type": utt2type, "utt2dur": utt2dur}
    data = DataDir(task.home, wav_scp, utt2spk, None, maps)
    write_data_dir(data, task.home)
    written += [task.home / name for name in [*data.keyed, "spk2utt"]]
    written += packer.ledger.write(task.home)
    counts = task.finish(written, packer.counts)
    print(f"{task.home}: {counts['went_on']} of {counts['came_in']} noises at {rate_hz} Hz")


def _find_rate(pairs: Mapping[str, Pair]) -> int:
    """Sample rate of the first clean recording that can be read."""
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
