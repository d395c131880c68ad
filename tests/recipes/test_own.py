"""The recipe for a corpus of your own: the ledgers count the planted flaws; other designs."""

import json
import re

import pytest

from tests.conftest import ROOT
from tests.lookalike.own import make_kaldi, write_table
from tests.recipes.runs import OWN_SPEAKERS, last_line, run


@pytest.mark.slow
def test_the_dry_run_says_what_was_found_and_what_would_be_refused(runs, tmp_path):
    text = runs.run("own", tmp_path / "work", "--dry-run")
    assert "a tree of <speaker>/.../<file>" in text
    assert "speakers: 10 (sex not known)" in text
    assert "would be dropped: speaker_0-monday-0: " in text
    assert re.search(r"first 40 files: 1.2 to 1.2 s, .*; 16000 Hz \(39\)", text)
    assert "test: 2 speakers (sex not known), 8 utterances" in text
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_a_corpus_that_is_none_is_one_line(tmp_path):
    assert "--corpus is needed" in run("own", "--workdir", tmp_path / "work", code=2)
    text = run("own", "--corpus", tmp_path, "--workdir", tmp_path / "work", code=1)
    assert (
        f"{tmp_path}: no speakers: no audio in it, expected {tmp_path}/<speaker>/.../<file>"
        in last_line(text)
    )
    assert not list(tmp_path.rglob("wav.scp"))


@pytest.mark.slow
def test_a_back_end_for_more_speakers_ends_the_run_when_stage_0_has_counted_them(runs, tmp_path):
    """Nobody knows them before, but the dry run, which reads the corpus."""
    (tmp_path / "b.yaml").write_text("name: plda\nrank: 9\n")
    options = ("--backend", tmp_path / "b.yaml", "--vad", "conf/vad/energy.yaml")
    work = tmp_path / "work"
    for more in ("--dry-run", ""):
        text = runs.run("own", work, *options, *filter(None, [more]), code=1)
        assert "b.yaml: rank 9 is not between 1 and 5, which 6 speakers and" in last_line(text)
        assert not list(work.rglob("vad.scp"))
    assert list(work.rglob("trials"))


@pytest.mark.slow
def test_the_ledgers_count_what_was_planted(runs):
    data = runs.whole("own") / "data" / "my_corpus"
    ledgers = [
        json.loads((data / name / "ledger.json").read_text()) for name in ("train", "dev", "test")
    ]
    assert sum(ledger["came_in"] for ledger in ledgers) == 4 * len(OWN_SPEAKERS)
    assert sum(ledger["went_on"] for ledger in ledgers) == 4 * len(OWN_SPEAKERS) - 1
    assert sum(ledger.get("unreadable", 0) for ledger in ledgers) == 1
    kinds = json.loads((data / "test" / "trials.json").read_text())["kinds"]
    assert kinds["target"]["drawn"] == kinds["target"]["there"]


@pytest.mark.slow
def test_a_table_and_models_of_several_utterances_run_whole(runs, tmp_path):
    """A table with sexes and sets; speaker models of two utterances, from other sessions."""
    corpus = runs.base / "corpora" / "my corpus"
    rows = [
        {
            "path": f"{speaker}/{session}/{number}.{suffix}",
            "speaker": speaker,
            "session": session,
            "sex": "fm"[index % 2],
            "set": "test" if index < 4 else "dev" if index < 6 else "train",
        }
        for index, speaker in enumerate(OWN_SPEAKERS[1:])
        for session, suffix in (("monday", "wav"), ("tuesday", "flac"))
        for number in range(2)
    ]
    table = write_table(tmp_path / "mine.tsv", rows, "\t")
    options = [option for option in runs.options["own"] if not option.startswith("--corpus")]
    text = run(
        "own",
        "--corpus",
        table,
        "--root",
        corpus,
        *options,
        "--workdir",
        tmp_path / "work",
        "--sessions",
        "across",
        "--enrol-utterances",
        2,
    )
    assert "report:" in text
    test = tmp_path / "work" / "data" / "mine.tsv-across-models2" / "test"
    assert len((test / "enroll.spk2utt").read_text().splitlines()) == 4
    rows = json.loads(next((tmp_path / "work").glob("exp/*/results.json")).read_text())
    assert {row["test_set"] for row in rows} == {"dev", "test"}


@pytest.mark.slow
def test_trials_of_hidden_keys_are_scored_calibrated_and_have_no_error_rate(runs, tmp_path):
    """Kaldi directories with models in test and no third column; dev's trials are designed."""
    speakers, corpus = [f"s{number}" for number in range(8)], tmp_path / "kaldi"
    for name, part in (("train", speakers[:6]), ("test", speakers[6:])):
        make_kaldi(corpus / name, part, 3, seconds=1.5)
    (corpus / "test" / "enroll.spk2utt").write_text("m6 s6-0 s6-1\nm7 s7-0\n")
    trials = "m6 s6-2\nm6 s7-1\nm7 s6-2\nm7 s7-1\n"
    (corpus / "test" / "trials").write_text(trials)
    words = [word for word in runs.options["own"] if not word.startswith("--corpus")]
    home = tmp_path / "work"
    text = run("own", "--corpus", corpus, *words, "--workdir", home, "--calibrate", "true")
    assert "test: 4 trials without a class (target, nontarget): they can be scored" in text
    for scorer in ("cosine", "cosine_calibrated"):
        scores = next(home.glob(f"exp/tiny-kaldi/scores/test/{scorer}.scores")).read_text()
        assert [line.rpartition(" ")[0] for line in scores.splitlines()] == trials.splitlines()
    rows = json.loads(next(home.glob("exp/tiny-kaldi/results.json")).read_text())
    assert {row["test_set"] for row in rows} == {"dev"}
    assert "without a class" in next(home.glob("exp/tiny-kaldi/report.html")).read_text()


@pytest.mark.slow
def test_a_kaldi_directory_with_pipes_is_packed_with_leave(runs, tmp_path):
    data = make_kaldi(tmp_path / "kaldi", [f"s{number}" for number in range(8)])
    lines = [
        f"{name} cat {path} |"
        for name, path in (line.split() for line in (data / "wav.scp").read_text().splitlines())
    ]
    (data / "wav.scp").write_text("".join(f"{line}\n" for line in lines))
    words = ["--corpus", data, "--workdir", tmp_path / "work", "--stop-stage", 2]
    assert "--allow-pipes if you trust them" in last_line(run("own", *words, code=1))
    assert "== stage 2" in run("own", *words, "--allow-pipes", "true", cwd=ROOT)
