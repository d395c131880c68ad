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


def left_by_system(name: str) -> str:
    """The kind of system file or folder that a name is, such as ``._*``; empty: it is none."""
    if name.startswith("._"):
        return "._*"
    if name == ".DS_Store" or name.lower() in SYSTEM_NAMES:
        return name
    return ".*" if name.startswith(".") else ""


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """Numbers of ignored files by the kinds of `left_by_system`, as a phrase; empty for none."""
    if not left_out:
        return ""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(left_out.items()))
    return f"left out: {kinds}"
