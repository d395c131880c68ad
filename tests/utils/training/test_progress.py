"""Progress of a training, and its display: in 80 columns of a terminal, and in a file."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

import pytest

from utils.files import read_json_object
from utils.locks.holder import SILENT_SECONDS, holder
from utils.training import log as training_log
from utils.training.log import StepLines, make_bar
from utils.training.progress import PROGRESS, Progress, describe_progress


def checkpoints(folder, *steps):
    (folder / "checkpoints").mkdir(parents=True)
    for step in steps:
        (folder / "checkpoints" / f"step-{step:07}.pt").touch()


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def note(folder, **changes):
    """What a training of this host noted, with some entries changed."""
    (folder / "log").mkdir(parents=True, exist_ok=True)
    noted = holder(os.getpid(), "") | {"step": 354, "total_steps": 400} | changes
    (folder / PROGRESS).write_text(json.dumps(noted))
    return noted


def test_what_has_not_begun_stands_nowhere(tmp_path):
    assert describe_progress(tmp_path) == ""
    note(tmp_path, process=dead_process())
    assert describe_progress(tmp_path) == "", "it died before its first checkpoint"


def test_a_training_that_runs_says_its_step_host_and_process(tmp_path):
    checkpoints(tmp_path, 0, 300)
    with Progress(tmp_path, 400) as progress:
        progress.note(354)
        host = holder(os.getpid(), "")["host"]
        said = f"running: step 354 of 400, host {host}, process {os.getpid()}"
        assert describe_progress(tmp_path) == said
        progress.note(355)
        assert describe_progress(tmp_path) == said, "a note a second, no more"
        progress.noted -= 2
        progress.note(9)
        assert read_json_object(tmp_path / PROGRESS)["step"] == 9, "nothing is left of a longer one"
        progress.forget()
    assert describe_progress(tmp_path) == "interrupted: step 300"


def test_an_interrupted_training_says_where_it_goes_on(tmp_path):
    checkpoints(tmp_path, 0, 40, 60)
    note(tmp_path, process=dead_process())
    assert describe_progress(tmp_path) == "interrupted: step 60 of 400"
    note(tmp_path, started="another process of this number")
    assert describe_progress(tmp_path) == "interrupted: step 60 of 400"
    (tmp_path / PROGRESS).write_text('{"step": 3')
    assert describe_progress(tmp_path, 400) == "interrupted: step 60 of 400", "half a note"
    (tmp_path / PROGRESS).unlink()
    without_notes = describe_progress(tmp_path, 400)
    assert without_notes == "interrupted: step 60 of 400"


def test_a_training_of_another_host_runs_while_its_notes_are_new(tmp_path):
    checkpoints(tmp_path, 60)
    note(tmp_path, host="node7", process=99)
    assert describe_progress(tmp_path) == "running: step 354 of 400, host node7, process 99"
    old = time.time() - SILENT_SECONDS - 60
    os.utime(tmp_path / PROGRESS, (old, old))
    said = describe_progress(tmp_path)
    assert said.startswith("running, or dead: silent for 6 min: step 354 of 400, host node7")


@pytest.mark.parametrize("size", [(24, 80), (0, 0), (0, 80)])
@pytest.mark.parametrize(("total_steps", "columns"), [(400, 12), (1_000_000, 4)])
def test_a_bar_is_left_on_a_terminal_of_80_columns(monkeypatch, total_steps, columns, size):
    """Also on one that does not tell its size, as where a container or an expect script made it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    with open(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        bar = make_bar(total_steps // 2, total_steps)
        bar.start_t -= 2  # seconds of the one step: days are left
        bar.mininterval = bar.miniters = 0
        bar.set_postfix_str("loss 12.203 acc 0.34 wait 100%", refresh=False)
        bar.update()
        bar.close()
        terminal.flush()
        shown = b""
        while select.select([master], [], [], 0.1)[0]:
            shown += os.read(master, 1 << 16)
    os.close(master)
    lines = [line for line in shown.decode().replace("\n", "\r").split("\r") if "loss" in line]
    print(lines)
    assert lines
    for line in lines:
        assert len(line) <= 80
        assert "wait 100%" in line, "nothing is cut off"
    assert len(lines[-1].split("|")[1]) >= columns


def test_in_a_file_steps_are_whole_lines(capsys, monkeypatch):
    monkeypatch.setattr(training_log, "LINE_SECONDS", 1000)
    lines = make_bar(0, 3)
    assert isinstance(lines, StepLines)
    lines.set_postfix_str("loss 2.203", refresh=False)
    lines.update()
    monkeypatch.setattr(training_log, "LINE_SECONDS", 0)
    lines.update()
    lines.write("   step 2: dev EER 1.00 %", file=sys.stderr)
    monkeypatch.setattr(training_log, "LINE_SECONDS", 1000)
    lines.update()
    lines.close()
    said = capsys.readouterr().err
    assert "\r" not in said
    assert said.splitlines() == [
        "   step 2 of 3, loss 2.203, 0 s left",
        "   step 2: dev EER 1.00 %",
        "   step 3 of 3, loss 2.203, 0 s left",
    ]


def test_a_validation_before_the_first_step_is_not_in_the_time_left(capsys, monkeypatch):
    times = iter([0.0, 100.0, 120.0])  # start, behind the validation, behind the first step
    monkeypatch.setattr(training_log.time, "monotonic", lambda: next(times))
    lines = make_bar(0, 3)
    lines.write("   step 0: dev EER 1.00 %", file=sys.stderr)
    lines.update()
    assert capsys.readouterr().err.splitlines()[-1] == "   step 1 of 3, 40 s left"
