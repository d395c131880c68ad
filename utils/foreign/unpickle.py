"""Pickles from outside, read without running anything of theirs: arrays of numbers, plain containers, text and numbers.

Python's own unpickler calls whatever a file names.  This one is a machine of its own over the same opcodes: the few names that arrays need stand for
methods of ours (utils/foreign/pickles.py), every other name is refused, and no object is asked to set its own state.  What a file declares never
decides how much memory is taken: an array is a view of bytes that are in the file, and all copies together are no larger than the file.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from utils.errors import UserError
from utils.foreign.pickles import HIGHEST_PROTOCOL, Refused, execute


def unpickle(path: Path) -> Any:
    """Read a pickle of protocols 0 to 5, also one written by Python 2, whose byte strings become text by latin-1.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    object
        None, numbers, text, bytes, and dicts, lists, tuples and sets of them; arrays and NumPy's numbers as read-only arrays.

    Raises
    ------
    UserError
        The file is missing, damaged, or asks for anything else: names what it asks for.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return execute(content)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Refused as refusal:
        raise UserError(f"{path}: the pickle asks for {refusal}; only arrays of numbers, dicts, lists, tuples, sets, text and numbers are read "
                        "(nothing of it was run)") from None
    except (ValueError, LookupError, TypeError, OverflowError, struct.error) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{path}: not a whole pickle of protocols 0 to {HIGHEST_PROTOCOL} ({reason})") from None
