"""The ledger: who was dropped and why, what is too much, and who may not be dropped at all."""

import json

import pytest

from utils.data_dir.ledger import POLICY, UNREADABLE, Ledger, utterances_in_trials
from utils.errors import UserError


def ledger_of(kept, unreadable=0, short=0):
    ledger = Ledger("data/x")
    for k in range(kept):
        ledger.keep(f"k{k}")
    for k in range(unreadable):
        ledger.drop(f"u{k}", UNREADABLE, "no samples")
    for k in range(short):
        ledger.drop(f"s{k}", POLICY + "short", "0.02 s")
    return ledger


def test_counts_say_how_many_came_in_and_went_on_and_why_not():
    ledger = ledger_of(7, unreadable=2, short=1)
    assert ledger.counts == {"came_in": 10, "went_on": 7, "policy:short": 1, "unreadable": 2}
    assert ledger.summary == "dropped 3 of 10 utterances (1 policy:short, 2 unreadable)"
    assert ledger_of(3).summary == "dropped 0 of 3 utterances"


@pytest.mark.parametrize(
    ("kept", "unreadable", "short", "refused"),
    [
        (0, 1, 1, None),
        (9, 1, 1, None),
        (8, 2, 0, "unreadable"),
        (8, 0, 2, "policy"),
        (1998, 2, 0, None),
        (1997, 2, 0, "unreadable"),
        (198, 0, 2, None),
        (197, 0, 2, "policy"),
        (96, 1, 3, "policy"),
        (2997, 3, 0, None),
        (2990, 0, 30, None),
    ],
)
def test_one_is_always_allowed_and_else_a_thousandth_unreadable_and_a_hundredth_by_policy(
    kept, unreadable, short, refused
):
    ledger = ledger_of(kept, unreadable, short)
    if refused is None:
        ledger.check_limits()
        return
    with pytest.raises(
        UserError,
        match=(
            rf"data/x: \d of [\d,]+ utterances dropped as {refused}, at most \d may be; "
            rf".*--max-{refused}-fraction"
        ),
    ):
        ledger.check_limits()


def test_limits_are_options():
    ledger = ledger_of(7, unreadable=3)
    ledger.check_limits(max_unreadable_fraction=0.3)
    with pytest.raises(UserError, match="3 of 10"):
        ledger.check_limits(max_unreadable_fraction=0.29)


def test_an_utterance_of_the_trials_may_not_be_dropped_without_leave():
    with pytest.raises(
        UserError,
        match="'b' is named in trials and would be dropped .*no samples.*--allow-missing-trials",
    ):
        Ledger("data/x", {"b"}).drop("b", UNREADABLE, "no samples")
    ledger = Ledger("data/x", {"b"}, allow_missing_trials=True)
    ledger.drop("b", UNREADABLE, "no samples")
    ledger.lost_trials = 4
    assert ledger.counts == {"came_in": 1, "went_on": 0, "unreadable": 1, "lost_trials": 4}


def test_enrolment_models_bring_their_utterances_into_the_trials(tmp_path):
    assert utterances_in_trials(tmp_path) == set()
    (tmp_path / "trials").write_text("model a target\nb c nontarget\n")
    assert utterances_in_trials(tmp_path) == {"model", "a", "b", "c"}
    (tmp_path / "enroll.spk2utt").write_text("model d e\nother f\n")
    assert utterances_in_trials(tmp_path) == {"a", "b", "c", "d", "e"}


def test_parts_are_read_back_as_they_were_written(tmp_path):
    parts = [ledger_of(2, unreadable=1), Ledger("data/x")]
    parts[1].drop("z", POLICY + "short", "0.02 s\nof it")
    for number, part in enumerate(parts):
        part.write_part(tmp_path / f"vad.{number}.dropped")
    assert (tmp_path / "vad.1.dropped").read_text() == "z policy:short 0.02 s of it\n"
    whole = Ledger("data/x")
    whole.read_parts(
        [tmp_path / "vad.0.dropped", tmp_path / "vad.1.dropped"],
        ["k0", "k1"],
        {"k0", "k1", "u0", "z"},
    )
    assert whole.dropped == parts[0].dropped | parts[1].dropped
    assert [path.name for path in whole.write(tmp_path)] == ["dropped", "ledger.json"]
    assert (
        tmp_path / "dropped"
    ).read_text() == "u0 unreadable no samples\nz policy:short 0.02 s of it\n"
    assert json.loads((tmp_path / "ledger.json").read_text()) == whole.counts


@pytest.mark.parametrize(
    ("kept", "expected", "message"),
    [
        (["k0"], {"k0", "u0", "lost"}, "'lost'"),
        (["k0", "k1"], {"k0", "u0"}, "'k1'"),
        (["k0", "u0"], {"k0", "u0"}, "'u0' is in two parts"),
    ],
)
def test_an_utterance_that_no_job_or_two_jobs_answer_for_is_an_error(
    tmp_path, kept, expected, message
):
    ledger_of(0, unreadable=1).write_part(tmp_path / "vad.1.dropped")
    with pytest.raises(UserError, match=message):
        Ledger("data/x").read_parts([tmp_path / "vad.1.dropped"], kept, expected)
