"""Copies of packed utterances that augmentation has made: which there are, what they are called, how they sound.

Everything about a copy is a pure function of (seed, number of the copy, utterance).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from utils.augmentation.augmenter import Augmenter
from utils.augmentation.record import NOTHING, Recorder
from utils.augmentation.signal import change_speed, turn_down
from utils.config import make
from utils.data_dir import DataDir
from utils.data_dir.derive import combine_data_dirs
from utils.data_dir.rules import key_kind
from utils.errors import UserError
from utils.packed.packer import OF_THE_SOURCE_SOUND
from utils.packed.reader import PackedReader


@dataclass(frozen=True)
class Copy:
    """One copy of one utterance.

    Parameters
    ----------
    original : str
        The utterance.
    number : int
        Which copy of it, from 1.
    suffix : str
        End of its name.
    speed_factor : float
        Speed that it is played at.
    prefix : str
        Beginning of its name and of its speaker's; empty where the speaker is the original's.
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


def policies_of_copies(
    section: dict, copies: int, suffix: str, one_copy_per_transform: bool
) -> list[tuple[str, dict]]:
    """Suffix and policy of each copy of an utterance; the first is copy number 1.

    Parameters
    ----------
    section : dict
        A policy: the section ``augmentation``.
    copies : int
        How many, of each transform with ``one_copy_per_transform``.
    suffix : str
        Copies are called ``-<suffix>1``, ``-<suffix>2``.
    one_copy_per_transform : bool
        One copy with each transform of the policy's ``one_of``, called by its name or, where it has one type of noise, by that type: ``-reverb``,
        ``-noise``, ``-music``, ``-babble``.

    Raises
    ------
    ValueError
        No copies, an odd suffix, or the policy has not one ``one_of`` of transforms with different names.
    """
    if copies < 1:
        raise ValueError(f"--copies: {copies}, expected 1 or more")
    if not re.fullmatch(r"[A-Za-z0-9_]+", suffix):
        raise ValueError(f"--suffix: '{suffix}', expected letters, digits and _")
    if not one_copy_per_transform:
        return [(f"{suffix}{number}", section) for number in range(1, copies + 1)]
    chain = section.get("chain", [])
    choices = [place for place, link in enumerate(chain) if link["name"] == "one_of"]
    if len(choices) != 1:
        raise ValueError(
            f"chain: has {len(choices)} one_of, expected one for --one-copy-per-transform"
        )
    members = chain[choices[0]]["of"]
    labels = [label_of(member) for member in members]
    if len(set(labels)) < len(labels):
        raise ValueError(
            f"one_of: its transforms would be called {', '.join(labels)}, expected different names for --one-copy-per-transform"
        )
    sections = [
        section | {"chain": [*chain[: choices[0]], member, *chain[choices[0] + 1 :]]}
        for member in members
    ]
    ends = [""] if copies == 1 else range(1, copies + 1)
    return [
        (f"{label}{end}", each)
        for label, each in zip(labels, sections, strict=True)
        for end in ends
    ]


def label_of(transform: dict) -> str:
    """What a copy made by a transform is called.

    Parameters
    ----------
    transform : dict
        Name and options.
    """
    types = transform.get("types") or (
        transform["snr_db"] if isinstance(transform.get("snr_db"), dict) else ()
    )
    return next(iter(types)) if len(types) == 1 else transform["name"]


class CopyMaker:
    """Makes copies as they are asked for by name: `utils.packed.packer.Utterances`.

    Parameters
    ----------
    policies : sequence of (str, dict)
        From `policies_of_copies`.
    where : str
        The policy's file, for messages.
    keys : iterable of str
        Utterances, as the reader numbers them.
    reader : PackedReader
        Their sound.
    bank : path
        Noises and rooms.
    seed : int
        0 or more.

    Attributes
    ----------
    records : dict of str to str
        Copy -> what was done to it, of those that have been read.

    Raises
    ------
    UserError
        The bank has not what the policy wants.
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
        self.row_of = {key: row for row, key in enumerate(keys)}
        self.reader = reader
        self.seed = seed
        self.suffixes, sections = zip(*policies, strict=True)
        distinct = [
            section for place, section in enumerate(sections) if section not in sections[:place]
        ]
        made = [make(Augmenter, section, where) for section in distinct]
        try:
            for augmenter in made:
                augmenter.open(bank, reader.sample_rate_hz)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        self.augmenters = [made[distinct.index(section)] for section in sections]
        self.recorder = Recorder(bank)
        self.planned: dict[str, Copy] = {}
        self.records: dict[str, str] = {}

    def plan(self, utterances: Iterable[str]) -> dict[str, Copy]:
        """The copies of utterances, by name; they can be read from then on.

        Parameters
        ----------
        utterances : iterable of str
            Originals.

        Raises
        ------
        UserError
            A copy would be called as one of the utterances is.
        """
        self.planned = {
            copy.name: copy for utterance in utterances for copy in self._copies(utterance)
        }
        clash = next((name for name in self.planned if name in self.row_of), None)
        if clash:
            raise UserError(
                f"'{clash}' is the name of an utterance and of a copy of '{self.planned[clash].original}'; give another --suffix of steps.augment_copies, or rename the utterance"
            )
        return self.planned

    def read(self, name: str) -> tuple[np.ndarray, int]:
        """The samples of a copy and their rate.

        Parameters
        ----------
        name : str
            One of those planned.

        Returns
        -------
        samples : (n,) float32 array
            In [-1, 1]: turned down as a whole where the peak would exceed full scale.
        sample_rate_hz : int
            That of the originals.
        """
        copy = self.planned[name]
        augmenter, rng = self.augmenters[copy.number - 1], self._rng(copy.original, copy.number)
        self._draw_speed(augmenter, rng)
        samples = self.reader.read(self.row_of[copy.original])
        samples = change_speed(samples, copy.speed_factor, int(len(samples) / copy.speed_factor))
        drawn = augmenter.draw(len(samples), rng)
        self.records[name] = self.recorder.record(copy.speed_factor, augmenter.transforms, drawn)
        return turn_down(augmenter.apply(samples, drawn)), self.reader.sample_rate_hz

    def _copies(self, utterance: str) -> Iterator[Copy]:
        for number, (suffix, augmenter) in enumerate(
            zip(self.suffixes, self.augmenters, strict=True), start=1
        ):
            factor = self._draw_speed(augmenter, self._rng(utterance, number))
            renamed = factor != 1 and augmenter.speed_is_new_speaker
            # Kaldi's prefix for voices of another speed
            yield Copy(utterance, number, suffix, factor, f"sp{factor:g}-" if renamed else "")

    def _rng(self, utterance: str, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number, *utterance.encode()])

    @staticmethod
    def _draw_speed(augmenter: Augmenter, rng: np.random.Generator) -> float:
        return augmenter.speed_factors[int(rng.integers(len(augmenter.speed_factors)))]


def names_in(chain: Sequence[Mapping]) -> set[str]:
    """Names of all transforms of a chain, those inside others too.

    Parameters
    ----------
    chain : sequence of mappings
        From a policy.
    """
    return {name for link in chain for name in (link["name"], *names_in(link.get("of", ())))}


def copied_lists(
    source: DataDir, tables: Mapping[str, Mapping[str, str]], policy: dict, include_originals: bool
) -> DataDir:
    """The lists of copies.

    Parameters
    ----------
    source : DataDir
        The packed data directory that was copied.
    tables : mapping of str to mapping
        ``scp``, ``num_samples`` and ``utt2dur`` of the copies that were written; ``utt2augmentation``, ``utt2uniq`` and ``utt2spk``, maybe of more.
    policy : dict
        Resolved; where it reverses time, voice activity decisions do not hold.
    include_originals : bool
        Whether the originals come too, with their trials.

    Returns
    -------
    DataDir
        Lists of utterances and of speakers say of a copy what they say of its original.
    """
    wav_scp = dict(tables["scp"])
    uniq, utt2spk = (
        {name: tables[table][name] for name in wav_scp} for table in ("utt2uniq", "utt2spk")
    )
    speaker = {utt2spk[name]: source.utt2spk[original] for name, original in uniq.items()}
    in_step = {
        name: original
        for name, original in uniq.items()
        if tables["num_samples"][name] == source.maps["utt2num_samples"][original]
    }
    maps = {}
    for file, mapping in source.maps.items():
        kind = key_kind(file, source.maps)
        if file == "vad.scp" and "reverse" not in names_in(policy["chain"]):
            maps[file] = {
                name: mapping[original] for name, original in in_step.items() if original in mapping
            }
        elif kind == "speaker":
            maps[file] = {name: mapping[original] for name, original in speaker.items()}
        elif kind == "utterance" and file not in OF_THE_SOURCE_SOUND | {"vad.scp"}:
            maps[file] = {name: mapping[original] for name, original in uniq.items()}
    maps |= {
        "utt2num_samples": dict(tables["num_samples"]),
        "utt2uniq": uniq,
        **{
            file: {name: tables[file][name] for name in wav_scp}
            for file in ("utt2dur", "utt2augmentation")
        },
    }
    copies = DataDir(
        source.path,
        wav_scp,
        utt2spk,
        None,
        {file: mapping for file, mapping in maps.items() if mapping},
    )
    if not include_originals:
        return copies
    itself = {
        "utt2uniq": {name: name for name in source.utt2spk},
        "utt2augmentation": dict.fromkeys(source.utt2spk, NOTHING),
    }
    return combine_data_dirs([replace(source, maps=source.maps | itself), copies])
