"""Fetch an openly licensed set, check and unpack it. No recipe needs this: each takes a folder.

    python -m local.download musan corpora
    python -m local.download speechocean762 corpora --url https://openslr.elda.org/resources/101

A download that was cut is resumed; the set appears under its name only when it is complete.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Literal

from local.download.table import DOWNLOADS, Archive
from local.download.unpack import unpack
from utils.cli import run
from utils.downloads import fetch
from utils.errors import UserError
from utils.files import atomic_write, publish, read_json_object


def download(
    name: Literal["musan", "rirs_noises", "vctk", "noisy_vctk", "speechocean762"],
    output: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    keep_archives: bool = False,
) -> dict:
    """Fetch the archives of a set into ``OUTPUT/archives`` and unpack them into ``OUTPUT/<name>``.

    Parameters
    ----------
    name : str
        Which set; local/download/table.py has addresses, sizes, licences and checksums.
    output : path
        Folder of corpora; ``OUTPUT/<name>.json`` records the addresses and checksums.
    url : str or None
        Folder of a mirror that has the same files under the same names.
    sha256 : str or None
        Of the archive, if the table has no checksum; without it the archive is recorded as
        unverified.
    keep_archives : bool
        Keep the archives after unpacking.

    Returns
    -------
    dict
        Numbers of ``archives``, ``bytes`` and ``members``; empty if the set exists already.

    Raises
    ------
    UserError
        An archive cannot be fetched, is not the published one, or has a member that would be
        written outside the folder.
    """
    wanted, folder = DOWNLOADS[name], output / name
    if folder.exists():
        _remove_archives(output, name)  # left by a run that was killed
        print(f"{folder}: exists already; remove it to fetch it again")
        return {}
    if sha256 and len(wanted.archives) > 1:
        raise UserError(
            f"--sha256 is given, but {name} has {len(wanted.archives)} archives, expected a set of "
            "one; leave it out, the table has their checksums"
        )
    print(f"{name}: {wanted.description}; {wanted.licence}, see {wanted.page}")
    facts, members = {}, 0
    unpacked = output / f".{name}.unpacking"
    for archive in wanted.archives:
        facts[archive.file] = _fetch_archive(archive, output, url, sha256, keep_archives)
    shutil.rmtree(unpacked, ignore_errors=True)
    for archive in wanted.archives:
        members += unpack(output / "archives" / archive.file, unpacked)
    with atomic_write(output / f"{name}.json") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    publish(unpacked, folder)
    num_bytes = sum(fact["bytes"] for fact in facts.values())
    _remove_archives(output, name)
    print(f"{folder}: {members:,} files and folders of {len(facts)} archives, {num_bytes:,} bytes")
    return {"archives": len(facts), "bytes": num_bytes, "members": members}


def _fetch_archive(
    archive: Archive, output: Path, url: str | None, sha256: str | None, is_kept: bool
) -> dict:
    """Fetch one archive; returns the facts that are recorded about it."""
    address, digest, source = archive.url, archive.digest, archive.source
    if url:
        address = f"{url.rstrip('/')}/{archive.file}"
    if sha256:
        digest, source = f"sha256:{sha256.lower()}", "--sha256"
    path = output / "archives" / archive.file
    actual = fetch(address, path, archive.num_bytes, digest)
    if not digest:
        print(
            f"{path}: unverified: no published checksum is known; it has {actual}, and only its "
            "archive format's own checks apply"
        )
    return {
        "url": address,
        "bytes": os.path.getsize(path),
        "digest": actual,
        "is_verified": bool(digest),
        "is_kept": is_kept,
        "source": source,
    }


def _remove_archives(output: Path, name: str) -> None:
    """Remove the archives of an unpacked set that are not to be kept."""
    record = output / f"{name}.json"
    if not record.exists():
        return
    for file, facts in read_json_object(record, remedy="remove it").items():
        if isinstance(facts, dict) and not facts.get("is_kept", True):
            (output / "archives" / file).unlink(missing_ok=True)


if __name__ == "__main__":
    run(download)
