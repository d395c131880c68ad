"""Draw a few utterances for the report: waveforms with VAD decisions, spectrograms of augmentation.

    python -m steps.illustrate data/full/train data/full/packed_16000/train \\
        conf/ghostvlad_cpu.yaml exp/ghostvlad_cpu/pictures --bank data/full/packed_16000/bank
"""

import copy
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from utils.audio import Channel
from utils.augmentation.augmenter import resolved_augmentation
from utils.cli import run
from utils.config import override_option, read_yaml
from utils.errors import UserError
from utils.files import atomic_write
from utils.receipts import MODE, Task, Values, data_dir_inputs, read_receipt
from utils.training.crops import resolved_crops
from utils.training.settings import Settings, read_settings

if TYPE_CHECKING:
    from utils.audio import UtteranceReader
    from utils.augmentation.augmenter import Augmenter
    from utils.packed.reader import PackedReader

FORMAT = 1
LONGEST_SECONDS = 30  # pictures of longer utterances are not legible: drawn only if all are longer
MAX_DRAWS = 100  # of augmentation for one utterance, until one changes it
PIECE = re.compile(r"-\d{7}-\d{7}$")  # end of the names of pieces from packing with --split

Picture = tuple[str, str, str]  # kind, caption and SVG


def illustrate(
    data: Path,
    packed: Path,
    config: Path,
    output: Path,
    *,
    bank: Path | None = None,
    augmentation: Path | None = None,
    override: str | None = None,
    utterances: int = 4,
    seed: int = 1,
    channel: Channel = 0,
    allow_pipes: bool = False,
    root: Path | None = None,
) -> dict:
    """Write ``pictures.json`` and the SVG files that it lists.

    Parameters
    ----------
    data : path
        Data directory with voice activity decisions (stage 1).
    packed : path
        The same set, packed (stage 2).
    config : path
        YAML of a training, with its crops and augmentation.
    output : path
        Folder to write; the report reads ``exp/<name>/pictures``.
    bank : path or None
        Noise bank of steps.augment; needed if the augmentation uses it.
    augmentation : path or None
        YAML with an augmentation instead of the training's, as in conf/augmentation.
    override : str or None
        Values instead of the training's, as for ``steps.train``.
    utterances : int
        Number of utterances, of different lengths and, if possible, of different speakers.
    seed : int
        Seed of the choice and of the augmentation, 0 or more.
    channel : int or "mean"
        Channel to read, from 0, or the mean of all; of mono audio always the only one.
    allow_pipes : bool
        Run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.

    Returns
    -------
    dict
        Numbers of ``utterances`` and ``pictures``.

    Raises
    ------
    UserError
        There are no decisions, or the packed directory is that of another set.
    """
    for name, value, least in (("utterances", utterances, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"--{name} is {value}, expected {least} or more")
    settings = read_settings(config, augmentation=augmentation, override=override)
    vad_receipt = data / "vad" / "receipts" / "collect_vad.json"
    if not (MODE.checking or vad_receipt.exists()):
        raise UserError(
            f"{data}: no voice activity decisions (vad.scp), expected those of stage 1; run stage 1"
        )
    inputs = {"vad": vad_receipt, "config": config}
    if augmentation:
        inputs["augmentation"] = augmentation
    inputs |= _list_inputs("data", data, "wav.scp", "utt2spk", "segments")
    inputs |= _list_inputs("packed", packed, "wav.scp", "utt2spk", "utt2num_samples")
    if bank and settings.augmentation.uses_bank:
        inputs["bank"] = bank / "receipts" / "augment.json"
    options = {"utterances": utterances, "seed": seed, "channel": channel, "root": root}
    task = Task(
        output,
        "illustrate",
        format=FORMAT,
        inputs=inputs,
        options=options | override_option(override),
        values=_values(settings, output.parent, augmentation),
    )
    if task.is_done():
        return task.counts
    from utils.audio import UtteranceReader
    from utils.data_dir import read_data_dir
    from utils.packed.reader import PackedReader

    sources = read_data_dir(data, allow_pipes=allow_pipes, needs_audio=True)
    lists = read_data_dir(packed, needs_audio=True)
    reader = UtteranceReader(
        sources.wav_scp, sources.segments, allow_pipes=allow_pipes, root=root, channel=channel
    )
    crops = PackedReader(lists.wav_scp, lists.maps["utt2num_samples"])
    decisions = sources.maps["vad.scp"]
    augmenter = settings.open_augmentation(bank, crops.sample_rate_hz)
    originals = [name if name in decisions else PIECE.sub("", name) for name in lists.wav_scp]
    candidates = [index for index, name in enumerate(originals) if name in decisions]
    if not candidates:
        raise UserError(
            f"{packed}: has none of the utterances of {data}/vad.scp, "
            "expected the same set, packed; run stage 2"
        )
    speakers = [sources.utt2spk.get(name) for name in originals]
    chosen = choose_utterances(candidates, crops, speakers, utterances, seed)
    for old in output.glob("*.svg"):
        old.unlink()
    entries: list[dict[str, str]] = []
    for number, index in enumerate(chosen, start=1):
        name = originals[index]
        pictures = [_draw_speech(reader, name, decisions[name])]
        pictures += draw_crop(crops, index, name, augmenter, settings.crops.longest_seconds, seed)
        facts = {"set": data.name, "utterance": name, "speaker": sources.utt2spk[name]}
        entries += _write_pictures(output, number, facts, pictures)
    files = [_write_list(output, entries), *(output / entry["file"] for entry in entries)]
    return task.finish(files, {"utterances": len(chosen), "pictures": len(entries)})


def _list_inputs(kind: str, folder: Path, *names: str) -> dict[str, Path]:
    """Lists of a data directory as inputs, labelled by its kind."""
    return {f"{kind}/{name}": path for name, path in data_dir_inputs(folder, *names).items()}


def _values(settings: Settings, experiment: Path, augmentation: Path | None) -> dict[str, Values]:
    """The sections of the YAMLs that pictures depend on: crops and augmentation."""
    current = {
        "crops": resolved_crops(settings.sections["crops"]),
        "augmentation": resolved_augmentation(settings.sections.get("augmentation")),
    }
    sections = {"config": ["crops", "augmentation"]}
    if augmentation:
        sections = {"config": ["crops"], "augmentation": ["augmentation"]}
    return {
        f"input {label}": Values(
            now=partial(_select, current, names),
            before=partial(_sections_of_training, experiment, label, names),
        )
        for label, names in sections.items()
    }


def _select(values: Mapping, names: Sequence[str]) -> dict:
    """Some sections of a configuration."""
    return {name: values.get(name) for name in names}


def _sections_of_training(
    experiment: Path, label: str, names: Sequence[str], recorded: object
) -> dict | None:
    """Sections of the YAML with this checksum, if the training beside the pictures used it."""
    trained = read_receipt(experiment / "receipts" / "train.json")
    if trained is None or trained.get("accepted") or not (experiment / "config.yaml").exists():
        return None
    if trained["inputs"].get(label, {}).get("content") != recorded:
        return None
    return _select(read_yaml(experiment / "config.yaml"), names)


def choose_utterances(
    candidates: Sequence[int],
    crops: "PackedReader",
    speakers: Sequence[str | None],
    utterances: int,
    seed: int,
) -> list[int]:
    """Choose packed utterances: a random one of the shortest, one of the next longer, and so on.

    `candidates` are indices into the packed audio, as are those of `speakers` (None: unknown).  In
    each range of lengths, a speaker without an utterance yet is preferred.
    """
    import numpy as np

    rng, rows = np.random.default_rng(seed), np.array(candidates)
    legible = rows[crops.num_samples[rows] <= LONGEST_SECONDS * crops.sample_rate_hz]
    if len(legible):
        rows = legible
    shortest_first = rows[np.argsort(crops.num_samples[rows], kind="stable")]
    chosen: list[int] = []
    for band in np.array_split(shortest_first, utterances):
        drawn, seen = rng.permutation(band).tolist(), {speakers[index] for index in chosen}
        preferred = [index for index in drawn if speakers[index] not in seen]
        if not preferred:
            preferred = drawn
        chosen += preferred[:1]
    return chosen


def _draw_speech(reader: "UtteranceReader", utterance: str, decisions: str) -> Picture:
    """Picture of an utterance as recorded, with its decisions, an entry of vad.scp."""
    from utils.archive import read_vector
    from utils.report.pictures import speech_picture
    from utils.vad.base import FRAMES_PER_SECOND

    samples, sample_rate_hz = reader.read(utterance)
    speech = read_vector(decisions, key=utterance) > 0
    speech_seconds, seconds = speech.sum() / FRAMES_PER_SECOND, len(samples) / sample_rate_hz
    caption = f"{speech_seconds:.2f} of {seconds:.2f} s are speech"
    label = f"Waveform of {utterance}: {caption}"
    return "vad", caption, speech_picture(samples, sample_rate_hz, speech, label)


def draw_crop(
    crops: "PackedReader",
    index: int,
    utterance: str,
    augmenter: "Augmenter",
    crop_seconds: float,
    seed: int,
) -> list[Picture]:
    """Pictures of a training crop, ``before`` augmentation and, if there is any, ``after`` it.

    The crop and the augmentation depend on the seed and on the utterance's name; the first draw
    that changes anything is shown.  An utterance shorter than `crop_seconds` is shown whole.
    """
    import numpy as np

    from utils.report.pictures import spectrogram, spectrogram_picture

    rng = np.random.default_rng([seed, *utterance.encode()])
    rate, available = crops.sample_rate_hz, int(crops.num_samples[index])
    for _ in range(MAX_DRAWS):
        speed = augmenter.speed_factors[rng.integers(len(augmenter.speed_factors))]
        num_samples = min(round(crop_seconds * rate), int(available / speed))
        # In floating point 10 * 1.1 is more than 11.
        wanted = min(available, math.ceil(num_samples * speed))
        start = int(rng.integers(available - wanted + 1))
        same_draws = copy.deepcopy(rng)
        changes = augmenter.describe(speed, augmenter.draw(num_samples, rng))
        if changes:
            break
    before = crops.read(index, start, wanted)
    sounds = [("before", f"{wanted / rate:.2f} s from {start / rate:.2f} s on, as packed", before)]
    if changes:
        sounds.append(("after", changes, augmenter(before, speed, num_samples, same_draws)))
    levels_db = [spectrogram(samples, rate) for _, _, samples in sounds]
    top_db = max(levels.max() for levels in levels_db)
    pictures = []
    for (kind, caption, samples), levels in zip(sounds, levels_db, strict=True):
        label = f"Spectrogram of {utterance} {kind} augmentation: {caption}"
        svg = spectrogram_picture(levels, rate, len(samples) / rate, top_db, label)
        pictures.append((kind, caption, svg))
    return pictures


def _write_pictures(
    output: Path, number: int, facts: Mapping[str, str], pictures: Iterable[Picture]
) -> list[dict[str, str]]:
    """Write the pictures of an utterance, and return their entries in ``pictures.json``."""
    entries = []
    for kind, caption, svg in pictures:
        file_name = f"{number}_{kind}.svg"
        entries.append({**facts, "kind": kind, "caption": caption, "file": file_name})
        with atomic_write(output / file_name) as file:
            file.write(svg)
    return entries


def _write_list(output: Path, entries: Iterable[Mapping[str, str]]) -> Path:
    """Write ``pictures.json``, one line for each picture."""
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    with atomic_write(output / "pictures.json") as file:
        file.write(f"[\n{lines}\n]\n")
    return output / "pictures.json"


if __name__ == "__main__":
    run(illustrate)
