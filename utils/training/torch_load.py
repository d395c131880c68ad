"""Load our own checkpoints: no code in a file runs, and none takes more memory than its size."""

import pickle
import pickletools
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

FAULTS = (
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    OSError,
    struct.error,
    zlib.error,
)  # raised for a file that is damaged, or of another format
LONGEST_NAME = 500  # of a class; torch takes minutes to refuse a name of a megabyte


def load_plain(path: Path) -> Any:
    """Load a torch zip file of tensors and plain values; raises one of FAULTS for any other."""
    import torch

    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type for member in members):
            raise ValueError("it is compressed, as torch's are not")
        if damaged := archive.testzip():  # torch does not check it
            raise ValueError(f"the checksum of {damaged} is wrong")
        # zipfile checks the one size, torch reads the other.
        if any(member.compress_size != member.file_size for member in members):
            raise ValueError("it states two sizes for one of its members")
        for name in archive.namelist():
            if name.endswith("data.pkl") and _has_long_name(archive.read(name)):
                raise ValueError("a name in it is too long")
    return torch.load(path, map_location="cpu", weights_only=True)


def _has_long_name(content: bytes) -> bool:
    """True if a pickle names a class or function with more than LONGEST_NAME letters."""
    for code, argument, _ in pickletools.genops(content):
        if code.name in ("GLOBAL", "INST") and len(str(argument)) > LONGEST_NAME:
            return True
    return False


def is_whole(value: object) -> bool:
    """True for a dense CPU tensor whose storage covers its shape.

    A stride of 0 could expand a few bytes to gigabytes.
    """
    import torch

    if (
        not isinstance(value, torch.Tensor)
        or value.layout is not torch.strided
        or value.is_quantized
        or value.is_complex()
    ):
        return False
    return (
        value.device.type == "cpu"
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )
