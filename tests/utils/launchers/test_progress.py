"""The progress line of an array: step, set, utterances, tasks, seconds."""

import io
import sys
from pathlib import Path

import pytest

from utils.launchers import progress
from utils.launchers.progress import ArrayLine, format_seconds, utterances_in

VAD = ["python3", "-m", "steps.compute_vad", "data/full/train", "--job", "JOB/2"]
LOG = Path("data/full/train/log/vad.JOB.log")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_an_array_of_less_than_a_minute_prints_one_plain_line(capsys):
    line = ArrayLine(VAD, LOG, 2)
    line.ended(1, 0)
    line.show()
    line.ended(2, 0)
    line.started -= 3
    line.finish(1200)
    assert capsys.readouterr().err == "   VAD train 1,200 utt 2/2 3 s\n"


def test_a_long_array_prints_its_progress_in_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    line = ArrayLine(["python3", "-m", "steps.extract"], Path("exp/x/log/extract.JOB.log"), 8, 3)
    line.ended(4, 0)
    line.show()
    assert capsys.readouterr().err == "   extract x 4/8 0 s\n"


def test_on_a_terminal_the_line_is_redrawn_and_failures_stay(monkeypatch):
    monkeypatch.setattr(progress, "MOVE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    line = ArrayLine(VAD, LOG, 2)
    line.show()
    line.ended(1, 0)
    line.show()
    line.ended(2, 1, "node7")
    line.finish(0)
    output = sys.stderr.getvalue()
    assert output.count("\r   VAD train ") == 2
    seen = [each.rstrip().rpartition("\r")[2] for each in output.split("\n")]
    assert seen == ["   task 2 ended with exit code 1 on node7", "   VAD train 2/2 0 s", ""]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (130, "2 min 10 s"),
        (7200, "2 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_durations_have_two_units_at_most(seconds, text):
    assert format_seconds(seconds) == text


def test_utterances_are_what_receipts_count():
    counts = [{"came_in": 5, "went_on": 4}, {"utterances": 3}, {"trials": 9}, {}]
    assert utterances_in(counts) == 7
