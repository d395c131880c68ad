"""Time of making, indexing and reading stored features.

    python -m tests.bench.bench_feats [utterances in the index]

Crops of 2 s out of utterances of 8 s, 80 filters; next to them crops of packed audio.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from utils.archive import ArchiveWriter, read_scp
from utils.archive.objects import encode_object
from utils.features.offline import build_fixed_front_end, compute_features
from utils.features.reader import FeatureReader
from utils.packed.reader import PackedReader

UTTERANCES, SECONDS, RATE, CROPS = 100, 8, 16000, 1000


def timed(call: Callable, repeats: int) -> float:
    """Seconds of one call, after a first one that is not counted."""
    call(0)
    start = time.perf_counter()
    for number in range(repeats):
        call(number)
    return (time.perf_counter() - start) / repeats


def main(indexed: int) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    front_end, *_ = build_fixed_front_end({"name": "kaldi_fbank"}, "bench")
    waves = rng.uniform(-0.5, 0.5, (UTTERANCES, SECONDS * RATE)).astype(np.float32)
    each = timed(lambda k: compute_features(front_end, waves[k % UTTERANCES]), UTTERANCES)
    print(f"features of {SECONDS} s: {1e3 * each:.2f} ms")
    with tempfile.TemporaryDirectory() as folder:
        writers = {
            kind: ArchiveWriter(Path(folder, f"{kind}.ark"), Path(folder, f"{kind}.scp"))
            for kind in ("plain", "compressed", "audio")
        }
        for kind, writer in writers.items():
            with writer:
                for number, wave in enumerate(waves):
                    if kind == "audio":
                        writer.write_wave(f"u{number}", np.int16(wave * 32767), RATE)
                    elif kind == "plain":
                        writer.write(f"u{number}", compute_features(front_end, wave))
                    else:
                        writer.write_compressed(f"u{number}", compute_features(front_end, wave))
        audio = PackedReader(
            read_scp(Path(folder, "audio.scp")),
            {f"u{number}": SECONDS * RATE for number in range(UTTERANCES)},
        )
        starts = rng.integers([UTTERANCES, 599], size=(CROPS, 2)).tolist()
        for kind in ("plain", "compressed"):
            reader = FeatureReader(read_scp(Path(folder, f"{kind}.scp")), 80, 100)
            each = timed(lambda k, reader=reader: reader.read(*starts[k], 200), CROPS)
            size = Path(folder, f"{kind}.ark").stat().st_size
            print(f"crop of stored features, {kind}: {1e6 * each:.0f} us, {size / 1e6:.0f} MB")

        def read_crop(number: int) -> np.ndarray:
            utterance, frame = starts[number]
            return audio.read(utterance, 160 * frame, 2 * RATE)

        read = timed(read_crop, CROPS)
        made = timed(lambda k: compute_features(front_end, read_crop(k)), CROPS)
        print(f"crop of packed audio: {1e6 * read:.0f} us; with its features: {1e6 * made:.0f} us")
        entry = b"u " + encode_object(np.zeros((3, 2), np.float32))
        Path(folder, "many.ark").write_bytes(entry * indexed)
        scp = {
            f"u{number}": f"{folder}/many.ark:{len(entry) * number + 2}"
            for number in range(indexed)
        }
        start = time.perf_counter()
        FeatureReader(scp, 2, 100)
        print(f"index of {indexed:,} utterances: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_200_000)
