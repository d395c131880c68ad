"""Differences of archives, merged archives, and errors: last good entry, missing offset."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.utils.archive.cases import GOLDEN, OBJECTS, VECTOR, same, write
from utils.archive import iterate_archive, iterate_scp, read_scp, read_vectors
from utils.archive.compare import diff_archives, merge_archives
from utils.errors import UserError


def folder_of(path, objects, **options):
    path.mkdir()
    return write(path, objects, **options)


def test_the_same_in_another_order_and_form_differs_in_nothing(tmp_path, capsys):
    plain = {key: array for key, array in OBJECTS.items() if key != "wave"}
    _, first = folder_of(tmp_path / "a", plain)
    second, _ = folder_of(tmp_path / "b", dict(reversed(plain.items())), text=True)
    assert diff_archives(first, second) == {"same": len(plain)}
    assert capsys.readouterr().out == f"{len(plain)} the same\n"
    assert diff_archives(second, first) == {"same": len(plain)}


def test_kaldis_two_flavours_and_its_text_differ_in_nothing(monkeypatch):
    monkeypatch.chdir(GOLDEN)
    printed = 1e-6  # Kaldi's text has 7 digits
    for first, second, tolerance in (
        ("flavour_binary.ark", "flavour_text.ark", printed),
        ("train.scp", "train.txt", 0.0),
        ("mats_compressed.scp", "mats_compressed_decoded.txt", printed),
    ):
        assert diff_archives(Path(first), Path(second), tolerance=tolerance)["same"] > 3


def test_every_kind_of_difference_is_counted_and_named(tmp_path, capsys):
    first, _ = folder_of(
        tmp_path / "a", {"a": VECTOR, "b": VECTOR, "c": VECTOR, "d": VECTOR, "n": VECTOR * np.nan}
    )
    second, _ = folder_of(
        tmp_path / "b",
        {
            "b": VECTOR + np.float32(0.25),
            "c": VECTOR[:2],
            "d": VECTOR,
            "e": VECTOR,
            "n": VECTOR * np.nan,
        },
    )
    counted = (
        r"differ: 2 keys in one of them only, 1 of another kind or size, 1 with other "
        r"values, by 0\.25 at most \('b'\)"
    )
    with pytest.raises(UserError, match=counted):
        diff_archives(first, second)
    assert capsys.readouterr().out.splitlines() == [
        "2 the same",
        f"1 only in {first}: a",
        f"1 only in {second}: e",
        "1 of another kind or size: c (a float32 vector of 3, a float32 vector of 2)",
        "1 with other values: b",
    ]


@settings(max_examples=30)
@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e-2), st.booleans())
def test_the_tolerance_is_relative_above_1_and_absolute_below(
    tmp_path_factory, value, tolerance, inside
):
    step = tolerance * max(1.0, abs(value)) * (0.9 if inside else 1.1)
    folder = tmp_path_factory.mktemp("x")
    (folder / "a").write_text(f"k  [ {value + step!r} ]\n")
    (folder / "b").write_text(f"k  [ {value!r} ]\n")
    if inside:
        assert diff_archives(folder / "a", folder / "b", tolerance=tolerance) == {"same": 1}
    else:
        with pytest.raises(UserError, match="1 with other values"):
            diff_archives(folder / "a", folder / "b", tolerance=tolerance)


def test_merged_entries_are_the_bytes_that_they_were(tmp_path, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    sources = [
        Path("mats_compressed.scp"),
        Path("wav_copy.ark"),
        Path("flavour_text.ark"),
        Path("enroll_num_utts.txt"),
    ]
    assert merge_archives(sources, tmp_path / "all.ark")["entries"] == sum(
        len(list(read(path)))
        for path, read in zip(
            sources, (iterate_scp, iterate_archive, iterate_archive, iterate_archive), strict=True
        )
    )
    assert b"CM " in (tmp_path / "all.ark").read_bytes()
    merged = dict(iterate_scp(tmp_path / "all.scp"))
    for path in sources:
        for key, array in iterate_scp(path) if path.suffix == ".scp" else iterate_archive(path):
            assert same(merged[key], array)


def test_one_archive_merged_alone_gets_an_scp_file_and_keeps_its_bytes(tmp_path):
    merge_archives([GOLDEN / "test.ark"], tmp_path / "x.ark")
    assert (tmp_path / "x.ark").read_bytes() == (GOLDEN / "test.ark").read_bytes()
    assert [entry.rpartition(":")[2] for entry in read_scp(tmp_path / "x.scp").values()] == [
        entry.rpartition(":")[2] for entry in read_scp(GOLDEN / "test.scp").values()
    ]


def test_a_key_of_two_archives_is_refused_and_nothing_is_written(tmp_path):
    first, _ = folder_of(tmp_path / "a", {"a": VECTOR})
    _, second = folder_of(tmp_path / "b", {"b": VECTOR, "a": VECTOR})
    with pytest.raises(UserError, match=rf"{second}: key 'a' is in {first} too"):
        merge_archives([first, second], tmp_path / "all.ark")
    assert not list(tmp_path.glob("all*"))
    merge_archives([first], tmp_path / "all.ark")
    with pytest.raises(UserError, match=r"all\.ark: exists already"):
        merge_archives([second], tmp_path / "all.ark")
    with pytest.raises(UserError, match="found the name of an scp file"):
        merge_archives([second], tmp_path / "other.scp")


def test_a_fault_names_the_last_good_entry(tmp_path):
    ark, scp = write(tmp_path, {"a": VECTOR, "b": VECTOR, "c": VECTOR})
    ark.write_bytes(ark.read_bytes()[:-3])
    offset = read_scp(scp)["c"].rpartition(":")[2]
    for read in (
        lambda: list(iterate_archive(ark)),
        lambda: list(iterate_scp(scp)),
        lambda: read_vectors(scp),
    ):
        with pytest.raises(
            UserError, match=rf"{ark}:{offset}: key 'c': truncated .*; the last good entry is 'b'$"
        ):
            read()
    ark.write_bytes(ark.read_bytes()[: int(offset) - 3])
    with pytest.raises(UserError, match=r"truncated .*key 'b'|the last good entry is '[ab]'"):
        list(iterate_archive(ark))


@pytest.mark.parametrize("text", [False, True])
def test_an_scp_file_without_offsets_is_recognised(tmp_path, text):
    ark, scp = write(tmp_path, {"a": VECTOR, "b": VECTOR}, text=text)
    scp.write_text(f"a {ark}\nb {ark}\n")
    for read in (read_vectors, lambda path: list(iterate_scp(path))):
        with pytest.raises(
            UserError,
            match=(
                rf"{ark}:0: key 'a': this is an archive, and the entry has no "
                rf"offset.*merge {ark} NEW\.ark"
            ),
        ):
            read(scp)
    merge_archives([ark], tmp_path / "new.ark")
    assert read_vectors(tmp_path / "new.scp")[0] == ["a", "b"]


@pytest.mark.slow
def test_the_commands_exit_with_1_and_one_line(tmp_path, command):
    first, _ = folder_of(tmp_path / "a", {"a": VECTOR})
    second, _ = folder_of(tmp_path / "b", {"a": VECTOR * 2})
    done = command("utils.archive", "diff", first, second)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert command("utils.archive", "diff", first, second, "--tolerance", 2).returncode == 0
    done = command("utils.archive", "merge", first, second, tmp_path / "all.ark")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert command("utils.archive", "merge", first, tmp_path / "all.ark").returncode == 0


def test_a_merge_that_died_between_the_archive_and_its_scp_file_is_made_again(tmp_path):
    first, _ = folder_of(tmp_path / "a", {"a": VECTOR})
    merge_archives([first], tmp_path / "all.ark")
    whole = (tmp_path / "all.scp").read_bytes()
    (tmp_path / "all.scp").unlink()
    with pytest.raises(UserError, match="all.ark: exists already"):
        merge_archives([first], tmp_path / "all.ark")
    (tmp_path / ".all.scp.tmp").touch()
    assert merge_archives([first], tmp_path / "all.ark") == {"entries": 1}
    assert (tmp_path / "all.scp").read_bytes() == whole
    assert not (tmp_path / ".all.scp.tmp").exists()
