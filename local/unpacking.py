"""Archives from outside, unpacked so that nothing lands outside the folder that was meant."""

import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from utils.errors import UserError

DAMAGE = (tarfile.ReadError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


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
        It is neither, is damaged, or a member would lie or lead outside the folder, or is no file, folder or link.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if zipfile.is_zipfile(archive):
            return _unpack_zip(archive, folder)
        return _unpack_tar(archive, folder)
    except DAMAGE as error:
        raise UserError(f"{archive}: damaged, or no .zip or .tar ({error}); remove it and fetch it again") from None
    except tarfile.FilterError as error:
        raise UserError(f"{archive}: member '{error.tarinfo.name}' is refused: {error}; get the archive from elsewhere") from None


def _unpack_tar(archive: Path, folder: Path) -> int:
    if not hasattr(tarfile, "data_filter"):
        raise UserError(f"{archive}: this Python cannot unpack it safely; install a newer one (3.11.4 or later, or any 3.12)")
    number = 0
    with tarfile.open(archive, "r:*") as file:
        for member in tqdm(file, archive.name, unit=" files", disable=None):
            _refuse_outside(archive, member.name)
            file.extract(member, folder, filter="data")
            number += 1
    return number


def _unpack_zip(archive: Path, folder: Path) -> int:
    with zipfile.ZipFile(archive) as file:
        for member in tqdm(file.infolist(), archive.name, unit=" files", disable=None):
            _refuse_outside(archive, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UserError(f"{archive}: member '{member.filename}' is refused: a link; get the archive from elsewhere")
            file.extract(member, folder)
        return len(file.infolist())


def _refuse_outside(archive: Path, name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{archive}: member '{name}' is refused: it would lie outside the folder; get the archive from elsewhere")
