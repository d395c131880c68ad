"""Paths of scp files after a folder was moved or copied."""

import shutil

import pytest

from tests.utils.archive.cases import VECTOR, write
from utils.archive import read_scp, read_vectors
from utils.archive.relocate import Relocation, relocate_scp
from utils.errors import UserError


@pytest.fixture
def moved(tmp_path, monkeypatch):
    """exp/x.{ark,scp} with relative paths, copied from ``old`` to ``new``; the original is gone."""
    (tmp_path / "old" / "exp").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "old")
    write(type(tmp_path)("exp"), {"a": VECTOR, "b": VECTOR})
    monkeypatch.chdir(tmp_path)
    shutil.move("old", "new")
    return tmp_path / "new" / "exp" / "x.scp"


def paths_of(scp):
    return {entry.rpartition(":")[0] for entry in read_scp(scp).values()}


def test_a_moved_folder_is_read_again(moved, tmp_path):
    with pytest.raises(UserError, match="no such regular file"):
        read_vectors(moved)
    out = tmp_path / "out.scp"
    for options, path in (
        ({"root": tmp_path / "new"}, f"{moved.parent}/x.ark"),
        ({"paths": "beside"}, f"{moved.parent}/x.ark"),
        ({"old": "exp", "new": str(moved.parent)}, f"{moved.parent}/x.ark"),
        ({"root": tmp_path / "new", "paths": "relative"}, "new/exp/x.ark"),
    ):
        counts = relocate_scp(moved, out, Relocation(**options))
        assert counts == {"entries": 2, "changed": 2, "pipes": 0}
        assert paths_of(out) == {path}
        assert read_vectors(out)[0] == ["a", "b"]


def test_paths_may_start_at_another_folder_and_the_list_may_be_replaced(
    moved, tmp_path, monkeypatch
):
    relocate_scp(moved, moved, Relocation("relative", tmp_path / "new", new_root=moved.parent))
    assert paths_of(moved) == {"x.ark"}
    monkeypatch.chdir(moved.parent)
    assert read_vectors("x.scp")[0] == ["a", "b"]


def test_offsets_ranges_and_pipes_stay(tmp_path, capsys):
    scp = tmp_path / "wav.scp"
    # blanks as Kaldi's programs write them are read, and not written
    scp.write_text("a there/a.ark:12[0:5] \nb  sox x.wav - |\nc\tthere/c.wav\t\n")
    counts = relocate_scp(
        scp, tmp_path / "out", Relocation("kept", old="there/", new="here"), allow_missing=True
    )
    assert (tmp_path / "out").read_text() == "a here/a.ark:12[0:5]\nb sox x.wav - |\nc here/c.wav\n"
    assert counts == {"entries": 3, "changed": 2, "pipes": 1}
    assert "1 pipes unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"x\.ark' of key 'a' does not exist \(1 of 1 files are missing\)"),
        ({"old": "ex", "new": "y"}, "no path begins with 'ex/'; the first is 'exp/x.ark:2'"),
        ({"old": "exp"}, "--old and --new go together"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(moved, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        relocate_scp(moved, tmp_path / "out.scp", Relocation(**options))
    assert not (tmp_path / "out.scp").exists()


def test_the_command(moved, tmp_path, command):
    done = command("utils.archive", "relocate", moved, tmp_path / "out.scp", "--paths", "beside")
    assert (done.returncode, done.stderr) == (0, "")
    done = command("utils.archive", "relocate", moved, tmp_path / "out.scp")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
