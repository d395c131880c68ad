"""Times in tables, as people write them: the right part of each file, or one line."""

import re

import numpy as np
import pytest
import soundfile

from local.own.times import find_times
from local.prepare_folder import prepare_folder
from tests.lookalike.own import write_table
from utils.data_dir import read_map, validate_data_dir
from utils.errors import UserError

RATE = 8000
SETS = ("train", "dev", "test")
SPEAKERS = [f"s{number}" for number in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files of 1.5 s of each of six speakers."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for speaker in SPEAKERS:
        for take in range(2):
            samples = 0.1 * rng.standard_normal(3 * RATE // 2)
            soundfile.write(folder / f"{speaker}-{take}.wav", samples, RATE)
    return folder


def table_of(folder, columns, name="table.csv"):
    """Every file with the same values in further columns."""
    rows = [
        {"path": f"{speaker}-{take}.wav", "speaker": speaker} | columns
        for speaker in SPEAKERS
        for take in range(2)
    ]
    return write_table(folder / name, rows)


def prepared(table, output, **options):
    """Segments (without recordings) and durations that come out, of all sets."""
    prepare_folder(table, output, **options)
    segments, seconds = set(), set()
    for name in SETS:
        validate_data_dir(output / name, audio=True)
        seconds |= set(read_map(output / name / "utt2dur").values())
        if (output / name / "segments").exists():
            lines = (output / name / "segments").read_text().splitlines()
            segments |= {tuple(map(float, line.split()[2:])) for line in lines}
    return segments, seconds


HALF_A_SECOND = {  # from 0.5 to 1.0 s
    "start end": "0.5 1.0",
    "start stop": "0.5 1.0",
    "begin end": "0.5 1",
    "onset offset": ".5 1.",
    "offset duration": "0.5 0.5",
    "start dur": "0.5 0.5",
    "beg len": "0.5 0.5",
    "stop duration": "1.0 0.5",
    "start_time end_time": "0.5 1.0",
    "startTime endTime": "0.5 1.0",
    "Start_(s) End_[sec]": "5e-1 1.0",
    "seg_start segment_duration_seconds": "0.50 0.50",
    "t0 t1": "0.5 1.0",
    "from to": "0.5 1.0",
    "xmin xmax": "0.5 1.0",
    "start_ms stop_ms": "500 1000",
    "start[ms] duration": "500 0.5",
    "durationMs startMs": "500 500",
    "start_sample end_sample": "4000 8000",
    "start_samples num_samples": "4000 4000",
    "begin end clock": "0:00.5 00:00:01.0 14:03",
    "start end duration": "0.5 1.0 0.5",
    "start end file_duration": "0.5 1.0 1.5",
    "start stop_samples dur_ms": "0.5 8000 500",
}


@pytest.mark.parametrize("columns", HALF_A_SECOND)
def test_a_part_of_a_file_is_the_part_that_was_meant(folder, tmp_path, columns):
    names = [name.replace("_(", " (").replace("_[", "[") for name in columns.split()]
    table = table_of(folder, dict(zip(names, HALF_A_SECOND[columns].split(), strict=True)))
    segments, seconds = prepared(table, tmp_path)
    assert segments == {(0.5, 1.0)}
    assert seconds == {"0.5000"}
    lists = {path.name for path in (tmp_path / "train").glob("???2*")}
    described = lists - {"utt2spk", "spk2utt", "utt2dur", "spk2clock"}
    assert not described, "a time passes as a description"


def test_units_and_columns_may_be_said_by_an_option(folder, tmp_path):
    """As in SpeechBrain: duration of the whole file in seconds, start and stop in samples."""
    table = table_of(folder, {"duration": "1.5", "start": "4000", "stop": "8000"})
    with pytest.raises(UserError, match=r"from 4000 to 8000 s.*call their columns start_samples"):
        prepare_folder(table, tmp_path / "seconds")
    columns = {"start_samples": "start", "end_samples": "stop"}
    assert prepared(table, tmp_path / "samples", columns=columns) == ({(0.5, 1.0)}, {"0.5000"})
    renamed = table_of(
        folder, {"duration": "1.5", "start_samples": "4000", "end_samples": "8000"}, "renamed.csv"
    )
    assert prepared(renamed, tmp_path / "renamed") == ({(0.5, 1.0)}, {"0.5000"})
    chosen = table_of(folder, {"start": "0", "begin": "0.5", "end": "1"}, "chosen.csv")
    assert prepared(chosen, tmp_path / "chosen", columns={"start": "begin"})[0] == {(0.5, 1.0)}


def test_empty_times_are_the_ends_of_the_file(folder, tmp_path):
    table = table_of(folder, {"start": "", "duration": "0.5"})
    assert prepared(table, tmp_path / "a") == ({(0, 0.5)}, {"0.5000"})
    table = table_of(folder, {"start": "1", "duration": ""})
    assert prepared(table, tmp_path / "b") == ({(1, -1)}, {"0.5000"})
    table = table_of(folder, {"start_samples": "8000", "num_samples": "-1"})
    assert prepared(table, tmp_path / "c") == ({(1, -1)}, {"0.5000"})


def test_a_duration_that_is_that_of_the_file_describes_it(folder, tmp_path):
    for number, columns in enumerate(
        [{"duration": "1.5"}, {"length": "1.50"}, {"num_samples": "12000"}, {"duration_ms": "1500"}]
    ):
        table = table_of(folder, columns)
        assert prepared(table, tmp_path / str(number)) == (set(), {"1.5000"})


REFUSED = {
    "column 'start' is the start of a part, and no other": {"start": "0.5"},
    "column 'stop' is the end of a part, and no other": {"stop": "1.0"},
    ":2: duration is 0.5 s, but the file lasts 1.5 s": {"duration": "0.5"},
    ":2: duration is 0.9 s, but the part from start to end lasts 0.5 s": {
        "start": "0.500",
        "end": "1.000",
        "duration": "0.900",
    },
    ":2: num_samples is 0.5 s, but the file": {"num_samples": "4000"},
    ":2: column 'vad_start' \\('0.5'\\) looks like times": {"vad_start": "0.5", "vad_end": "1.0"},
    ":2: column 'word_end' \\('1.0'\\) looks like times": {"word_end": "1.0", "text": "hello"},
    ":2: column 'timestamp' \\('0.5'\\) looks like times": {"timestamp": "0.5"},
    ":2: column 't0' \\('0.5'\\) looks like times": {"t0": "0.5", "end": "1.0", "start": "0"},
    "column 'start_frame' is in frames, expected seconds": {"start_frame": "50", "end_frame": "99"},
    "column 'begin_min' is in minutes": {"begin_min": "0", "end_min": "1"},
    ":1: two columns for start, 'start' and 'begin'": {"start": "0", "begin": "1", "end": "2"},
    ":1: two columns for end, 'end' and 'stop'": {"start": "0", "end": "1", "stop": "2"},
    ":2: start '1.0' and duration '0'": {"start": "1.0", "duration": "0"},
    ":2: start '1.0' and stop '0.5'": {"start": "1.0", "stop": "0.5"},
    ":2: end '0.5' and duration '1.0'": {"end": "0.5", "duration": "1.0"},
    ":2: start '0,5', expected seconds": {"start": "0,5", "end": "1"},
    ":2: start_samples '0.5', expected a whole number of samples": {
        "start_samples": "0.5",
        "end_samples": "8000",
    },
    "is from 500 to 1000 s, .*start_samples, end_ms": {"start": "500", "stop": "1000"},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_known_is_refused_by_the_name_of_the_column(folder, tmp_path, message):
    table = table_of(folder, REFUSED[message])
    with pytest.raises(UserError) as caught:
        prepare_folder(table, tmp_path)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("wav.scp"))


def test_a_column_that_is_no_time_is_freed_by_its_name(folder, tmp_path):
    columns = {"info_start": "0.5", "info_timestamp": "3", "text_length": "12", "sample_rate": "8"}
    assert prepared(table_of(folder, columns), tmp_path) == (set(), {"1.5000"})
    assert (tmp_path / "train" / "spk2info_timestamp").exists()


def test_words_are_no_times():
    """What descriptions are called: nothing of it is taken for a time."""
    others = [
        "age",
        "height",
        "weekend",
        "trend",
        "lens",
        "endemic",
        "sample",
        "start_date",
        "end_year",
        "birth_month",
        "sample_rate",
        "text_length",
        "n_words",
        "spk_rank",
    ]
    times = find_times(None, 1, others, {})
    assert not times.columns
    assert not times.suspects


def test_a_preview_says_that_a_duration_contradicts_the_file(folder, tmp_path, capsys):
    prepare_folder(table_of(folder, {"duration": "0.5"}), tmp_path, preview=3)
    assert "would be an error: " in (said := capsys.readouterr().out)
    assert "duration is 0.5 s, but the file lasts 1.5 s" in said


def test_only_new_spellings_make_a_table_stale(folder, tmp_path):
    """What was read rightly before stays done; what is read in another way now is made again."""
    receipt = "train/receipts/made.json"
    table = table_of(folder, {"start": "0.5", "end": "1.0"})
    prepare_folder(table, tmp_path / "old")
    assert '"times"' not in (tmp_path / "old" / receipt).read_text()
    table = table_of(folder, {"start": "0.5", "duration": "0.5"}, "new.csv")
    prepare_folder(table, tmp_path / "new")
    assert '"times"' in (tmp_path / "new" / receipt).read_text()
