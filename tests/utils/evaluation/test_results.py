"""Rows of results.json as tables, and which series a page shows how."""

import json
import re

import pytest

from utils.evaluation.results import markdown_table, table_notes, text_table
from utils.report.page import COLOURS, Section, page, series_style
from utils.report.render import NOTHING
from utils.report.results import cards, chosen_series, results_section


def row(system, eer, **changes):
    """A row of results.json."""
    return {
        "system": system,
        "test_set": "test",
        "protocol": "whole",
        "backend": "cosine",
        "subset": "all",
        "eer_percent": eer,
        "eer_percent_interval": [eer - 1, eer + 1],
        "min_dcf_0.01": 0.5,
        "min_dcf_0.01_interval": None,
        "min_dcf_0.05": 0.4,
        "act_dcf_0.01": None,
        "cllr": None,
        "targets": 1000,
        "nontargets": 9000,
        "speakers": 40,
        "watermarks": [],
    } | changes


LLR = {
    "backend": "fused",
    "act_dcf_0.01": 0.6,
    "act_dcf_0.01_interval": [0.5, 0.7],
    "cllr": 0.25,
    "cllr_interval": [0.2, 0.3],
}


def test_a_markdown_table_has_intervals_and_columns_of_ratios_where_there_are_any():
    assert markdown_table([row("x", 5.0)]).splitlines() == [
        "| test set | system | EER % | minDCF 0.01 | minDCF 0.05 | trials | speakers |",
        "|---|---|---|---|---|---|---|",
        "| test | x | 5.00 [4.00, 6.00] | 0.500 | 0.400 | 10,000 | 40 |",
    ]
    lines = markdown_table(
        [row("x", 5.0), row("x", 4.0, **LLR, watermarks=["a mark"])]
    ).splitlines()
    assert "| actDCF 0.01 | Cllr |" in lines[0]
    assert lines[2].endswith("| – | – | 10,000 | 40 |")
    assert lines[3] == (
        "| test | x, fused | 4.00 [3.00, 5.00] | 0.500 | 0.400 "
        "| 0.600 [0.500, 0.700] | 0.250 [0.200, 0.300] | 10,000 | 40 |"
    )
    assert lines[-1] == "a mark"


def test_below_a_table_stands_how_rows_are_centred_and_why_there_is_no_interval():
    few, low = "2 speakers, 5 needed", "at this EER no number of speakers is enough"
    rows = [
        row("x", 5.0, centred="mean of train (96 utterances)", no_interval={"cllr": low}),
        row("y", 6.0, centred="not centred", no_interval={"eer_percent": few, "min_dcf_0.01": few}),
        row("z", 6.0, centred="mean of train (96 utterances)", no_interval={"min_dcf_0.01": low}),
        row("old", 7.0, test_set="dev"),
        row("x", 6.0, subset="sex: f", centred="not shown", no_interval={"cllr": "not shown"}),
    ]
    notes = [
        "centred by mean of train (96 utterances): x; z",
        "not centred: y",
        f"test: no interval of Cllr, minDCF 0.01: {low}",
        f"test: no interval of EER, minDCF 0.01: {few}",
    ]
    assert table_notes(rows) == notes
    assert " ".join(notes) in " ".join(text_table(rows).split())
    assert markdown_table(rows).split("\n\n")[1:] == [*notes[:-1], notes[-1] + "\n"]
    assert all(f"<p>{note}.</p>" in results_section("test", rows[:3], []).body for note in notes)


def test_the_command_chooses_sets_scorers_and_subsets(tmp_path, command):
    rows = [
        row("x", 5.0),
        row("x", 6.0, subset="sex: f"),
        row("x", 4.0, **LLR),
        row("y", 7.0, test_set="dev"),
    ]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    chosen = ["--test-set", "test", "--subsets", "[all, 'sex: f']", "--scorers", "[cosine]"]
    done = command("utils.evaluation.results", "table", tmp_path / "results.json", *chosen)
    assert done.returncode == 0, done.stderr
    assert [line.split(" | ")[2] for line in done.stdout.splitlines() if "| test | " in line] == [
        "all",
        "sex: f",
    ]
    for words, said in (
        (
            ["--subsets", "[x]"],
            "no row of subset 'x' for this test set and these scorers, found all, sex: f",
        ),
        (["none.json"], "no such file"),
    ):
        refused = command("utils.evaluation.results", "table", tmp_path / "results.json", *words)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
        assert said in refused.stderr


def test_the_screen_shows_intervals_and_ratios_where_there_are_any():
    assert "Cllr" not in text_table([row("x", 5.0)])
    assert "interval" not in text_table([row("x", 5.0, eer_percent_interval=None)])
    assert text_table([row("mine", 5.0), row("mine", 4.0, **LLR)]).splitlines() == [
        "test: 1,000 target and 9,000 nontarget trials, 40 speakers",
        "            EER % 95 % interval minDCF minDCF actDCF  Cllr",
        "                                  0.01   0.05   0.01",
        "mine        5.00 [ 4.00,  6.00]  0.500  0.400      –     –",
        "..., fused  4.00 [ 3.00,  5.00]  0.500  0.400  0.600 0.250",
    ]


LONG = "ghostvlad_cpu-tiny-seed2-trim-8000-the_one_that_i_called_after_everything_that_it_is"


@pytest.mark.parametrize("first", ["x", "ghostvlad_mini", LONG, "w" * 200])
def test_the_screen_needs_80_columns_whatever_things_are_called(first):
    rows = [
        row(first, 5.0, **LLR, watermarks=["leakage: " + "1 of 12 speakers are known, " * 6]),
        row(first, 100.0, **LLR | {"backend": "lda60_plda_s_norm_quality"}, targets=10**7),
        row(f"{first}-untrained", 41.58, eer_percent_interval=None),
        row("mfcc_stats", 22.65, test_set="voices_eval " * 9),
        row(first, 7.5, subset="across conditions, same sex", **LLR),
    ]
    shown = text_table(rows)
    print(shown)
    assert max(map(len, shown.splitlines())) <= 80
    assert first in shown.replace("\n", "")
    assert re.search(r"-untrained$|-untrained  +41.58", shown, re.MULTILINE)
    for figure in (" 5.00 [", "100.00 [", " 41.58 ", "22.65 [", " 7.50"):
        assert figure in shown
    assert "hard: trials across conditions, same sex" in shown


def test_scores_from_elsewhere_have_no_back_end_and_perhaps_no_speakers():
    unknown = row("theirs.scores", 5.0, backend="", speakers=None, eer_percent_interval=None)
    assert text_table([unknown]).splitlines()[0].endswith("trials, unknown speakers")
    assert markdown_table([unknown]).splitlines()[2].endswith("| 10,000 | – |")
    assert "theirs.scores; unknown speakers, 10,000 trials" in cards([unknown])


def test_dots_stand_for_the_first_system_alone():
    def names(*systems):
        table = text_table([row(system, 5.0) for system in systems]).splitlines()
        return [line.split("  ")[0] for line in table[3:]]

    assert names("network", "network-untrained", "network2") == [
        "network",
        "...-untrained",
        "network2",
    ]
    assert names("abc", "abc-d") == ["abc", "abc-d"]


def test_the_breakdown_shows_the_first_series_and_the_best_that_differ():
    rates = {
        "first": 5.0,
        "same": 5.0,
        "good": 3.0,
        "good, calibrated": 3.0,
        "better": 2.0,
        "bad": 9.0,
    }
    rows = {(name, "all"): row(name, rate) for name, rate in rates.items()}
    assert chosen_series(rows, list(rates)) == ["first", "good", "better"]


def test_every_series_has_a_style_of_its_own():
    number = 3 * COLOURS
    styles = [series_style(k) for k in range(number)]
    assert len(set(styles)) == number
    assert ["again" in style for style in styles] == [k >= COLOURS for k in range(number)]
    text = page("title", "", [Section("test", NOTHING, number)])
    assert all(f".{style.split()[0]} {{ --c:" in text for style in styles)
