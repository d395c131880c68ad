"""Augmented copies of packed utterances: their names, their audio and their lists.

Everything about a copy is a pure function of (seed, number of the copy, utterance).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from utils.augmentation.augmenter import UNCHANGED, Augmenter
from utils.augmentation.signal import change_speed, limit_peak
from utils.config import make
from utils.data_dir import DataDir
from utils.data_dir.derive import combine_data_dirs
from utils.data_dir.rules import key_kind
from utils.errors import UserError
from utils.packed.packer import OF_SOURCE_AUDIO
from utils.packed.reader import PackedReader


@dataclass(frozen=True)
class Copy:
    """Copy `number` (from 1) of an utterance.

    Its name and its speaker's have the same prefix; if it is empty, the speaker is the original's.
    """

    original: str
    number: int
    suffix: str
    speed_factor: float
    prefix: str

    @property
    def name(self) -> str:
        """``<prefix><utterance>-<suffix>``."""
        return f"{self.prefix}{self.original}-{self.suffix}"


def copy_policies(
    section: dict, copies: int, suffix: str, one_copy_per_transform: bool
) -> list[tuple[str, dict]]:
    """Suffix and policy of each copy of an utterance; the first is copy number 1.

    `section` is the policy, a section ``augmentation``; the options are those of
    steps.augment_copies.  ValueError: no copies, an unusable suffix, or a policy without exactly
    one ``one_of`` of transforms with different names.
    """
    if copies < 1:
        raise ValueError(f"--copies: {copies}, expected 1 or more")
    if not re.fullmatch(r"[A-Za-z0-9_]+", suffix):
        raise ValueError(f"--suffix: '{suffix}', expected letters, digits and _")
    if not one_copy_per_transform:
        return [(f"{suffix}{number}", section) for number in range(1, copies + 1)]
    chain = section.get("chain", [])
    choices = [index for index, link in enumerate(chain) if link["name"] == "one_of"]
    if len(choices) != 1:
        raise ValueError(
            f"chain: has {len(choices)} one_of, expected one for --one-copy-per-transform"
        )
    choice = choices[0]
    members = chain[choice]["of"]
    labels = [transform_label(member) for member in members]
    if len(set(labels)) < len(labels):
        raise ValueError(
            f"one_of: its transforms would be called {', '.join(labels)}, "
            "expected different names for --one-copy-per-transform"
        )
    policies: list[tuple[str, dict]] = []
    for label, member in zip(labels, members, strict=True):
        policy = section | {"chain": [*chain[:choice], member, *chain[choice + 1 :]]}
        suffixes = [label]
        if copies > 1:
            suffixes = [f"{label}{number}" for number in range(1, copies + 1)]
        policies.extend((suffix, policy) for suffix in suffixes)
    return policies


def transform_label(transform: dict) -> str:
    """Suffix of the copies made by a transform: its only type of noise, or its name."""
    types = transform.get("types") or ()
    if not types and isinstance(transform.get("snr_db"), dict):
        types = transform["snr_db"]
    if len(types) == 1:
        return next(iter(types))
    return transform["name"]


class CopyMaker:
    """Makes copies when they are read by name, as `utils.packed.packer.Utterances`.

    `policies` come from `copy_policies`, `where` is the policy's file, for messages; `keys`
    are the reader's utterances in order.  `records`: copy -> record of its augmentation, once read.
    UserError: the bank lacks what the policy needs.
    """

    def __init__(
        self,
        policies: Sequence[tuple[str, dict]],
        where: str,
        keys: Iterable[str],
        reader: PackedReader,
        bank: Path,
        seed: int,
    ):
        self.index_by_key = {key: index for index, key in enumerate(keys)}
        self.reader = reader
        self.seed = seed
        self.suffixes = [suffix for suffix, _ in policies]
        self.augmenters: list[Augmenter] = []
        sections: list[dict] = []
        for _, section in policies:
            if section in sections:  # one augmenter for all copies by one policy
                augmenter = self.augmenters[sections.index(section)]
            else:
                augmenter = _open_augmenter(section, where, bank, reader.sample_rate_hz)
            sections.append(section)
            self.augmenters.append(augmenter)
        self.planned: dict[str, Copy] = {}
        self.records: dict[str, str] = {}

    def plan(self, utterances: Iterable[str]) -> dict[str, Copy]:
        """The copies of utterances by name, which can be read from now on.

        UserError: the name of a copy is that of an utterance.
        """
        self.planned = {}
        for utterance in utterances:
            for copy in self._copies(utterance):
                self.planned[copy.name] = copy
        for name, copy in self.planned.items():
            if name in self.index_by_key:
                raise UserError(
                    f"'{name}' is the name of an utterance and of a copy of '{copy.original}'; "
                    "give another --suffix of steps.augment_copies, or rename the utterance"
                )
        return self.planned

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """The samples of a planned copy, (n,) float32 in [-1, 1], and their rate."""
        copy = self.planned[name]
        augmenter = self.augmenters[copy.number - 1]
        rng = self._rng(copy.original, copy.number)
        _draw_speed(augmenter, rng)  # as in `plan`; the other draws follow
        samples = self.reader.read(self.index_by_key[copy.original])
        samples = change_speed(samples, copy.speed_factor, int(len(samples) / copy.speed_factor))
        drawn = augmenter.draw(len(samples), rng)
        self.records[name] = augmenter.record(copy.speed_factor, drawn)
        return limit_peak(augmenter.apply(samples, drawn)), self.reader.sample_rate_hz

    def _copies(self, utterance: str) -> Iterator[Copy]:
        for index, suffix in enumerate(self.suffixes):
            augmenter, number = self.augmenters[index], index + 1
            factor = _draw_speed(augmenter, self._rng(utterance, number))
            prefix = ""
            if factor != 1 and augmenter.speed_is_new_speaker:
                prefix = f"sp{factor:g}-"  # as in Kaldi
            yield Copy(utterance, number, suffix, factor, prefix)

    def _rng(self, utterance: str, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, *utterance.encode()])


def _open_augmenter(section: dict, where: str, bank: Path, sample_rate_hz: int) -> Augmenter:
    augmenter = make(Augmenter, section, where)
    try:
        return augmenter.open(bank, sample_rate_hz)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _draw_speed(augmenter: Augmenter, rng: np.random.Generator) -> float:
    return augmenter.speed_factors[int(rng.integers(len(augmenter.speed_factors)))]


def transform_names(chain: Sequence[Mapping]) -> set[str]:
    """Names of all transforms of a policy's chain, also of those within others."""
    names = set()
    for link in chain:
        names.add(link["name"])
        names |= transform_names(link.get("of", ()))
    return names


def copied_lists(
    source: DataDir, tables: Mapping[str, Mapping[str, str]], policy: dict, include_originals: bool
) -> DataDir:
    """The data directory of copies; its lists have the values of their originals in the source.

    `tables` has ``scp``, ``num_samples`` and ``utt2dur`` of the copies on disk, and
    ``utt2augmentation``, ``utt2uniq`` and ``utt2spk``, which may hold more.  `policy` is resolved.
    `include_originals` adds the originals with their trials.
    """
    wav_scp = dict(tables["scp"])
    uniq = {name: tables["utt2uniq"][name] for name in wav_scp}
    utt2spk = {name: tables["utt2spk"][name] for name in wav_scp}
    maps = _lists_of_originals(source, uniq, utt2spk)
    if "vad.scp" in source.maps and "reverse" not in transform_names(policy["chain"]):
        maps["vad.scp"] = _decisions(source, uniq, tables["num_samples"])
    maps["utt2num_samples"] = dict(tables["num_samples"])
    maps["utt2uniq"] = uniq
    for file in ("utt2dur", "utt2augmentation"):
        maps[file] = {name: tables[file][name] for name in wav_scp}
    maps = {file: mapping for file, mapping in maps.items() if mapping}
    copies = DataDir(source.path, wav_scp, utt2spk, None, maps)
    if not include_originals:
        return copies
    maps_of_originals = source.maps | {
        "utt2uniq": {name: name for name in source.utt2spk},
        "utt2augmentation": dict.fromkeys(source.utt2spk, UNCHANGED),
    }
    return combine_data_dirs([replace(source, maps=maps_of_originals), copies])


def _lists_of_originals(
    source: DataDir, uniq: Mapping[str, str], utt2spk: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The lists of speakers and of utterances that are valid for copies too."""
    speakers = {utt2spk[name]: source.utt2spk[original] for name, original in uniq.items()}
    maps = {}
    for file, mapping in source.maps.items():
        kind = key_kind(file, source.maps)
        if kind == "speaker":
            maps[file] = {name: mapping[original] for name, original in speakers.items()}
        elif kind == "utterance" and file not in OF_SOURCE_AUDIO | {"vad.scp"}:
            maps[file] = {name: mapping[original] for name, original in uniq.items()}
    return maps


def _decisions(
    source: DataDir, uniq: Mapping[str, str], num_samples: Mapping[str, str]
) -> dict[str, str]:
    """VAD decisions of the originals, for the copies of the same length."""
    decisions = {}
    for name, original in uniq.items():
        is_same_length = num_samples[name] == source.maps["utt2num_samples"][original]
        if is_same_length and original in source.maps["vad.scp"]:
            decisions[name] = source.maps["vad.scp"][original]
    return decisions
