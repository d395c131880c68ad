"""Targets: Kaldi's archives, scp files that point into them, and back ends in Kaldi's formats."""

import os
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np

from tests.fuzz.target import Files, Place, Target
from tests.fuzz.worker import MARKER
from utils.archive import (
    iterate_scp,
    read_matrix,
    read_object,
    read_scp,
    read_vector,
    read_vectors,
    read_wave,
)
from utils.archive.__main__ import check_archive, head_archive
from utils.archive.bulk import vector_blocks
from utils.archive.compare import diff_archives, merge_archives
from utils.archive.compressed import encode_compressed
from utils.archive.iterate import read_integers
from utils.archive.objects import encode_object, encode_wave
from utils.archive.plda import read_plda, write_plda
from utils.archive.relocate import Relocation, relocate_scp
from utils.data_dir.lists import read_map
from utils.features.reader import FeatureReader
from utils.packed.reader import PackedReader

ROOT = Path(__file__).parents[2]
GOLDEN = [
    ROOT / "tests/golden/kaldi",
    Path(os.environ.get("SV_SHARED", ROOT.parent / "shared")) / "golden/kaldi",
]
COLUMNS, RATE_HZ = 5, 16_000


def _golden(*names: str, most: int = 3000) -> list[bytes]:
    """Beginnings of files that Kaldi wrote, each once."""
    return list(
        dict.fromkeys(
            (folder / name).read_bytes()[:most]
            for folder in GOLDEN
            for name in names
            if (folder / name).is_file()
        )
    )


def _objects() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(12, COLUMNS))
    vector = matrix[0]
    return {
        "fv": encode_object(vector.astype(np.float32)),
        "dv": encode_object(vector),
        "fm": encode_object(matrix.astype(np.float32)),
        "dm": encode_object(matrix),
        "iv": encode_object(np.arange(6, dtype=np.int32)),
        "cm": encode_compressed(matrix.astype(np.float32)),
        "cm2": encode_compressed(matrix[:3].astype(np.float32)),
        "cm3": b"\0BCM3 "
        + encode_compressed(matrix[:3].astype(np.float32))[6:22]
        + bytes(range(15)),
        "tv": encode_object(vector, text=True),
        "tm": encode_object(matrix, text=True),
        "ti": encode_object(np.arange(4, dtype=np.int32), text=True),
        "empty": encode_object(np.empty((0, 0), np.float32)),
        "wave": encode_wave(np.arange(-20, 20, dtype=np.int16), RATE_HZ),
    }


def _archive(keys) -> tuple[bytes, dict[str, int]]:
    """Objects one behind the other, and where each begins."""
    content, places, objects = b"", {}, _objects()
    for key in keys:
        content += key.encode() + b" "
        places[key], content = len(content), content + objects[key]
    return content, places


def _archive_seeds() -> list[Files]:
    whole, _ = _archive(_objects())
    counts = b"a 3\nb 4\n", b"a \0B\4\3\0\0\0b \0B\4\4\0\0\0"
    alone = [{"x.ark": content} for content in _objects().values()]
    kaldi = [
        {"x.ark": content}
        for content in _golden(
            "flavour_binary.ark",
            "flavour_text.ark",
            "mats.ark",
            "mats_compressed.ark",
            "wav_copy.ark",
            "train.ark",
            "enroll_num_utts.txt",
            "mean.vec",
            "lda.mat",
            "vad.txt",
        )
    ]
    each = [
        {"x.ark": _archive([key, other])[0]}
        for key, other in zip(_objects(), list(_objects())[1:], strict=False)
    ]
    return [{"x.ark": whole}, *({"x.ark": content} for content in counts), *alone, *each, *kaldi]


def _scp_seeds() -> list[Files]:
    names = ("fm", "dm", "cm", "cm2", "cm3")
    matrices, places = _archive(names)
    rows = "".join(f"{key} x.ark:{place}\n" for key, place in places.items())
    vectors, at = _archive(("fv", "dv", "iv", "tv", "wave"))
    mixed = "".join(f"{key} x.ark:{place}\n" for key, place in at.items())
    same = b"".join(b"u%d " % k + _objects()["fv"] for k in range(4))
    step = len(same) // 4
    packed = b"".join(
        b"w%d " % k + encode_wave(np.arange(30, dtype=np.int16), RATE_HZ) for k in range(3)
    )
    waves = "".join(f"w{k} x.ark:{len(packed) // 3 * k + 3}\n" for k in range(3)).encode()
    lengths = {"utt2num_samples": b"w0 30\nw1 30\nw2 30\n"}
    ranges = rows.replace("\n", "[2:3]\n", 1)
    return [
        {"x.scp": rows.encode(), "x.ark": matrices},
        {"x.scp": mixed.encode(), "x.ark": vectors},
        {"x.scp": ranges.encode(), "x.ark": matrices},
        {"x.scp": b"".join(b"u%d x.ark:%d\n" % (k, step * k + 3) for k in range(4)), "x.ark": same},
        {"x.scp": waves, "x.ark": packed, **lengths},
        {"x.scp": b"m mean.vec\n", "mean.vec": _objects()["fv"], "x.ark": same},
        {"x.scp": f"u0 touch {MARKER} |\n".encode(), "x.ark": same},
        {"x.scp": b"u0 x.ark:3\nu1 x.ark:3 \n", "x.ark": same},
    ]


def _plda_seeds() -> list[Files]:
    rng = np.random.default_rng(2)
    found = []
    for text in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            write_plda(
                Path(folder) / "plda",
                (rng.normal(size=3), rng.normal(size=(3, 3)), np.array([3.0, 2.0, 1.0])),
                text=text,
            )
            plda = (Path(folder) / "plda").read_bytes()
        found.append(
            {
                "plda": plda,
                "mean.vec": encode_object(rng.normal(size=3).astype(np.float32), text=text),
                "transform.mat": encode_object(
                    rng.normal(size=(2, 3)).astype(np.float32), text=text
                ),
            }
        )
    kaldi = _golden("plda_lda", "plda_lda.txt", "plda_adapted.txt", most=8000)
    others = {"mean.vec": _golden("mean.vec")[0], "transform.mat": _golden("lda.mat")[0]}
    return [*found, *({"plda": content, **others} for content in kaldi)]


def _x(place: Place) -> Path:
    return place.given / "x.ark"


def _features(place: Place) -> None:
    entries = read_scp(place.given / "x.scp")
    reader = FeatureReader(entries, COLUMNS, 100)
    for k in range(min(20, len(reader))):
        reader.read(k)
        reader.read(k, int(reader.num_samples[k]) // 2, 1)


def _packed(place: Place) -> None:
    reader = PackedReader(
        read_scp(place.given / "x.scp"), read_map(place.given / "utt2num_samples")
    )
    for k in range(min(20, len(reader))):
        reader.read(k)


def _blocks(place: Place) -> None:
    entries = read_scp(place.given / "x.scp")
    for _ in vector_blocks(entries, list(entries), 2):
        pass


def _each_entry(place: Place) -> None:
    for key, entry in islice(read_scp(place.given / "x.scp").items(), 20):
        read_object(entry, key=key)


def _waves(place: Place) -> None:
    for key, entry in islice(read_scp(place.given / "x.scp").items(), 20):
        read_wave(entry, key=key)


NUMBERS_IN_SCP = [
    b":0",
    b":3",
    b":-1",
    b":99999999999999999999",
    b":999999999999999999",
    b"[0:1]",
    b"[1:0]",
    b"[0:999999999]",
    b"[:,0:1]",
    b"[5:6]",
    b"x.ark:3",
    b"x.ark",
    b"x.scp",
    b"x.ark:03",
    b"x.ark:3:3",
    b"../x",
    b"../pipe",
    b"../pipe:0",
    b"/dev/zero:5",
    b"/dev/zero",
    b"/proc/self/mem:4096",
    b"/proc/self/environ",
    b".",
    b"-",
    b"cat x.ark |",
    b"| cat",
    f"touch {MARKER} |".encode(),
    f"$(touch {MARKER})".encode(),
    b"ark:x.ark",
    b"scp:x.scp",
    b"ark,t:-",
    b"b\0c",
    b"a" * 300,
    b"a/" * 3000,
    "\u00e9".encode(),
]
IN_ARCHIVES = [
    b"\0B",
    b"\0BFM ",
    b"\0BDM ",
    b"\0BFV ",
    b"\0BDV ",
    b"\0BCM ",
    b"\0BCM2 ",
    b"\0BCM3 ",
    b"\0B\4",
    b"RIFF",
    b"WAVE",
    b"fmt ",
    b"data",
    b" [ ",
    b"]\n",
    b" [\n",
    b"\4\xff\xff\xff\x7f",
    b"\4\0\0\0\0",
    b"\4\0\0\0\x80",
    b"\xff\xff\xff\x7f" * 2,
    b"\0\0\0\0" * 2,
    b"<Plda> ",
    b"</Plda> ",
]

ARCHIVES = Target(
    "archives",
    {
        "utils.archive.__main__.check_archive": lambda place: check_archive([_x(place)]),
        "utils.archive.__main__.head_archive": lambda place: head_archive(_x(place)),
        "utils.archive.read_object": lambda place: read_object(_x(place)),
        "utils.archive.read_matrix": lambda place: read_matrix(f"{_x(place)}:3"),
        "utils.archive.read_wave": lambda place: read_wave(_x(place)),
        "utils.archive.iterate.read_integers": lambda place: read_integers(_x(place)),
        "utils.archive.compare.merge_archives": lambda place: merge_archives(
            [_x(place)], place.output / "all.ark"
        ),
    },
    _archive_seeds,
    IN_ARCHIVES,
)

SCP = Target(
    "scp",
    {
        "utils.archive.iterate_scp": lambda place: list(iterate_scp(place.given / "x.scp")),
        "utils.archive.__main__.check_archive": lambda place: check_archive(
            [place.given / "x.scp"], allow_renamed=True
        ),
        "utils.archive.read_object": _each_entry,
        "utils.archive.read_wave": _waves,
        "utils.archive.read_vectors": lambda place: read_vectors(place.given / "x.scp"),
        "utils.archive.bulk.vector_blocks": _blocks,
        "utils.archive.compare.diff_archives": lambda place: diff_archives(
            place.given / "x.scp", place.given / "x.ark"
        ),
        "utils.archive.relocate.relocate_scp": lambda place: relocate_scp(
            place.given / "x.scp", place.output / "y.scp", Relocation()
        ),
        "utils.features.reader.FeatureReader": _features,
        "utils.packed.reader.PackedReader": _packed,
    },
    _scp_seeds,
    NUMBERS_IN_SCP,
)

PLDA = Target(
    "plda",
    {
        "utils.archive.plda.read_plda": lambda place: read_plda(place.given / "plda"),
        "utils.archive.read_vector (mean.vec)": lambda place: read_vector(place.given / "mean.vec"),
        "utils.archive.read_matrix (transform.mat)": lambda place: read_matrix(
            place.given / "transform.mat"
        ),
    },
    _plda_seeds,
    IN_ARCHIVES,
)
