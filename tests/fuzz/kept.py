"""Inputs that once were findings, kept as files: seeds/<target>/<name>.json."""

import base64
import json
import zlib
from pathlib import Path

from tests.fuzz.target import Files

SEEDS = Path(__file__).parent / "seeds"


def keep(target: str, name: str, files: Files) -> Path:
    """Write an input: text as it is, anything else compressed in base64."""

    def written(content: bytes):
        if (
            content.isascii()
            and len(content) < 2000
            and content.decode().isprintable() | (b"\n" in content and b"\0" not in content)
        ):
            return content.decode()
        return {"zlib": base64.b64encode(zlib.compress(content, 9)).decode()}

    path = SEEDS / target / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({file: written(content) for file, content in files.items()}, indent=1) + "\n",
        encoding="utf-8",
    )
    return path


def kept_inputs(target: str) -> dict[str, Files]:
    """Name -> input, of all that are kept of a target."""
    found = {}
    for path in sorted((SEEDS / target).glob("*.json")):
        files = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = {
            file: content.encode()
            if isinstance(content, str)
            else zlib.decompress(base64.b64decode(content["zlib"]))
            for file, content in files.items()
        }
    return found
