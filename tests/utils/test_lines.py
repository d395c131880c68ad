"""Lines of lists: only LF ends one; byte order marks are named or skipped."""

import subprocess

import pytest

from local.corpus import read_protocol
from local.voices.lists import read_rows
from utils.data_dir.ledger import utterances_in_trials
from utils.errors import UserError
from utils.files import read_foreign_lines, read_lines, split_words
from utils.scoring.cohort import read_cohort

NO_ENDS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("letter", [*NO_ENDS, "\r"])
def test_only_lf_ends_a_line(letter, tmp_path):
    (tmp_path / "x").write_bytes(f"a{letter}b\nc\n\nd".encode())
    assert read_lines(tmp_path / "x") == [f"a{letter}b", "c", "", "d"]
    assert read_foreign_lines(tmp_path / "x") == [f"a{letter}b", "c", "", "d"]
    assert split_words(f" \ta{letter}b  c\t ") == [f"a{letter}b", "c"]


def test_a_foreign_list_may_be_one_of_windows(tmp_path):
    (tmp_path / "x").write_bytes(MARK + b"a b\r\nc\r\n")
    assert read_foreign_lines(tmp_path / "x") == ["a b", "c"]
    (tmp_path / "x").write_bytes(b"")
    assert read_foreign_lines(tmp_path / "x") == []
    (tmp_path / "x").write_bytes("a b\n".encode("utf-16"))
    with pytest.raises(UserError, match="x: begins with the byte order mark of UTF-16, expected"):
        read_foreign_lines(tmp_path / "x")


def test_the_command_in_the_message_removes_the_byte_order_mark(tmp_path):
    path = tmp_path / "my list"
    path.write_bytes(MARK + b"a\nb\n")
    with pytest.raises(UserError, match="begins with a byte order mark") as error:
        read_lines(path)
    for locale in ("C", "C.UTF-8"):
        path.write_bytes(MARK + b"a\nb\n")
        remedy = str(error.value).partition("remove it: ")[2]
        subprocess.run(["env", f"LC_ALL={locale}", "bash", "-c", remedy], check=True)
        assert read_lines(path) == ["a", "b"]


def test_the_number_of_splits_can_be_limited():
    assert split_words("a \t b  c ", 1) == ["a", "b  c"]
    assert split_words("\r") == split_words(" \t") == split_words("") == []


@pytest.mark.parametrize("letter", NO_ENDS)
def test_lists_that_come_with_a_corpus(letter, tmp_path):
    """A protocol with free text as value, and the words of another list."""
    (tmp_path / "x").write_bytes(MARK + f"a\tone{letter}two three \r\nb {letter}\r\n".encode())
    assert read_protocol(tmp_path / "x") == {"a": f"one{letter}two three", "b": letter}
    (tmp_path / "y").write_bytes(MARK + f"a{letter}b c\t\r\n\r\nd  e\r\n".encode())
    assert read_rows(tmp_path / "y", 2) == [[f"a{letter}b", "c"], ["d", "e"]]


def test_a_cohort_may_come_from_windows(tmp_path):
    (tmp_path / "spk_xvector.scp").write_text("a x.ark:2\nb x.ark:9\n")
    (tmp_path / "list").write_bytes(MARK + b"b anything\r\n\r\n")
    assert list(read_cohort(tmp_path, "speakers", tmp_path / "list").members) == ["b"]


def test_sides_of_trials_are_read_with_any_blanks_around_them(tmp_path):
    (tmp_path / "trials").write_bytes(b"m\ta  target \nm b\tnontarget\t\n")
    (tmp_path / "enroll.spk2utt").write_bytes(b"m  c\td \n")
    assert utterances_in_trials(tmp_path) == {"a", "b", "c", "d"}
