"""The ledgers of a data folder as a section of the page."""

import json
import re

import pytest

from utils.errors import UserError
from utils.report.ledger import describe_counts, ledger_section, ledger_text


def test_a_ledger_is_a_sum_in_one_line():
    assert (
        describe_counts({"came_in": 1500, "went_on": 1500})
        == "utterances: 1,500 in = 1,500 kept + 0 dropped"
    )
    counts = {
        "came_in": 1500,
        "went_on": 1497,
        "policy:short": 1,
        "unreadable": 2,
        "lost_trials": 7,
        "pieces:packed": 9,
    }
    assert describe_counts(counts) == (
        "utterances: 1,500 in = 1,497 kept + 3 dropped (2 unreadable, 1 too short); "
        "9 pieces:packed, 7 lost trials"
    )
    assert describe_counts(counts, min_seconds=0.5).endswith(
        "(2 unreadable, 1 shorter than 0.5 s); 9 pieces:packed, 7 lost trials"
    )


def write_ledger(folder, kept, dropped=(), is_set=True):
    """A ledger as steps write it: counts, and the dropped utterances with reasons."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_set:
        (folder / "utt2spk").write_text("")
    reasons = [reason for _, reason in dropped]
    counts = {
        "came_in": kept + len(dropped),
        "went_on": kept,
        **{reason: reasons.count(reason) for reason in reasons},
    }
    (folder / "ledger.json").write_text(json.dumps(counts))
    (folder / "dropped").write_text(
        "".join(f"{name} {reason} details\n" for name, reason in dropped)
    )


def make_data(data):
    """15 utterances: one is unreadable, one for VAD and packing only; one has little speech."""
    short, broken = ("c", "policy:little_speech"), ("b", "unreadable")
    for name, kept, lost in (("train", 9, [("a", "unreadable")]), ("test", 5, [])):
        write_ledger(data / name, kept, lost)
    write_ledger(data / "train" / "vad", 8, [broken], is_set=False)
    write_ledger(data / "test" / "vad", 5, is_set=False)
    write_ledger(data / "packed_16000" / "train", 7, [broken, short])
    write_ledger(data / "packed_16000" / "test", 5)
    write_ledger(data / "noise", 3)


def test_stages_have_their_sets_and_a_total(tmp_path):
    make_data(tmp_path)
    section = ledger_section(tmp_path).body
    assert re.findall("<summary>(.*?)</summary>", section) == [
        "prepared: utterances: 15 in = 14 kept + 1 dropped (1 unreadable)",
        "noise and rooms: utterances: 3 in = 3 kept + 0 dropped",
        "vad: utterances: 14 in = 13 kept + 1 dropped (1 unreadable)",
        (
            "packed_16000: utterances: 14 in = 12 kept + 2 dropped "
            "(1 unreadable, 1 with too little speech)"
        ),
    ]
    assert "<li>train: utterances: 10 in = 9 kept + 1 dropped (1 unreadable)</li>" in section
    assert ledger_section(tmp_path / "none") is None
    assert ledger_text(tmp_path / "none") == ""


def test_each_utterance_is_counted_once_and_copies_and_drawn_excerpts_are_not(tmp_path):
    """VAD and packing both drop b: 15 - {a, b, c} = 12, which the packing kept."""
    make_data(tmp_path)
    write_ledger(tmp_path / "packed_16000" / "noisy" / "train", 20, [("a-copy", "policy:silent")])
    (tmp_path / "packed_16000" / "noisy" / "train" / "utt2uniq").write_text("")
    write_ledger(tmp_path / "packed_16000" / "tested" / "test", 2)
    (tmp_path / "packed_16000" / "tested" / "test" / "dropped").unlink()
    text = ledger_text(tmp_path)
    print(text)
    assert (
        text.splitlines()[0]
        == "utterances: 15 in = 12 kept + 3 dropped (2 unreadable, 1 with too little speech)"
    )
    write_ledger(tmp_path, 15, [("x", "no_text"), ("y", "no_text")], is_set=False)
    text = ledger_text(tmp_path)
    assert text.splitlines()[0] == (
        "utterances: 17 in = 12 kept + 5 dropped "
        "(2 unreadable, 1 with too little speech, 2 no text)"
    )
    assert "   corpus: 17 in = 15 kept + 2 dropped (2 no text)" in text.splitlines()


def test_other_packed_audio_does_not_count(tmp_path):
    make_data(tmp_path)
    before = ledger_text(tmp_path, tmp_path / "packed_16000")
    write_ledger(tmp_path / "packed_16000_trim" / "test", 4, [("z", "policy:short")])
    assert ledger_text(tmp_path, tmp_path / "packed_16000") == before
    assert "1 too short" in ledger_text(tmp_path, tmp_path / "packed_16000_trim").splitlines()[0]


def test_embedded_utterances_are_counted_by_their_receipts(tmp_path):
    make_data(tmp_path)
    for name, number in (("test", 5), ("test_list", 3)):
        receipts = tmp_path / "exp" / "embeddings" / name / "receipts"
        receipts.mkdir(parents=True)
        receipt = {
            "step": "collect_embeddings",
            "format": 1,
            "options": {},
            "inputs": {},
            "outputs": {},
            "counts": {"utterances": number},
            "seconds": 0,
            "core_seconds": 0,
        }
        (receipts / "collect_embeddings.json").write_text(json.dumps(receipt))
    # test_list was selected from test
    (tmp_path / "exp" / "embeddings" / "test" / "receipts" / "extract.1of1.json").touch()
    assert (
        ledger_text(tmp_path, None, tmp_path / "exp").splitlines()[-1]
        == "   embedded: 5 in = 5 kept + 0 dropped"
    )


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "ledger.json",
            "{",
            (
                r"ledger\.json: not a ledger \(Expecting property name.*\); "
                "run the step that writes it again"
            ),
        ),
        ("ledger.json", "[3]", r"not a ledger \(not an object\)"),
        ("ledger.json", '{"came_in": 3}', r"not a ledger \(no 'went_on'\)"),
        (
            "ledger.json",
            '{"came_in": 3, "went_on": 2, "unreadable": true}',
            r"not a ledger \('unreadable' is true\)",
        ),
        (
            "dropped",
            "a unreadable x\nb\n",
            (
                r"dropped:2: 'b', expected an utterance, the reason why it was dropped, "
                "and details"
            ),
        ),
    ],
)
def test_a_damaged_ledger_is_one_line(tmp_path, file, content, message):
    make_data(tmp_path)
    (tmp_path / "train" / file).write_text(content)
    with pytest.raises(UserError, match=message):
        ledger_text(tmp_path)
