"""The archive writer: whole or not there, checksums, refusals."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.utils.archive.cases import OBJECTS, VECTOR, write
from utils.archive import ArchiveWriter, read_scp, write_text_vectors
from utils.archive.objects import encode_object
from utils.files import file_sha256


def test_outputs_say_size_and_checksum_of_what_is_on_disk(tmp_path):
    ark, scp = tmp_path / "new" / "x.ark", tmp_path / "new" / "x.scp"
    with ArchiveWriter(ark, scp) as writer:
        writer.write("a", VECTOR)
    assert writer.outputs == {
        str(p): {"bytes": p.stat().st_size, "sha256": file_sha256(p)} for p in (ark, scp)
    }
    assert scp.read_text() == f"a {ark}:2\n"
    assert sorted(os.listdir(ark.parent)) == ["x.ark", "x.scp"]


def test_wave_offset_is_at_riff_and_the_header_has_44_bytes(tmp_path):
    ark, scp = write(tmp_path, {"utt": OBJECTS["wave"]})
    offset = int(read_scp(scp)["utt"].rpartition(":")[2])
    assert ark.read_bytes()[offset : offset + 4] == b"RIFF"
    assert ark.read_bytes()[offset + 44 :] == OBJECTS["wave"].tobytes()


def test_ark_is_renamed_before_scp(tmp_path, monkeypatch):
    order = []
    rename = os.replace
    monkeypatch.setattr(
        "utils.files.os.replace", lambda a, b: (order.append(Path(b).name), rename(a, b))
    )
    write(tmp_path, {"a": VECTOR})
    assert order == ["x.ark", "x.scp"]


def test_nothing_appears_and_nothing_old_is_lost_after_an_exception(tmp_path):
    write(tmp_path, {"old": VECTOR})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    writer = ArchiveWriter(tmp_path / "x.ark", tmp_path / "x.scp")
    with suppress(RuntimeError), writer:
        writer.write("new", VECTOR)
        assert {p.name for p in tmp_path.iterdir()} == {
            "x.ark",
            "x.scp",
            ".x.ark.tmp",
            ".x.scp.tmp",
        }
        raise RuntimeError
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert writer.outputs == {}


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write(tmp_path, {"old": VECTOR})
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("utils.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, {"new": VECTOR})
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_leftovers_of_a_killed_run_are_replaced(tmp_path):
    for name in (".x.ark.tmp", ".x.scp.tmp"):
        (tmp_path / name).write_bytes(b"half" * 1000)
    ark, _ = write(tmp_path, {"a": VECTOR})
    assert ark.read_bytes() == b"a " + encode_object(VECTOR)
    assert sorted(os.listdir(tmp_path)) == ["x.ark", "x.scp"]


def test_same_input_gives_same_bytes(tmp_path):
    contents = {tuple(path.read_bytes() for path in write(tmp_path, OBJECTS)) for _ in range(2)}
    assert len(contents) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "a\n", "a\0b", " a"])
def test_keys_that_no_reader_could_find_are_refused(tmp_path, key):
    with pytest.raises(ValueError, match="key"):
        write(tmp_path, {key: VECTOR})
    with pytest.raises(ValueError, match="key"):
        write_text_vectors(tmp_path / "n.ark", {key: 1})
    assert not list(tmp_path.iterdir())


def test_a_key_is_written_once(tmp_path):
    with ArchiveWriter(tmp_path / "x.ark", tmp_path / "x.scp") as writer:
        writer.write("a", VECTOR)
        for write_again in (
            lambda: writer.write("a", VECTOR),
            lambda: writer.write_wave("a", OBJECTS["wave"], 16000),
        ):
            with pytest.raises(ValueError, match=r"'a' is in .*x.ark already"):
                write_again()


@pytest.mark.parametrize(
    "array",
    [
        VECTOR.astype(np.float16),
        np.array([1, 2]),
        np.zeros((2, 2), np.int32),
        np.zeros((1, 1, 1)),
        np.array(1.0),
        np.zeros((0, 3)),
    ],
)
def test_arrays_that_kaldi_has_no_form_for_are_refused(array):
    with pytest.raises(ValueError, match="expected|Kaldi has no"):
        encode_object(array)
