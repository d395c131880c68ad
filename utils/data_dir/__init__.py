"""Kaldi data directories: lists of recordings, utterances and speakers.

`directory`: read, check and write one; `derive`: subsets and unions; `repair`; `lists` and
`formats`: single lists; `rules` and `trial_rules`: checks between lists; `ledger`: dropped
utterances; `trial_list`: millions of trials.  The names below are for other packages; the command
is ``python -m utils.data_dir``.
"""

from utils.data_dir.derive import (
    combine_data_dirs,
    copy_data_dir,
    job_utterances,
    split_data_dir,
    subset_data_dir,
)
from utils.data_dir.directory import (
    DataDir,
    data_dir_problems,
    read_data_dir,
    validate_data_dir,
    write_data_dir,
)
from utils.data_dir.formats import is_list
from utils.data_dir.lists import read_map, read_trials, write_map
from utils.data_dir.repair import fix_data_dir

__all__ = [
    "DataDir",
    "combine_data_dirs",
    "copy_data_dir",
    "data_dir_problems",
    "fix_data_dir",
    "is_list",
    "job_utterances",
    "read_data_dir",
    "read_map",
    "read_trials",
    "split_data_dir",
    "subset_data_dir",
    "validate_data_dir",
    "write_data_dir",
    "write_map",
]
