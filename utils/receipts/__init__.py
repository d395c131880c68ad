"""Receipts: the record that a piece of work is done, and with what.

`task` is a unit of work with its receipt; `contents` reads receipts and compares them with the
present files, `values` compares YAML files by value, `without_paths` inputs of two folders;
`job_parts` collects the parts of a job array; `check` gives the statuses of a command's tasks.
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
