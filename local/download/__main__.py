"""Fetch an openly licensed set, check it and unpack it.  No recipe needs this: each takes the folder of a set that is there already.

    python -m local.download musan corpora
    python -m local.download speechocean762 corpora --url https://openslr.elda.org/resources/101

A download that was cut goes on where it was; the set appears under its name only when it is whole.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Literal

from local.download.fetch import fetch
from local.download.table import DOWNLOADS
from local.download.unpack import unpack
from utils.cli import run
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
        Which set; local/download/table.py says where it is, how large, under which licence, and what its checksums are.
    output : path
        Folder of corpora; what was fetched from where, and what proves it, is written to ``OUTPUT/<name>.json``.
    url : str or None
        Folder of a mirror that has the same files under the same names.
    sha256 : str or None
        Of the archive, where the table has no checksum; without it the one that was found is written down, and that nothing confirms it is said.
    keep_archives : bool
        Leave them there once they are unpacked.

    Returns
    -------
    dict
        Numbers of ``archives``, ``bytes`` and ``members``; none where the set was there already.

    Raises
    ------
    UserError
        An archive cannot be fetched, is not the published one, or holds something that would lie outside the folder.
    """
    wanted, folder = DOWNLOADS[name], output / name
    if folder.exists():
        _remove_archives(output, name)  # which a run that died has left
        print(f"{folder}: is there already; remove it to fetch it again")
        return {}
    if sha256 and len(wanted.archives) > 1:
        raise UserError(
            f"--sha256 is of one archive, {name} has {len(wanted.archives)}; the table has their checksums"
        )
    print(f"{name}: {wanted.what}; {wanted.licence}, see {wanted.page}")
    found, sizes, members = {}, {}, 0
    unpacked = output / f".{name}.unpacking"
    for archive in wanted.archives:
        digest = f"sha256:{sha256.lower()}" if sha256 else archive.digest
        address = f"{url.rstrip('/')}/{archive.file}" if url else archive.url
        path = output / "archives" / archive.file
        seen = fetch(address, path, archive.num_bytes, digest)
        sizes[archive.file] = os.path.getsize(path)
        found[archive.file] = {
            "url": address,
            "bytes": sizes[archive.file],
            "digest": seen,
            "is_verified": bool(digest),
            "is_kept": keep_archives,
            "source": "--sha256" if sha256 else archive.source,
        }
        if not digest:
            print(
                f"{path}: unverified: no checksum is published that we know of; it has {seen}, and its archive format's own checks"
            )
    shutil.rmtree(unpacked, ignore_errors=True)
    for archive in wanted.archives:
        members += unpack(output / "archives" / archive.file, unpacked)
    with atomic_write(output / f"{name}.json") as file:
        json.dump(found, file, indent=1)
        file.write("\n")
    publish(unpacked, folder)
    _remove_archives(output, name)
    counts = {
        "archives": len(found),
        "bytes": sum(sizes.values()),
        "members": members,
    }
    print(
        f"{folder}: {members:,} files and folders of {len(found)} archives, {counts['bytes']:,} bytes"
    )
    return counts


def _remove_archives(output: Path, name: str) -> None:
    """Remove what a set was unpacked from, but for archives that were to be kept."""
    facts = output / f"{name}.json"
    for file, said in (read_json_object(facts, mend="remove it") if facts.exists() else {}).items():
        if isinstance(said, dict) and not said.get("is_kept", True):
            (output / "archives" / file).unlink(missing_ok=True)


if __name__ == "__main__":
    run(download)
