"""Two systems on the same trials."""

import pytest

from steps.compare_eer import compare_eer
from steps.evaluate import evaluate
from tests.steps.test_report import make_system, write_data
from utils.errors import UserError


@pytest.fixture
def work(tmp_path):
    """Two folds with one data directory and two systems each."""
    for fold in ("fold1", "fold2"):
        write_data(tmp_path / fold / "data" / "test")
        for seed, (name, noise) in enumerate({"good": 0.5, "bad": 3.0}.items()):
            make_system(tmp_path / fold / "exp" / name, noise, seed)
    return tmp_path


def folds(work, *parts):
    """The same path in both folds."""
    return [work.joinpath(fold, *parts) for fold in ("fold1", "fold2")]


def test_a_clear_difference_is_found_and_turns_its_sign_with_the_order(work, capsys):
    data = folds(work, "data", "test")
    found = compare_eer(work / "one.json", first=folds(work, "exp", "good"), second=folds(work, "exp", "bad"), data=data, replicates=200)
    turned = compare_eer(work / "two.json", first=folds(work, "exp", "bad"), second=folds(work, "exp", "good"), data=data, replicates=200)
    print(found)
    assert found["low"] <= found["difference"] <= found["high"] < 0
    assert found["p"] < 0.02
    assert (turned["low"], turned["high"]) == (-found["high"], -found["low"])
    assert "difference -" in capsys.readouterr().out.splitlines()[0]


def test_a_system_does_not_differ_from_itself(work):
    same = folds(work, "exp", "good")
    found = compare_eer(work / "same.json", first=same, second=same, data=folds(work, "data", "test"), replicates=50)
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


def test_error_rates_are_those_of_the_results(work):
    good, bad, data = (folds(work, *parts) for parts in (("exp", "good"), ("exp", "bad"), ("data", "test")))
    found = compare_eer(work / "one.json", first=good[:1], second=bad[:1], data=data[:1], replicates=20)
    evaluate(good[0], data[0].parent, others=bad[:1])
    results = (good[0] / "results.json").read_text()
    assert f'"eer_percent": {found["first_eer_percent"]}' in results
    assert f'"eer_percent": {found["second_eer_percent"]}' in results


def test_repeating_gives_the_same_and_lists_of_two_lengths_are_refused(work, command):
    options = {"first": folds(work, "exp", "good"), "second": folds(work, "exp", "bad"), "data": folds(work, "data", "test"), "replicates": 20}
    assert compare_eer(work / "one.json", **options) == compare_eer(work / "one.json", **options)
    with pytest.raises(UserError, match="2, 2 and 1 given"):
        compare_eer(work / "two.json", **options | {"data": options["data"][:1]})
    words = [f"--{name}=[{', '.join(map(str, paths))}]" for name, paths in options.items() if name != "replicates"]
    done = command("steps.compare_eer", work / "three.json", *words, "--replicates", "20")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
