"""What systems and programs leave in folders of sound: files that look like sound and are none."""

from collections.abc import Mapping

# What systems and programs leave in folders, in small letters; besides, names that begin with a dot.
LEFT_BY_SYSTEMS = {
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
    """The kind of what systems and programs leave in folders that a name is of; empty: of none.

    Parameters
    ----------
    name : str
        Of a file or folder.
    """
    if name.startswith("._"):
        return "._*"
    if name == ".DS_Store" or name.lower() in LEFT_BY_SYSTEMS:
        return name
    return ".*" if name.startswith(".") else ""


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """The names that were left out, counted, as a sentence; empty where there were none.

    Parameters
    ----------
    left_out : mapping of str to int
        Kind, from `left_by_system` -> how many.
    """
    if not left_out:
        return ""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(left_out.items()))
    return f"left out: {kinds}"
