"""Target: weights and arrays of others: torch, pickles, npz, HDF5, TensorFlow."""

import io
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import h5py  # here, since its first import starts a program
import numpy as np
import torch

from tests.fuzz.mutations import make_zip
from tests.fuzz.target import Files, Place, Target
from tests.fuzz.worker import MARKER
from tests.pickles import Calling, hostile, python2_dict
from utils.embeddings.export import read_arrays, write_arrays
from utils.errors import UserError
from utils.foreign.child import DamagedFileError, read
from utils.foreign.keras import read_keras
from utils.foreign.pickles import pickled_arrays
from utils.foreign.sandbox import UnexpectedContentError
from utils.foreign.tensorflow import bundle_arrays, bundle_files
from utils.foreign.torch_state import state_arrays
from utils.training.checkpoints import average_weights, load_checkpoint, load_newest, weights_digest

GOLDEN = Path(__file__).parents[1] / "golden/models/written_by_tensorflow"


def _saved(value, **options) -> bytes:
    made = io.BytesIO()
    torch.save(value, made, **options)
    return made.getvalue()


def _legacy(value) -> bytes:
    """Torch's older format; its keys of arrays are addresses, here always the same."""
    content = _saved(value, _use_new_zipfile_serialization=False)
    places = {
        address: number
        for number, address in enumerate(dict.fromkeys(re.findall(rb"\d{6,}", content)))
    }
    return re.sub(
        rb"X.\0\0\0(\d{6,})",
        lambda found: b"X\x0e\0\0\0%014d" % places[found[1]],
        content,
        flags=re.DOTALL,
    )


def _torch_seeds() -> list[bytes]:
    weights = {
        "a.weight": torch.arange(6.0).reshape(2, 3),
        "a.bias": torch.zeros(2),
        "count": torch.tensor(3),
    }
    weights["tied"] = weights["a.weight"][:, :2].t()  # strides
    checkpoint = {
        "step": 3,
        "network": weights,
        "loss": {"w": torch.ones(2)},
        "optimizer": {"state": {0: {"m": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        "draw": 17,
        "scaler": {},
        "rng": torch.arange(5, dtype=torch.uint8),
    }
    others = [
        {"model": weights},
        {"state_dict": {"module.a": torch.ones(2, dtype=torch.half)}},
        weights,
        {"step": 1, "network": [1, 2]},
        [1, 2],
        torch.ones(2),
        {"step": 1, "network": {"w": torch.ones(2).to_sparse()}},
        {"step": 1, "network": {"w": torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))}},
    ]
    called = {"step": 1, "network": {"a": Calling(Path.touch, MARKER)}}
    evil = [
        _saved(called),
        _legacy(called),
        _saved({"step": 1, "network": {"a": Calling(torch.load, str(MARKER))}}),
    ]
    return [
        _saved(checkpoint),
        _legacy({key: weights[key] for key in ("a.weight", "tied")}),
        *map(_saved, others),
        *evil,
    ]


def _with_pickle(saved: bytes, pickle: bytes) -> bytes:
    """Torch's file with another pickle in it."""
    with zipfile.ZipFile(io.BytesIO(saved)) as archive:
        return make_zip(
            [
                (name, 0, pickle if name.endswith("data.pkl") else archive.read(name))
                for name in archive.namelist()
            ]
        )


def _npz(**arrays) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def _seeds() -> list[Files]:
    torches, pickles = _torch_seeds(), list(hostile(MARKER).values())
    arrays = {
        "utterances": np.array(["a", "b"]),
        "embeddings": np.ones((2, 3), np.float32),
        "speakers": np.array(["s", "t"]),
    }
    plain = [
        python2_dict({"a": np.ones((2, 3), np.float32), "b": np.arange(4)}, protocol)
        for protocol in (0, 2)
    ]
    npz = [
        _npz(**arrays, provenance=np.array('{"model": "x"}')),
        _npz(
            utterances=np.array([Calling(Path.touch, MARKER)], dtype=object),
            embeddings=np.ones((1, 2)),
        ),
    ]
    h5 = [(GOLDEN / name).read_bytes() for name in ("model.h5", "weights.h5")]
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder) / "x.h5", arrays, {"model": "x"})
        h5.append((Path(folder) / "x.h5").read_bytes())
    index, data = (
        (GOLDEN / f"model.ckpt-5.{ending}").read_bytes()
        for ending in ("index", "data-00000-of-00001")
    )
    inside = [_with_pickle(torches[0], pickle) for pickle in pickles]
    return [
        *({"step-0000003.pt": content} for content in [*torches, *inside]),
        *({"x.pkl": content} for content in [*plain, *pickles]),
        *({"x.npz": content} for content in npz),
        *({"x.h5": content} for content in h5),
        {"x.index": index, "x.data-00000-of-00001": data},
    ]


def _checkpoint(place: Place) -> None:
    state = load_checkpoint(_one(place, ".pt"))
    weights_digest(average_weights([_one(place, ".pt")]))
    int(state["step"])


def _one(place: Place, ending: str) -> Path:
    """The file of the input, under a name of this ending: every reader is given every file."""
    return next(
        (path for path in sorted(place.given.iterdir()) if path.suffix == ending),
        min(place.given.iterdir()),
    )


def _in_this_process(reader, *files: Path) -> None:
    """What the sandbox's child does: a process for each input would leave time for few of them."""
    try:
        read(reader, list(files), [""])
    except (DamagedFileError, UnexpectedContentError) as error:
        raise UserError(str(error)) from None


def _keras(place: Place) -> None:
    _refuse_no_hdf5(_one(place, ".h5"))
    read_keras(_one(place, ".h5"))


def _refuse_no_hdf5(path: Path) -> None:
    """Save the process of the sandbox where the library does not even open a file."""
    try:
        h5py.File(path, "r").close()
    except OSError as error:
        raise UserError(f"{path}: {error}") from None


def _arrays(ending: str):
    def read_one(place: Place) -> None:
        path = _one(place, ending)
        if path.suffix != ending:
            path = Path(shutil.copyfile(path, place.output / f"x{ending}"))
        if ending == ".h5":
            _refuse_no_hdf5(path)
        read_arrays(path)

    return read_one


CALLS = [
    b"cposix\nsystem\n",
    b"cbuiltins\neval\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nFloatStorage\n",
    b"cnumpy\nload\n",
    b"cnumpy\nndarray\n",
    b"ctorch.serialization\nload\n",
    b"cbuiltins\nbytearray\n",
    b"R",
    b".",
    b"\x85R",
    b"o",
    b"b",
    b"\x93",
    b"\x81",
    b"\x92",
    b"Q",
    b"h\0",
    b"q\0",
    b"(",
    b"t",
    b"}",
    b"]",
    b"K\xff",
    b"J\xff\xff\xff\x7f",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"X\xff\xff\xff\xff",
    b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"(" * 3000,
    b"]" * 3000,
    b"\x85" * 3000,
    b"2" * 3000,
    b"PK\1\2",
    b"\x89HDF\r\n",
    b"descr",
    b"'<f4'",
    b"'|O'",
    b"(9999999999,)",
    b"fortran_order",
]

CHECKPOINTS = Target(
    "checkpoints",
    {
        "utils.training.checkpoints.load_checkpoint, average_weights": _checkpoint,
        "utils.training.checkpoints.load_newest": lambda place: load_newest(place.given),
        "utils.foreign.torch_state.state_arrays": lambda place: _in_this_process(
            state_arrays, _one(place, ".pt")
        ),
        "utils.foreign.pickles.pickled_arrays": lambda place: _in_this_process(
            pickled_arrays, _one(place, ".pkl")
        ),
        "utils.embeddings.export.read_arrays (npz)": _arrays(".npz"),
        "utils.foreign.keras.read_keras": _keras,
        "utils.embeddings.export.read_arrays (hdf5)": _arrays(".h5"),
        "utils.foreign.tensorflow.bundle_arrays": lambda place: _in_this_process(
            bundle_arrays, *bundle_files(place.given / "x.index").values()
        ),
    },
    _seeds,
    CALLS,
)
