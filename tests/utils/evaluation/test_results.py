"""Rows of results.json as tables, and which series a page shows how."""

import json

from utils.evaluation.results import markdown_table, notes_of, text_table
from utils.report.page import COLOURS, SERIES, STYLE, series_style
from utils.report.results import chosen_series, results_section


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
    assert (
        lines[3]
        == "| test | x, fused | 4.00 [3.00, 5.00] | 0.500 | 0.400 | 0.600 [0.500, 0.700] | 0.250 [0.200, 0.300] | 10,000 | 40 |"
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
    assert notes_of(rows) == notes
    assert text_table(rows).splitlines()[-4:] == notes
    assert markdown_table(rows).split("\n\n")[1:] == [*notes[:-1], notes[-1] + "\n"]
    assert all(f"<p>{note}.</p>" in results_section("test", rows[:3], []) for note in notes)


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
        (["--subsets", "[x]"], "no row of subset 'x' among those asked for; there is all, sex: f"),
        (["none.json"], "no such file"),
    ):
        refused = command("utils.evaluation.results", "table", tmp_path / "results.json", *words)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
        assert said in refused.stderr


def test_the_screen_shows_ratios_where_there_are_any():
    assert "Cllr" not in text_table([row("x", 5.0)])
    lines = text_table([row("x", 5.0), row("x", 4.0, **LLR)]).splitlines()
    assert lines[0].split() == [
        "test",
        "set",
        "system",
        "EER",
        "%",
        "minDCF",
        "0.01",
        "minDCF",
        "0.05",
        "actDCF",
        "0.01",
        "Cllr",
    ]
    assert lines[2].split()[-2:] == ["0.600", "0.250"]


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


def test_every_series_has_a_style_of_its_own_up_to_a_limit():
    styles = [series_style(number) for number in range(SERIES)]
    assert len(set(styles)) == SERIES
    assert ["again" in style for style in styles] == [number >= COLOURS for number in range(SERIES)]
    assert all(f".{style.split()[0]} {{ --c:" in STYLE for style in styles)
    assert series_style(SERIES) == "series-0 again"
