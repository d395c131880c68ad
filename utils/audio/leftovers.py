"""Files that systems and programs leave in folders of audio, some of which look like audio."""

from collections.abc import Mapping

SYSTEM_NAMES = {  # in lower case; besides, all names that begin with a dot
    "@eadir",
    "@recycle",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "__macosx",
    "lost+found",
    "system volume information",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
}


def system_file_kind(name: str) -> str:
    """Kind of a system file or folder by its name, such as ``._*``; empty for any other file."""
    if name.startswith("._"):
        return "._*"
    if name == ".DS_Store" or name.lower() in SYSTEM_NAMES:
        return name
    return ".*" if name.startswith(".") else ""


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Numbers of ignored files of each kind of `system_file_kind`, for a message; empty: none."""
    if not left_out:
        return ""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(left_out.items()))
    return f"left out: {kinds}"
