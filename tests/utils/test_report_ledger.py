"""The ledgers of a data folder as a section of the page."""

import json

from utils.report_ledger import ledger_section, phrase


def test_a_ledger_is_a_sum_in_words():
    assert phrase({"came_in": 1500, "went_on": 1500}) == "utterances: 1,500 in = 1,500 kept + 0 dropped"
    counts = {"came_in": 1500, "went_on": 1497, "policy:short": 1, "unreadable": 2, "lost_trials": 7, "pieces:packed": 9}
    assert phrase(counts) == ("utterances: 1,500 in = 1,497 kept + 3 dropped (1 policy:short, 2 unreadable); 7 lost trials, 9 pieces:packed")


def test_stages_have_their_sets_and_a_total(tmp_path):
    counts = {"train": (10, 9), "train/vad": (9, 9), "packed_16000/train": (9, 8), "test": (5, 5), "test/vad": (5, 5), "packed_16000/test": (5, 5)}
    for name, (came_in, went_on) in counts.items():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        if "vad" not in name:
            (tmp_path / name / "utt2spk").write_text("")
        dropped = {"unreadable": came_in - went_on} if came_in > went_on else {}
        (tmp_path / name / "ledger.json").write_text(json.dumps({"came_in": came_in, "went_on": went_on, **dropped}))
    section = ledger_section(tmp_path)
    assert [line.partition("<summary>")[2].partition("</summary>")[0] for line in section.splitlines()[1:]] == [
        "prepared: utterances: 15 in = 14 kept + 1 dropped (1 unreadable)", "vad: utterances: 14 in = 14 kept + 0 dropped",
        "packed_16000: utterances: 14 in = 13 kept + 1 dropped (1 unreadable)"]
    assert "<li>train: utterances: 9 in = 8 kept + 1 dropped (1 unreadable)</li>" in section
    assert ledger_section(tmp_path / "none") == ""
