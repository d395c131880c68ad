"""What the tests of the archive modules share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from utils.archive import ArchiveWriter
from utils.errors import UserError

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "kaldi"
VECTOR = np.array([0.5, -1.25, 3e-5], np.float32)
OBJECTS = {
    "float-vector": VECTOR,
    "double-vector": VECTOR.astype(np.float64) / 3,
    "float-matrix": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "double-matrix": np.arange(6, dtype=np.float64).reshape(3, 2) / 7,
    "int32-vector": np.array([1, -2, 2**31 - 1], np.int32),
    "wave": np.array([-32768, 0, 32767, 5], np.int16),
}


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Same type, shape and values; NaN is itself."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    )


def write(folder: Path, objects: dict[str, np.ndarray], **options) -> tuple[Path, Path]:
    """Archive and scp file of the objects; int16 is a wave of 16 kHz."""
    ark, scp = folder / "x.ark", folder / "x.scp"
    with ArchiveWriter(ark, scp, **options) as writer:
        add(writer, objects)
    return ark, scp


def add(writer: ArchiveWriter, objects: dict[str, np.ndarray]) -> None:
    """Write each object as what its type says."""
    for key, array in objects.items():
        if array.dtype == np.int16:
            writer.write_wave(key, array, 16000)
        else:
            writer.write(key, array)


def refusal(read: Callable[[], object]) -> str:
    """What a UserError says; nothing if there is none.  Any other exception is a crash."""
    try:
        read()
    except UserError as error:
        return str(error)
    return ""
