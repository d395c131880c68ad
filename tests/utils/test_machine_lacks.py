"""Too few file handles: the file is not reported as unreadable or damaged."""

import errno
import os
import resource
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
import torch

from utils.audio import read_audio
from utils.training.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint


@contextmanager
def no_file_handles():
    """Let this process open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_audio_is_not_unreadable_if_file_handles_run_out(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    assert len(read_audio(tmp_path / "a.wav")[0]) == 1600
    with pytest.raises(OSError, match="Too many open files") as raised, no_file_handles():
        read_audio(tmp_path / "a.wav")
    assert raised.value.errno == errno.EMFILE


def test_a_checkpoint_is_not_damaged_if_file_handles_run_out(tmp_path):
    path = checkpoint_path(tmp_path, 4)
    save_checkpoint(path, {"step": 4, "network": {"w": torch.zeros(2)}})
    assert load_checkpoint(path)["step"] == 4
    with pytest.raises(OSError, match="Too many open files"), no_file_handles():
        load_checkpoint(path)
