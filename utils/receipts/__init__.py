"""Receipts: the proof that a piece of work is done, and with what.

`task` is a unit of work with its receipt; `contents` says what a receipt records and what differs
from it, `values` what a YAML says, however it is written; `job_parts` are the parts of a job array.  The names below are for other packages.
"""

from utils.receipts.contents import existing_receipt, read_receipt
from utils.receipts.task import (
    DONE,
    MODE,
    NEVER,
    STALE,
    UNFINISHED,
    VISIBLE_SECONDS,
    Status,
    Task,
    data_dir_inputs,
)
from utils.receipts.values import Values

__all__ = [
    "DONE",
    "MODE",
    "NEVER",
    "STALE",
    "UNFINISHED",
    "VISIBLE_SECONDS",
    "Status",
    "Task",
    "Values",
    "data_dir_inputs",
    "existing_receipt",
    "read_receipt",
]
