"""Untrusted archives: nothing is written outside the folder, no small file fills disk or memory."""

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from utils.errors import UserError

COMPRESSIONS = {b"\x1f\x8b": gzip.GzipFile, b"BZh": bz2.BZ2File, b"\xfd7zXZ": lzma.LZMAFile}
MAX_HEADER_BYTES = 1 << 20  # of one member of a tar: its name and other fields
# Largest content: so many times the size of the archive, and these bytes more.
MAX_RATIO, SMALL_BYTES = 100, 64 << 20
BAD_NAMES = {
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ELOOP,
    errno.ENOENT,
    errno.EILSEQ,
}
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DAMAGE = (
    tarfile.ReadError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
)
# Raised by the filter for data, which Python has from 3.11.4 on.
REFUSED = getattr(tarfile, "FilterError", ())


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a ``.zip`` or a ``.tar`` (compressed or not); returns the number of members.

    UserError: it is neither, is damaged, is far larger than its size, or a member would be or lead
    outside the folder, is not a file, folder or link, or cannot have its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            return _unpack_zip(archive, folder)
        return _unpack_tar(archive, folder)
    except DAMAGE as error:
        raise UserError(
            f"{archive}: damaged, or no .zip or .tar ({error}); remove it and fetch it again"
        ) from None
    except REFUSED as error:
        raise _refusal(archive, f"'{error.tarinfo.name}'", str(error)) from None
    except OSError as error:
        if error.errno is None:  # raised by bz2
            raise UserError(f"{archive}: damaged ({error}); remove it and fetch it again") from None
        if error.errno not in BAD_NAMES or not archive.is_file():
            raise
        name = str(error.filename)[:200]
        raise UserError(
            f"{archive}: a member cannot have its name here ({error.strerror}): {name}; "
            "get the archive from elsewhere"
        ) from None


def _refusal(archive: Path, name: str, reason: str) -> UserError:
    return UserError(
        f"{archive}: member {name} is refused: {reason}; get the archive from elsewhere"
    )


def _unpack_tar(archive: Path, folder: Path) -> int:
    number, bytes_left = 0, _max_bytes(archive)
    with _decompressed(archive) as content, tarfile.open(fileobj=content, mode="r:") as file:
        for member in tqdm(file, archive.name, unit=" files", disable=None):
            bytes_left -= member.size + tarfile.BLOCKSIZE
            _check_member(archive, member.name, bytes_left)
            if REFUSED:
                file.extract(member, folder, filter="data")
            elif member.isreg() or member.isdir():
                file.extract(member, folder, set_attrs=False)
            else:
                raise _refusal(archive, f"'{member.name}'", "neither file nor folder")
            number += 1
    return number


def _decompressed(archive: Path) -> "_LimitedReads":
    with open(archive, "rb") as file:
        head = file.read(6)
    for magic, compressed in COMPRESSIONS.items():
        if head.startswith(magic):
            return _LimitedReads(compressed(archive, "rb"))
    return _LimitedReads(open(archive, "rb"))


class _LimitedReads(io.BufferedIOBase):
    """The content of a tar; a header that asks for many bytes at once is refused as damaged."""

    def __init__(self, file: io.BufferedIOBase):
        self.file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size or -1:,} bytes")
        return self.file.read(size)

    def close(self) -> None:
        self.file.close()
        super().close()


def _unpack_zip(archive: Path, folder: Path) -> int:
    bytes_left = _max_bytes(archive)
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        for member in tqdm(members, archive.name, unit=" files", disable=None):
            bytes_left -= member.file_size
            _check_member(archive, member.filename, bytes_left)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refusal(archive, f"'{member.filename}'", "a link")
            file.extract(member, folder)
    return len(members)


def _max_bytes(archive: Path) -> int:
    return MAX_RATIO * archive.stat().st_size + SMALL_BYTES


def _check_member(archive: Path, name: str, bytes_left: int) -> None:
    """Raise UserError for a member outside the folder, without a usable name, or too large."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise _refusal(archive, f"'{name}'", "it would be outside the folder")
    if not name or CONTROL.search(name):
        raise _refusal(archive, repr(name[:200]), "no name for a file")
    if bytes_left < 0:
        raise UserError(
            f"{archive}: member '{name}' is refused: the content is more than {MAX_RATIO} times "
            "the archive's size; get the archive from elsewhere, or unpack it yourself"
        )
