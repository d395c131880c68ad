"""One page for several experiments, with paired tests."""

import json
import re

import pytest

from steps.compare import compare
from steps.evaluate import evaluate
from tests.steps.test_report import add_set, finish_task, make_system, write_data
from utils.errors import UserError
from utils.evaluation.comparison import holm
from utils.report.decisions import format_threshold, share_in_words
from utils.report.results import comparison_cards


@pytest.fixture
def work(tmp_path):
    """One data directory, a good system, its twin, and a bad one."""
    write_data(tmp_path / "data" / "test")
    for name, noise, seed in (("good", 0.7, 0), ("twin", 0.72, 0), ("bad", 5.0, 1)):
        make_system(tmp_path / "exp" / name, noise, seed)
    return tmp_path


def compared(work, *names, **options):
    """Entries of differences.json by pair."""
    compare(
        [work / "data"],
        work / "compared",
        experiments=[work / "exp" / name for name in names],
        **{"replicates": 100, **options},
    )
    entries = json.loads((work / "compared" / "differences.json").read_text())
    return {(one["first"], one["second"]): one for one in entries}


def test_all_pairs_are_tested_and_what_is_clear_is_told_from_what_is_not(work, capsys):
    found = compared(work, "good", "twin", "bad")
    assert list(found) == [("good", "twin"), ("good", "bad"), ("twin", "bad")]
    assert found["good", "bad"]["p_corrected"] < 0.05 < found["good", "twin"]["p_corrected"]
    assert found["good", "bad"]["eer_percent"]["high"] < 0
    assert set(found["good", "bad"]) == {
        "test_set",
        "first",
        "second",
        "speakers",
        "eer_percent",
        "min_dcf_0.01",
        "min_dcf_0.05",
        "p_corrected",
        "no_interval",
    }
    lines = capsys.readouterr().out.splitlines()
    print("\n".join(lines))
    lines = [line for line in lines if line.startswith("test: ") and " - " in line]
    assert re.fullmatch(
        r"test: good - bad: EER -\d+\.\d\d points, "
        r"95 % interval -\d+\.\d\d to -\d+\.\d\d, p [=<] 0\.\d{3}",
        lines[1],
    )
    assert re.search(
        r"good - twin: .*; inconclusive, (would need about [\d,]+ speakers|no difference)$",
        lines[0],
    )


def test_the_order_turns_the_sign_and_a_system_equals_itself_on_the_same_scores(work):
    one, other = (
        compared(work, "good", "bad")["good", "bad"],
        compared(work, "bad", "good")["bad", "good"],
    )
    assert other["eer_percent"]["difference"] == -one["eer_percent"]["difference"]
    assert (other["eer_percent"]["low"], other["eer_percent"]["high"]) == (
        -one["eer_percent"]["high"],
        -one["eer_percent"]["low"],
    )
    assert other["p_corrected"] == one["p_corrected"]


def test_the_page_has_the_figures_of_evaluate_and_the_differences(work):
    compared(work, "good", "bad")
    evaluate(work / "exp" / "good", work / "data", others=[work / "exp" / "bad"], replicates=100)
    for name in ("results.json", "curves.json"):
        assert (work / "compared" / name).read_bytes() == (
            work / "exp" / "good" / name
        ).read_bytes()
    text = (work / "compared" / "report.html").read_text()
    assert "<h3>Differences</h3>" in text
    assert text.count("<svg") == 1 + 2 + 1  # DET, histograms, breakdown
    assert str(work) not in text


def expected_decision(entry, row):
    """The beginning of the sentence about an operating point."""
    if entry["threshold"] is None:
        return f"At prior {entry['point']} no threshold is useful"
    refused = share_in_words(entry["miss"], row["targets"])
    accepted = share_in_words(entry["false_alarm"], row["nontargets"])
    return (
        f"Of {refused.group} genuine attempts {refused.number} {refused.verb} refused, "
        f"of {accepted.group} impostors {accepted.number} {accepted.verb} accepted</b>, "
        f"at threshold {format_threshold(entry['threshold'])}; prior {entry['point']}"
    )


def test_the_page_begins_with_the_decisions_of_each_system_and_the_facts_of_each_experiment(work):
    for name in ("good", "bad"):
        finish_task(work / "exp" / name, "train", {}, {"parameters": 1_000_000, "steps": 7})
        (work / "exp" / name / "config.yaml").write_text("model: {name: ecapa}\n")
    compared(work, "good", "bad", "twin")
    text = (work / "compared" / "report.html").read_text()
    top = text[: text.index("<h2")]
    facts = [
        f"<dt>experiment</dt><dd>{name}</dd></div><div><dt>network</dt>"
        "<dd>ecapa, 1,000,000 parameters</dd></div><div><dt>training</dt>"
        "<dd>less than 0.01 hours, 7 steps"
        for name in ("good", "bad")
    ]
    assert top.index(facts[0]) < top.index(facts[1])
    assert top.count("<dl") == 2, "nothing is known about the third experiment"
    (box,) = re.findall(r'<div class="card decision">(.*?)</div>', top, re.DOTALL)
    assert box.startswith("<p>For a decision: test</p>")
    curves = json.loads((work / "compared" / "curves.json").read_text())
    rows = json.loads((work / "compared" / "results.json").read_text())
    whole = [row for row in rows if row["subset"] == "all"]
    systems = box.split('<span class="key ')[1:]
    assert [curve["system"] for curve in curves] == ["good", "bad", "twin"]
    for row, curve, system in zip(whole, curves, systems, strict=True):
        assert f"</span>{row['system']}</span>EER % {row['eer_percent']:.2f}<small>" in system
        sentences = re.findall("<li>(.*?)</li>", system, re.DOTALL)
        assert len(sentences) == 2
        for entry, sentence in zip(curve["decisions"], sentences, strict=True):
            assert expected_decision(entry, row) in sentence
    assert box.count("on these same trials") == 1


def test_repeating_does_nothing_again_and_prints_the_same(work, capsys):
    compared(work, "good", "bad")
    made, shown = (work / "compared" / "report.html").stat().st_mtime_ns, capsys.readouterr().out
    compared(work, "good", "bad")
    assert ((work / "compared" / "report.html").stat().st_mtime_ns, capsys.readouterr().out) == (
        made,
        shown,
    )


def test_holms_correction_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_what_cannot_be_compared_is_refused_in_one_line(work, command):
    with pytest.raises(UserError, match="1 systems and 12 speakers, expected at least two of each"):
        compared(work, "good")
    with pytest.raises(UserError, match="--replicates: 0, expected at least 2 draws"):
        compared(work, "good", "bad", replicates=0)
    with pytest.raises(UserError, match="two systems have the same folder name"):
        compared(work, "good", "good")
    path = work / "exp" / "bad" / "scores" / "test" / "cosine.scores"
    path.write_text("".join(path.read_text().splitlines(True)[7:]))  # another list of trials
    done = command(
        "steps.compare",
        work / "data",
        work / "other",
        "--experiments",
        f"[{work / 'exp' / 'good'}, {work / 'exp' / 'bad'}]",
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "has no score in" in done.stderr


def test_a_set_without_classes_is_left_aside_unless_it_is_named(work, capsys):
    lines = (work / "data" / "test" / "trials").read_text().splitlines()
    add_set(work, "hidden", [line.rsplit(" ", 1)[0] for line in lines])
    assert list(compared(work, "good", "bad")) == [("good", "bad")]
    assert "hidden/trials: 1,128 trials without a class" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"hidden/trials:1: 2 fields .*add the classes"):
        compared(work, "good", "bad", sets=["hidden"])


def test_many_systems_are_folded_up_and_mixed_thresholds_are_explained_for_each():
    row = {
        "test_set": "test",
        "backend": "cosine",
        "protocol": "whole",
        "subset": "all",
        "eer_percent": 5.0,
        "targets": 100,
        "nontargets": 1000,
    }
    rows = [row | {"system": f"s{number}"} for number in range(6)]
    entry = {"point": "0.01", "threshold": 0.5, "bayes_threshold": 4.6}
    entry |= {"miss": 0.03, "false_alarm": 0.002, "chosen_on": "test"}
    curves = [one | {"decisions": [entry]} for one in rows[:5]]
    text = comparison_cards(rows, curves)
    shown, _, folded = text.partition("<details><summary>2 more</summary>")
    assert [shown.count("EER %"), folded.count("EER %")] == [4, 2]
    assert [shown.count("<li>"), folded.count("<li>")] == [4, 1], "s5 has no curve"
    assert text.count("on these same trials") == 1
    curves[0]["decisions"] = [entry | {"chosen_on": None}]
    text = comparison_cards(rows, curves)
    assert text.count("on these same trials") == 4
    assert text.count("the threshold is the Bayes threshold") == 1
