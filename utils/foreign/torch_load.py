"""Files that torch saved, loaded so that nothing of them is run, and that none asks for more memory or time than its size is worth."""

import io
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
)  # of what is damaged, or is something else
LONGEST_NAME = 500  # of a class or function; torch looks for one of a megabyte for minutes before it refuses it


class _ShortLines(io.BytesIO):
    """A file in memory: of what it has not, nothing can be asked for; its lines, which are names, are short."""

    def readline(self, size: int | None = -1) -> bytes:
        return super().readline(LONGEST_NAME)


def load_plain(path: Path) -> Any:
    """Tensors and plain values of a file of torch, on the CPU.

    Parameters
    ----------
    path : path
        Of today's format, a zip of which the checksums are looked at, or of the one before torch 1.6.

    Raises
    ------
    FAULTS
        It is missing, damaged, or holds anything else.
    """
    import torch

    if not zipfile.is_zipfile(path):
        return torch.load(
            _ShortLines(Path(path).read_bytes()), map_location="cpu", weights_only=True
        )
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type for member in members):
            raise ValueError("it is compressed, as torch's are not")
        if damaged := archive.testzip():  # torch itself does not look
            raise ValueError(f"the checksum of {damaged} is wrong")
        # The one size is what is checked, the other what is read.
        if any(member.compress_size != member.file_size for member in members):
            raise ValueError("it says two sizes of what it holds")
        for name in archive.namelist():
            if name.endswith("data.pkl") and _has_long_name(archive.read(name)):
                raise ValueError("a name in it is too long")
    return torch.load(path, map_location="cpu", weights_only=True)


def _has_long_name(content: bytes) -> bool:
    """Whether a pickle names a class or function by more letters than any has."""
    for code, argument, _ in pickletools.genops(content):
        if code.name in ("GLOBAL", "INST") and len(str(argument)) > LONGEST_NAME:
            return True
    return False


def is_whole(value: object) -> bool:
    """Whether something is a tensor of which the numbers are there that its shape promises: a stride of 0 would make memory of nothing.

    Parameters
    ----------
    value : object
        From a file.
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
