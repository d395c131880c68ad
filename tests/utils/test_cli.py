"""The command wrapper: exit codes, one line for a user's mistake, a traceback for a bug."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.archive.__main__ import head_archive
from utils.cli import call, one_line_message
from utils.errors import UserError

STEP = """
from pathlib import Path
from utils.cli import run
from utils.errors import UserError, WrongArguments

def step(data: Path, *, snr_db: float = 3.0, trim: bool = False, kind: str = "ok") -> None:
    '''Do it.

    Parameters
    ----------
    data : path
        Data.
    snr_db : float
        In dB.
    trim : bool
        Whether.
    kind : str
        How it ends.
    '''
    if kind == "user":
        raise UserError("data/x:3: found a, expected b; do c")
    if kind == "words":
        raise WrongArguments("--snr-db and --trim: both were given; leave one out")
    if kind == "loader":
        from torch.utils.data import DataLoader

        class Broken:
            def __len__(self):
                return 1

            def __getitem__(self, index):
                raise UserError("data/x.ark: ends early; pack it again")

        next(iter(DataLoader(Broken(), num_workers=1)))
    if kind == "bug":
        raise KeyError("bug")
    if kind == "memory":
        import numpy

        numpy.zeros((1 << 20, 1 << 40), numpy.int8)
    if kind == "torch":
        import torch

        torch.empty(1 << 60, dtype=torch.int8)
    if kind == "disk":
        open("/nonexistent/folder/file", "w")
    if kind.isdigit():
        import os

        raise OSError(int(kind), os.strerror(int(kind)), "exp/x")
    print(data, snr_db, trim)

run(step)
"""


@pytest.fixture
def step():
    """Run the step above with a command line."""

    def call(*words):
        return subprocess.run(
            [sys.executable, "-c", STEP, *words], capture_output=True, text=True, check=False
        )

    return call


def test_dashes_and_underscores_are_the_same(step):
    for words in (["a", "--snr-db", "5", "--trim", "true"], ["--snr_db=5", "--trim=true", "a"]):
        assert step(*words).stdout == "a 5.0 True\n"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a", "b"],
        ["a", "--snr"],
        ["a", "--snr-db", "loud"],
        ["a", "--snrdb", "5"],
        ["a", "--trim", "perhaps"],
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(step, words):
    done = step(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_arguments_that_do_not_go_together_are_a_wrong_command_line(step):
    done = step("a", "--kind", "words")
    assert done.returncode == 2
    assert done.stderr == "-c: --snr-db and --trim: both were given; leave one out\n"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("scp:x.scp", "give the path alone: x.scp"),
        ("ark:x.ark", "give the path alone: x.ark"),
        ("ark,scp:x.ark,x.scp", "give the path alone: x.ark"),
        ("scp,p:data/feats.scp", "give the path alone: data/feats.scp"),
        ("ark,t:-", "standard input and output are not read or written here"),
        ("ark,s,cs:gunzip -c x.gz |", "pipes are not run here: write the command's output"),
    ],
)
@pytest.mark.parametrize("option", ["", "--kind=", "--kind"])
def test_a_kaldi_specifier_is_refused_with_what_to_give_instead(word, message, option, capsys):
    words = (
        [word] if not option else ["a", option + word] if option[-1] == "=" else ["a", option, word]
    )
    with pytest.raises(SystemExit) as left:
        call(head_archive, words)
    assert left.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"'{word}' is a specifier of Kaldi's programs, expected a path; {message}" in line


def test_a_file_named_like_a_specifier_may_be_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ark:x").write_text("a  [ 1 2 ]\n")
    assert call(head_archive, ["ark:x"]) == ["a"]


def test_a_user_error_is_one_line_and_exit_code_1(step):
    done = step("a", "--kind", "user")
    assert done.returncode == 1
    assert done.stderr.endswith(": data/x:3: found a, expected b; do c\n")
    assert len(done.stderr.splitlines()) == 1


def test_invisible_characters_are_escaped():
    message = one_line_message(
        UserError("x:1: id 'a\u2028b\x85\x0b\ufeff\u200b\xa0 \u00fc' is new")
    )
    assert message == "x:1: id 'a\\u2028b\\x85\\x0b\\ufeff\\u200b\\xa0 \u00fc' is new"


@pytest.mark.slow
def test_a_user_error_of_a_loader_process_is_one_line_too(step):
    done = step("a", "--kind", "loader")
    assert done.returncode == 1
    assert done.stderr.endswith(": data/x.ark: ends early; pack it again\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_disk_error_is_one_line_that_names_the_file(step):
    done = step("a", "--kind", "disk")
    assert done.returncode == 1
    assert "/nonexistent/folder/file: No such file or directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOLCK,
            (
                "No locks available; mount it with locks (NFS: not nolock; Lustre: -o flock), "
                "or give another --workdir, and run the same"
            ),
        ),
        (
            errno.EFBIG,
            (
                "File too large; raise the limit (`ulimit -f`), or give a --workdir on a disk for "
                "larger files, and run the same"
            ),
        ),
        (errno.ENAMETOOLONG, "File name too long"),
        (errno.ELOOP, "Too many levels of symbolic links"),
    ],
)
def test_rare_disk_errors_are_one_line_too(step, number, message):
    done = step("a", "--kind", str(number))
    assert done.returncode == 1
    assert f": exp/x: {message}" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(("kind", "code"), [("ok", 0), ("user", 1)])
def test_a_closed_standard_output_is_no_error(kind, code):
    done = subprocess.run(
        [sys.executable, "-c", STEP, "a", "--kind", kind],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: os.close(1),
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("kind", "code"), [("ok", 0), ("user", 1)])
def test_one_of_several_training_processes_ends_before_python_is_finalised(kind, code):
    """After exit handlers and with all its output; a late thread of gloo would abort it."""
    ends = """
import atexit
atexit.register(print, "handlers")
class Last:
    def __del__(self, write=print):
        write("finalised")
last = Last()
"""
    for several, output in (({}, ["handlers", "finalised"]), ({"WORLD_SIZE": "2"}, ["handlers"])):
        environment = {
            name: value for name, value in os.environ.items() if name != "WORLD_SIZE"
        } | several
        done = subprocess.run(
            [sys.executable, "-c", ends + STEP, "a", "--kind", kind],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        print(several, done.stdout.splitlines(), done.stderr)
        assert done.returncode == code
        assert done.stdout.splitlines() == [*(["a 3.0 False"] if kind == "ok" else []), *output]
        assert len(done.stderr.splitlines()) == code


def test_a_bug_keeps_its_traceback(step):
    done = step("a", "--kind", "bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="depends on the Linux kernel")
def test_a_step_whose_launcher_has_died_does_nothing_also_while_that_is_a_zombie(step, monkeypatch):
    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    monkeypatch.setenv("SV_STAGED", str(dead.pid))
    done = step("a")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "the process that started this command has died\n",
    )
    dead.wait()


def test_help_is_the_docstring(step):
    done = step("--help")
    assert done.returncode == 0
    assert "Do it." in done.stdout
    assert "In dB." in done.stdout


@pytest.mark.parametrize("level", ["1", "2"])
@pytest.mark.slow
def test_a_step_runs_without_docstrings_and_assertions(step, level, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", level)
    assert step("a", "--snr-db", "5").stdout == "a 5.0 False\n"
    assert "--snr_db" in step("--help").stdout
    assert len(step("a", "--kind", "user").stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["memory", "torch"])
@pytest.mark.slow
def test_lack_of_memory_is_one_line(step, kind):
    done = step("a", "--kind", kind)
    print(done.stderr)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Cannot allocate memory (" in done.stderr


def test_a_last_argument_may_be_left_out_and_an_option_may_have_the_name_of_a_keyword(capsys):
    def step(name: str, folder: Path | None = None, *, from_: Path | None = None) -> tuple:
        """Do it."""
        return name, folder, from_

    assert call(step, ["a"]) == ("a", None, None)
    assert call(step, ["a", "b", "--from", "c"]) == ("a", Path("b"), Path("c"))
    assert call(step, ["--from=c", "a"]) == ("a", None, Path("c"))
    with pytest.raises(SystemExit) as caught:
        call(step, ["a", "b", "c"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        call(step, ["--help"])
    assert "[--from FROM]" in capsys.readouterr().out
