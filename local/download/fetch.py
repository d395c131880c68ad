"""One file over HTTP: resumed where it was cut, checked, and there under its name only when it is whole."""

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
    """The server closed before the end; what has come is kept."""


def fetch(url: str, path: Path, num_bytes: int | None = None, digest: str = "") -> str:
    """Fetch a file, going on from what an earlier call has left in ``<name>.part``.

    Parameters
    ----------
    url : str
        ``http`` or ``https``.
    path : path
        Where it shall be; one that is there already is checked and not fetched.
    num_bytes : int or None
        Its size, if that is known.
    digest : str
        ``md5:...`` or ``sha256:...``; empty: unknown.

    Returns
    -------
    str
        ``sha256:...`` of the file, for those who want to write it down; of one with an md5 digest that digest.

    Raises
    ------
    UserError
        The address answers with an error, the connection fails again and again, the disk is too small, or the file is not what was expected.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"{url}: expected an address that begins with http:// or https://")
    part = path.with_name(f"{path.name}.part")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        failures = 0
        while True:
            before = _size(part)
            try:
                _fetch_rest(url, part, num_bytes)
                break
            except (
                ConnectionCut,
                TimeoutError,
                ConnectionError,
                http.client.HTTPException,
                urllib.error.URLError,
            ) as error:
                failures = 0 if _size(part) > before else failures + 1
                _give_up(url, part, error, failures)
                time.sleep(PAUSE_SECONDS * (failures + 1))
    present = part if not path.exists() else path
    found = _digest_of(present, digest)
    if (num_bytes is not None and _size(present) != num_bytes) or (digest and found != digest):
        wrong = path.with_name(f"{path.name}.wrong")
        os.replace(present, wrong)
        _facts(part).unlink(missing_ok=True)
        size = "" if num_bytes is None else f" and {num_bytes:,} bytes"
        raise UserError(
            f"{url}: fetched {_size(wrong):,} bytes with {found}, expected {digest or 'any checksum'}{size}; it is another file, or "
            f"damaged: moved to {wrong}; run the command again, or give another --url"
        )
    if present is part:
        publish(part, path)
    _facts(part).unlink(missing_ok=True)
    return found


def _give_up(url: str, part: Path, error: Exception, failures: int) -> None:
    if isinstance(error, urllib.error.HTTPError):
        raise UserError(
            f"{url}: the server answers {error.code} {error.reason}; the file may have moved: give a mirror by --url"
        ) from None
    if failures >= ATTEMPTS:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{url}: {reason or type(error).__name__}, {failures} times; {_size(part):,} bytes are kept in {part}: run the same command "
            "again to go on, or give another --url"
        ) from None


def _fetch_rest(url: str, part: Path, num_bytes: int | None) -> None:
    """Ask for what is missing, and append it; where the server knows no ranges, or the file has changed, all of it anew."""
    have = _size(part)
    facts = (
        read_json_object(_facts(part), mend=f"remove it and {part}")
        if have and _facts(part).exists()
        else {}
    )
    if have and (have == num_bytes or have == facts.get("num_bytes")):
        return
    request = urllib.request.Request(
        url, headers={"Accept-Encoding": "identity", "User-Agent": "speaker-verification-recipes"}
    )
    if have and facts.get("version"):
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", facts["version"])
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        is_rest = answer.status == http.client.PARTIAL_CONTENT and answer.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {have}-")
        if have and not is_rest:
            print(
                f"{url}: the server sends the whole file again: {have:,} bytes are fetched anew",
                flush=True,
            )
        first = have if is_rest else 0
        length = answer.headers.get("Content-Length")
        total = first + int(length) if length else num_bytes
        _refuse_small_disk(part, (total or 0) - first)
        with atomic_write(_facts(part)) as file:
            json.dump(
                {
                    "url": url,
                    "version": answer.headers.get("ETag") or answer.headers.get("Last-Modified"),
                    "num_bytes": total,
                },
                file,
            )
        with (
            open(part, "ab" if is_rest else "wb") as file,
            tqdm(total=total, initial=first, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and _size(part) < total:
        raise ConnectionCut(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _refuse_small_disk(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UserError(
            f"{part.parent}: {needed:,} bytes are still to come, {free:,} are free; make room, or choose another folder"
        )


def _facts(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest_of(path: Path, like: str = "") -> str:
    """Checksum of a file."""
    kind = like.partition(":")[0] or "sha256"
    with open(path, "rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"
