"""One file over HTTP: resumed after a cut, checked, and published only when it is complete."""

import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from utils.errors import UserError
from utils.files import atomic_write, publish, read_json_object

BLOCK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60
PAUSE_SECONDS = 2.0  # before another attempt, times its number
ATTEMPTS = 5  # without a single new byte


class ConnectionCut(Exception):
    """The server closed before the end; the bytes that came are kept."""


def fetch(
    url: str,
    path: Path,
    num_bytes: int | None = None,
    digest: str = "",
    timeout_seconds: float = TIMEOUT_SECONDS,
    attempts: int = ATTEMPTS,
) -> str:
    """Fetch a file over HTTP, resuming from ``<name>.part``; an existing one is only checked.

    Parameters
    ----------
    url : str
        Address, http or https.
    path : path
        Where the file appears when it is whole.
    num_bytes : int or None
        Its size; None: not known.
    digest : str
        ``md5:...`` or ``sha256:...``; empty: not known.
    timeout_seconds : float
        How long a server may be silent.
    attempts : int
        Failures in a row, without a single new byte, before it gives up.

    Returns
    -------
    str
        The file's digest, of the same kind, or ``sha256:...`` if none is known.

    Raises
    ------
    UserError
        The server reports an error, the connection fails, the disk is too small, or the file is
        not the expected one.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"{url}: expected an address that begins with http:// or https://")
    part = path.with_name(f"{path.name}.part")
    present = path
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch_with_retries(url, part, num_bytes, timeout_seconds, attempts)
        present = part
    actual = _file_digest(present, digest)
    wrong_size = num_bytes is not None and _size(present) != num_bytes
    if wrong_size or (digest and actual != digest):
        wrong = path.with_name(f"{path.name}.wrong")
        os.replace(present, wrong)
        _facts_path(part).unlink(missing_ok=True)
        expected = digest or "any checksum"
        if num_bytes is not None:
            expected += f" and {num_bytes:,} bytes"
        raise UserError(
            f"{url}: fetched {_size(wrong):,} bytes with {actual}, expected {expected}: another "
            f"file, or damaged; moved to {wrong}; run the command again, or give another "
            "address"
        )
    if present is part:
        publish(part, path)
    _facts_path(part).unlink(missing_ok=True)
    return actual


def _fetch_with_retries(
    url: str, part: Path, num_bytes: int | None, timeout_seconds: float, attempts: int
) -> None:
    failures = 0
    while True:
        before = _size(part)
        try:
            _fetch_rest(url, part, num_bytes, timeout_seconds)
        except (
            ConnectionCut,
            TimeoutError,
            ConnectionError,
            http.client.HTTPException,
            urllib.error.URLError,
        ) as error:
            failures += 1
            if _size(part) > before:
                failures = 0
            _give_up(url, part, error, failures, attempts)
            time.sleep(PAUSE_SECONDS * (failures + 1))
        else:
            return


def _give_up(url: str, part: Path, error: Exception, failures: int, attempts: int) -> None:
    """Raise UserError if another attempt makes no sense."""
    if isinstance(error, urllib.error.HTTPError):
        raise UserError(
            f"{url}: the server answers {error.code} {error.reason}; the file may have moved: "
            "give the address of a mirror"
        ) from None
    if failures >= attempts:
        reason = getattr(error, "reason", error) or type(error).__name__
        raise UserError(
            f"{url}: {reason}, {failures} times; {_size(part):,} bytes are kept in {part}: "
            "run the same command again to resume, or give another address"
        ) from None


def _fetch_rest(url: str, part: Path, num_bytes: int | None, timeout_seconds: float) -> None:
    """Append the missing bytes; fetch all if the server has no ranges or the file has changed."""
    have = _size(part)
    facts = {}
    if have and _facts_path(part).exists():
        facts = read_json_object(_facts_path(part), remedy=f"remove it and {part}")
    if have and (have == num_bytes or have == facts.get("num_bytes")):
        return
    request = urllib.request.Request(
        url, headers={"Accept-Encoding": "identity", "User-Agent": "speaker-verification-recipes"}
    )
    if have and facts.get("version"):
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", facts["version"])
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
        first, mode = 0, "wb"
        if _is_range_from(answer, have):
            first, mode = have, "ab"
        elif have:
            print(
                f"{url}: the server sends the whole file: {have:,} bytes are fetched again",
                flush=True,
            )
        total = num_bytes
        if length := answer.headers.get("Content-Length"):
            total = first + int(length)
        _refuse_small_disk(part, (total or 0) - first)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        with atomic_write(_facts_path(part)) as file:
            json.dump({"url": url, "version": version, "num_bytes": total}, file)
        with (
            open(part, mode) as file,
            tqdm(total=total, initial=first, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and _size(part) < total:
        raise ConnectionCut(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _is_range_from(answer: http.client.HTTPResponse, start: int) -> bool:
    """Whether an answer holds the bytes from ``start`` on, and not the whole file."""
    content_range = answer.headers.get("Content-Range", "")
    is_partial = answer.status == http.client.PARTIAL_CONTENT
    return is_partial and content_range.startswith(f"bytes {start}-")


def _refuse_small_disk(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UserError(
            f"{part.parent}: {needed:,} bytes are still to come, {free:,} are free; make room, "
            "or choose another folder"
        )


def _facts_path(part: Path) -> Path:
    """Record of address, version and size of an unfinished download."""
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    if not path.exists():
        return 0
    return path.stat().st_size


def _file_digest(path: Path, like: str = "") -> str:
    """Checksum of a file, of the same kind as ``like``; sha256 if that is empty."""
    kind = like.partition(":")[0] or "sha256"
    with open(path, "rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
