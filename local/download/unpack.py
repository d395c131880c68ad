"""Archives from outside, unpacked so that nothing lands outside the folder that was meant, and no small file fills the disk or the memory."""

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
MOST_HEADER_BYTES = 1 << 20  # of one member of a tar: its name, and what else its writer said of it
# What is unpacked may be so many times larger than the archive, and this much in any case.
MOST_TIMES, SMALL_BYTES = 100, 64 << 20
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
# By the filter for data, which Python has from 3.11.4 on.
REFUSED = getattr(tarfile, "FilterError", ())


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a ``.zip`` or a ``.tar`` (compressed or not).

    Parameters
    ----------
    archive : path
        The file.
    folder : path
        Where to; made.

    Returns
    -------
    int
        Number of members.

    Raises
    ------
    UserError
        It is neither, is damaged, unpacks to far more than its size, or a member would lie or lead outside the folder, is no file, folder or link,
        or cannot have its name.
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
        raise UserError(
            f"{archive}: member '{error.tarinfo.name}' is refused: {error}; get the archive from elsewhere"
        ) from None
    except OSError as error:
        if error.errno is None:  # of bz2
            raise UserError(f"{archive}: damaged ({error}); remove it and fetch it again") from None
        if error.errno not in BAD_NAMES or not archive.is_file():
            raise
        name = str(error.filename)[:200]
        raise UserError(
            f"{archive}: a member cannot have its name here ({error.strerror}): {name}; get the archive from elsewhere"
        ) from None


def _unpack_tar(archive: Path, folder: Path) -> int:
    number, left = 0, _most_bytes(archive)
    with _decompressed(archive) as content, tarfile.open(fileobj=content, mode="r:") as file:
        for member in tqdm(file, archive.name, unit=" files", disable=None):
            left -= member.size + tarfile.BLOCKSIZE
            _refuse(archive, member.name, left)
            if REFUSED:
                file.extract(member, folder, filter="data")
            elif member.isreg() or member.isdir():
                file.extract(member, folder, set_attrs=False)
            else:
                raise UserError(
                    f"{archive}: member '{member.name}' is refused: neither file nor folder; get the archive from elsewhere"
                )
            number += 1
    return number


def _decompressed(archive: Path) -> "_Headers":
    with open(archive, "rb") as file:
        head = file.read(6)
    for magic, compressed in COMPRESSIONS.items():
        if head.startswith(magic):
            return _Headers(compressed(archive, "rb"))
    return _Headers(open(archive, "rb"))


class _Headers(io.BufferedIOBase):
    """A tar that is read in pieces; one header that asks for much at once is damaged, or means to fill the memory."""

    def __init__(self, file: io.BufferedIOBase):
        self.file = file

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(place, whence)

    def tell(self) -> int:
        return self.file.tell()

    def read(self, size: int | None = -1) -> bytes:
        number = -1 if size is None else size
        if not 0 <= number <= MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {number:,} bytes")
        return self.file.read(number)

    def close(self) -> None:
        self.file.close()
        super().close()


def _unpack_zip(archive: Path, folder: Path) -> int:
    left = _most_bytes(archive)
    with zipfile.ZipFile(archive) as file:
        for member in tqdm(file.infolist(), archive.name, unit=" files", disable=None):
            left -= member.file_size
            _refuse(archive, member.filename, left)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UserError(
                    f"{archive}: member '{member.filename}' is refused: a link; get the archive from elsewhere"
                )
            file.extract(member, folder)
        return len(file.infolist())


def _most_bytes(archive: Path) -> int:
    return MOST_TIMES * archive.stat().st_size + SMALL_BYTES


def _refuse(archive: Path, name: str, left: int) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"{archive}: member '{name}' is refused: it would lie outside the folder; get the archive from elsewhere"
        )
    if not name or CONTROL.search(name):
        raise UserError(
            f"{archive}: member {name[:200]!r} is refused: no name for a file; get the archive from elsewhere"
        )
    if left < 0:
        raise UserError(
            f"{archive}: member '{name}' is refused: with it more than {MOST_TIMES} times the archive's size would be unpacked; get the "
            "archive from elsewhere, or unpack it yourself"
        )
