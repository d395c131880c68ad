"""Draw a few utterances for the report: waveforms with voice activity decisions, spectrograms before and after augmentation.

    python -m steps.illustrate data/full/train data/full/packed_16000/train conf/ghostvlad_cpu.yaml exp/ghostvlad_cpu/pictures \
        --bank data/full/packed_16000/bank
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
from utils.config import read_yaml
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
# Longer utterances make no legible picture: they are drawn only where all are longer.
LONGEST_SECONDS = 30
MOST_DRAWS = 100  # of augmentation for one utterance, until one changes it
# End of the name that packing with --split gives to a stretch of an utterance.
PIECE = re.compile(r"-\d{7}-\d{7}$")


def illustrate(
    data: Path,
    packed: Path,
    config: Path,
    output: Path,
    *,
    bank: Path | None = None,
    augmentation: Path | None = None,
    utterances: int = 4,
    seed: int = 1,
    channel: Channel = 0,
    allow_pipes: bool = False,
    root: Path | None = None,
) -> dict:
    """Write ``pictures.json`` and the pictures that it lists, an SVG file each.

    Parameters
    ----------
    data : path
        Data directory with voice activity decisions (stage 1).
    packed : path
        The same set, packed (stage 2).
    config : path
        YAML of a training, whose crops and augmentation are drawn.
    output : path
        Folder to write; the report looks for it at ``exp/<name>/pictures``.
    bank : path or None
        Noise and room bank made by steps.augment; needed where the augmentation uses it.
    augmentation : path or None
        YAML with an augmentation instead of the training's, as in conf/augmentation.
    utterances : int
        How many are drawn, of different lengths and, as far as that goes, of different speakers.
    seed : int
        Of the choice and of the augmentation; 0 or more.
    channel : int or "mean"
        Of sound with several, from 0; ``mean``: all of them averaged.
    allow_pipes : bool
        Leave to run the commands that wav.scp may hold.
    root : path or None
        Folder that relative paths in wav.scp start from.

    Returns
    -------
    dict
        Numbers of ``utterances`` and ``pictures``.

    Raises
    ------
    UserError
        There are no decisions, or the packed directory is of another set.
    """
    for name, value, least in (("utterances", utterances, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"--{name} is {value}, expected {least} or more")
    settings = read_settings(config, augmentation=augmentation)
    decided = data / "vad" / "receipts" / "collect_vad.json"
    if not (MODE.checking or decided.exists()):
        raise UserError(
            f"{data}: no voice activity decisions (vad.scp), expected those of stage 1; run stage 1"
        )
    inputs = {"vad": decided, "config": config}
    inputs |= {"augmentation": augmentation} if augmentation else {}
    inputs |= _lists_of("data", data, "wav.scp", "utt2spk", "segments")
    inputs |= _lists_of("packed", packed, "wav.scp", "utt2spk", "utt2num_samples")
    if bank and settings.augmentation.uses_bank:
        inputs["bank"] = bank / "receipts" / "augment.json"
    task = Task(
        output,
        "illustrate",
        format=FORMAT,
        inputs=inputs,
        options={"utterances": utterances, "seed": seed, "channel": channel, "root": root},
        values=_values(settings, output.parent, augmentation),
    )
    if task.is_done():
        return task.counts
    from utils.audio import UtteranceReader
    from utils.data_dir import read_data_dir
    from utils.packed.reader import PackedReader

    sources, lists = (
        read_data_dir(data, allow_pipes=allow_pipes, needs_audio=True),
        read_data_dir(packed, needs_audio=True),
    )
    reader = UtteranceReader(
        sources.wav_scp, sources.segments, allow_pipes=allow_pipes, root=root, channel=channel
    )
    crops = PackedReader(lists.wav_scp, lists.maps["utt2num_samples"])
    decisions = sources.maps["vad.scp"]
    augmenter = settings.open_augmentation(bank, crops.sample_rate_hz)
    source_of = [name if name in decisions else PIECE.sub("", name) for name in lists.wav_scp]
    known = [index for index, source in enumerate(source_of) if source in decisions]
    if not known:
        raise UserError(
            f"{packed}: has none of the utterances of {data}/vad.scp, expected the same set, packed; run stage 2"
        )
    speakers = [sources.utt2spk.get(source) for source in source_of]
    chosen = choose(known, crops, speakers, utterances, seed)
    for old in output.glob("*.svg"):
        old.unlink()
    entries: list[dict[str, str]] = []
    for number, index in enumerate(chosen, start=1):
        name = source_of[index]
        drawn = [_draw_speech(reader, name, decisions[name])]
        drawn += draw_crop(crops, index, name, augmenter, settings.crops.longest_seconds, seed)
        about = {"set": data.name, "utterance": name, "speaker": sources.utt2spk[name]}
        entries += _write_pictures(output, number, about, drawn)
    with atomic_write(output / "pictures.json") as file:
        file.write("[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n")
    files = [output / name for name in ("pictures.json", *(entry["file"] for entry in entries))]
    return task.finish(files, {"utterances": len(chosen), "pictures": len(entries)})


def _lists_of(kind: str, folder: Path, *names: str) -> dict[str, Path]:
    """What the pictures depend on in a data directory, called by its kind."""
    return {f"{kind}/{name}": path for name, path in data_dir_inputs(folder, *names).items()}


def _values(settings: Settings, experiment: Path, augmentation: Path | None) -> dict[str, Values]:
    """What the YAMLs say that pictures depend on: crops and augmentation."""
    today = {
        "crops": resolved_crops(settings.sections["crops"]),
        "augmentation": resolved_augmentation(settings.sections.get("augmentation")),
    }
    sections = {"config": ["crops", "augmentation"]}
    if augmentation:
        sections = {"config": ["crops"], "augmentation": ["augmentation"]}
    return {
        f"input {label}": Values(
            now=partial(_only, today, names),
            before=partial(_trained_with, experiment, label, names),
        )
        for label, names in sections.items()
    }


def _only(values: Mapping, names: Sequence[str]) -> dict:
    """Some sections of a configuration."""
    return {name: values.get(name) for name in names}


def _trained_with(
    experiment: Path, label: str, names: Sequence[str], recorded: object
) -> dict | None:
    """What a YAML with this checksum said, where the training beside the pictures was made with it."""
    trained = read_receipt(experiment / "receipts" / "train.json")
    if trained is None or trained.get("accepted") or not (experiment / "config.yaml").exists():
        return None
    if trained["inputs"].get(label, {}).get("content") != recorded:
        return None
    return _only(read_yaml(experiment / "config.yaml"), names)


def choose(
    known: Sequence[int],
    crops: "PackedReader",
    speakers: Sequence[str | None],
    utterances: int,
    seed: int,
) -> list[int]:
    """Utterances to draw: one at random of the shortest, one of the next longer ones, and so on.

    Parameters
    ----------
    known : sequence of int
        Numbers of the packed utterances that there are decisions of.
    crops : PackedReader
        Knows their lengths.
    speakers : sequence of str or None
        Speaker of every packed utterance, where it is known.
    utterances : int
        How many, if there are as many; of a speaker who has none yet, where the length leaves a choice.
    seed : int
        Of the choice.
    """
    import numpy as np

    rng, rows = np.random.default_rng(seed), np.array(known)
    legible = rows[crops.num_samples[rows] <= LONGEST_SECONDS * crops.sample_rate_hz]
    rows = legible if len(legible) else rows
    shortest_first = rows[np.argsort(crops.num_samples[rows], kind="stable")]
    chosen: list[int] = []
    for band in np.array_split(shortest_first, utterances):
        drawn, seen = rng.permutation(band).tolist(), {speakers[index] for index in chosen}
        chosen += [index for index in drawn if speakers[index] not in seen][:1] or drawn[:1]
    return chosen


def _draw_speech(reader: "UtteranceReader", utterance: str, decisions: str) -> tuple[str, str, str]:
    """Kind, caption and picture of an utterance as it was recorded, with its voice activity decisions, an entry of vad.scp."""
    from utils.archive import read_vector
    from utils.report.pictures import speech_picture
    from utils.vad.base import FRAMES_PER_SECOND

    samples, sample_rate_hz = reader.read(utterance)
    speech = read_vector(decisions, key=utterance) > 0
    share = f"{speech.sum() / FRAMES_PER_SECOND:.2f} of {len(samples) / sample_rate_hz:.2f} s are speech"
    label = f"Waveform of {utterance}: {share}"
    return "vad", share, speech_picture(samples, sample_rate_hz, speech, label)


def draw_crop(
    crops: "PackedReader",
    index: int,
    utterance: str,
    augmenter: "Augmenter",
    crop_seconds: float,
    seed: int,
) -> list[tuple[str, str, str]]:
    """Kinds, captions and pictures of a training crop, ``before`` augmentation and, where there is any, ``after`` it.

    Parameters
    ----------
    crops : PackedReader
        Packed audio.
    index : int
        Number of the utterance in it.
    utterance : str
        Its name.
    augmenter : Augmenter
        Opened; the first of its draws that does anything is shown.
    crop_seconds : float
        Length of the crop; an utterance that is shorter is shown whole.
    seed : int
        Of place and draw, together with the name.
    """
    import numpy as np

    from utils.report.pictures import spectrogram, spectrogram_picture

    rng = np.random.default_rng([seed, *utterance.encode()])
    rate, available = crops.sample_rate_hz, int(crops.num_samples[index])
    for _ in range(MOST_DRAWS):
        speed = augmenter.speed_factors[rng.integers(len(augmenter.speed_factors))]
        num_samples = min(round(crop_seconds * rate), int(available / speed))
        # In floating point 10 * 1.1 is more than 11.
        wanted = min(available, math.ceil(num_samples * speed))
        start = int(rng.integers(available - wanted + 1))
        same_draws = copy.deepcopy(rng)
        if done := augmenter.describe(speed, augmenter.draw(num_samples, rng)):
            break
    before = crops.read(index, start, wanted)
    sounds = [("before", f"{wanted / rate:.2f} s from {start / rate:.2f} s on, as packed", before)]
    if done:
        sounds.append(("after", done, augmenter(before, speed, num_samples, same_draws)))
    levels_db = [spectrogram(samples, rate) for *_, samples in sounds]
    top_db = max(levels.max() for levels in levels_db)
    label = f"Spectrogram of {utterance}"
    pictures = []
    for (kind, caption, samples), levels in zip(sounds, levels_db, strict=True):
        said = f"{label} {kind} augmentation: {caption}"
        svg = spectrogram_picture(levels, rate, len(samples) / rate, top_db, said)
        pictures.append((kind, caption, svg))
    return pictures


def _write_pictures(
    output: Path, number: int, about: Mapping[str, str], drawn: Iterable[tuple[str, str, str]]
) -> list[dict[str, str]]:
    """Write the pictures of an utterance; their entries in ``pictures.json``."""
    entries = []
    for kind, caption, svg in drawn:
        file_name = f"{number}_{kind}.svg"
        entries.append({**about, "kind": kind, "caption": caption, "file": file_name})
        with atomic_write(output / file_name) as file:
            file.write(svg)
    return entries


if __name__ == "__main__":
    run(illustrate)
