"""Trials by design and their scores: who enrols, who tests, the matrix, the rates, the report."""

import json

import numpy as np
import pytest

from steps.make_enrolment import make_enrolment
from steps.similarity_matrix import similarity_matrix
from tests.voices import make_packed
from utils.data_dir import read_data_dir, read_map, read_trials, write_map
from utils.data_dir.lists import read_spk2utt
from utils.errors import UserError
from utils.evaluation.sets import read_watermarks
from utils.receipts import Task
from utils.report.similarity import similarity_section
from utils.scoring.score_files import score_receipt, write_scores

DESIGN = 'apart_by: utt2prompt\nwatermark: "texts differ"\n'


@pytest.fixture
def packed(tmp_path):
    """Four utterances of each of three speakers, utterance k being sentence k."""
    folder = make_packed(tmp_path / "test", {"a": 100, "b": 140, "c": 190}, utterances=4)
    (folder / "trials").unlink()
    write_map(folder / "utt2prompt", {key: f"00{key[-1]}" for key in read_map(folder / "utt2spk")})
    return folder


def designed(packed, tmp_path, text, name="made", **options):
    (tmp_path / "design.yaml").write_text(text)
    return make_enrolment(
        packed,
        tmp_path / name,
        enrol_utterances=2,
        test_utterances=2,
        design=tmp_path / "design.yaml",
        **options,
    )


def test_sentences_that_enrol_are_never_tested_whoever_speaks_them(packed, tmp_path):
    designed(packed, tmp_path, DESIGN)
    models, (_, test, _) = (
        read_spk2utt(tmp_path / "made" / "enroll.spk2utt"),
        read_trials(tmp_path / "made" / "trials"),
    )
    enrolled = {key[-1] for members in models.values() for key in members}
    assert len(enrolled) == 2
    assert enrolled.isdisjoint({key[-1] for key in test})
    assert read_watermarks(tmp_path / "made") == ["texts differ"]
    designed(packed, tmp_path, DESIGN, "other", seed=1)
    assert (tmp_path / "made" / "trials").read_bytes() != (
        tmp_path / "other" / "trials"
    ).read_bytes()


def test_values_of_one_speaker_are_divided_among_his_own(packed, tmp_path):
    write_map(packed / "utt2original", {key: key[:3] for key in read_map(packed / "utt2spk")})
    counts = designed(packed, tmp_path, "apart_by: utt2original")
    assert counts == {"models": 3, "trials": 18, "left_out": 0}
    assert read_watermarks(tmp_path / "made") == []


def test_names_say_who_enrols_and_who_tests(packed, tmp_path):
    designed(packed, tmp_path, 'enrol_names: "*-[01]"\ntest_names: "*-[23]"')
    assert read_spk2utt(tmp_path / "made" / "enroll.spk2utt")["b-model"] == ["b-0", "b-1"]
    assert {key[-1] for key in read_trials(tmp_path / "made" / "trials")[1]} == {"2", "3"}


def test_single_utterances_enrol_for_validation(packed, tmp_path):
    counts = designed(packed, tmp_path, DESIGN, single=True)
    made = read_data_dir(tmp_path / "made")
    assert counts["trials"] == len(made.trials) == 6 * 6
    assert "enroll.spk2utt" not in made.maps
    assert {side for trial in made.trials for side in trial.split()[:2]} == made.utt2spk.keys()
    assert sum(trial.endswith(" target") for trial in made.trials) == 3 * 2 * 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "apart_by: utt2room",
            "test: no utt2room, the list in apart_by of .*design.yaml; it has .*utt2prompt",
        ),
        ("apart: utt2prompt", "design.yaml: unknown key 'apart'"),
        (
            'enrol_names: "*-0"',
            "0 of 3 speakers have the 4 utterances that enrolment and test need",
        ),
    ],
)
def test_designs_that_cannot_be_are_refused(packed, tmp_path, text, complaint):
    with pytest.raises(UserError, match=complaint):
        designed(packed, tmp_path, text)
    assert not (tmp_path / "made" / "trials").exists()


def test_matrix_rates_and_section_of_an_experiment(packed, tmp_path):
    """Targets score 0.8, others 0.1, one impostor 0.9: between them the FAR is one in twelve."""
    designed(packed, tmp_path, DESIGN)
    enrol, test, is_target = read_trials(tmp_path / "made" / "trials")
    scores, values = (
        tmp_path / "exp" / "scores" / "test" / "cosine.scores",
        np.where(is_target, 0.8, 0.1),
    )
    values[np.flatnonzero(~is_target)[0]] = 0.9
    write_scores(scores, enrol, test, values)
    task = Task(scores.parent, score_receipt(scores).stem, format=1, inputs={}, options={})
    assert not task.is_done()
    task.finish([scores])
    counts = similarity_matrix(scores, tmp_path / "made", tmp_path / "exp" / "similarity" / "test")
    print(counts)
    folder = tmp_path / "exp" / "similarity" / "test"
    matrix = np.load(folder / "similarity.npy", allow_pickle=False)
    rows, columns = ((folder / name).read_text().split() for name in ("rows", "columns"))
    assert matrix.shape == (len(rows), len(columns)) == (3, 6)
    for model, utterance, value in zip(enrol, test, values, strict=True):
        assert matrix[rows.index(model), columns.index(utterance)] == np.float32(value)
    lines = [line.split("\t") for line in (folder / "thresholds.tsv").read_text().splitlines()]
    assert lines[:2] == [["# texts differ"], ["threshold", "far", "frr"]]
    assert ["0.5", "0.083333", "0.000000"] in lines
    assert counts["published_eer_percent"] == pytest.approx(100 / 24, abs=1e-3)
    assert json.loads((folder / "summary.json").read_text())["watermarks"] == ["texts differ"]
    section = similarity_section(tmp_path / "exp").body
    assert all(
        words in section
        for words in ("texts differ", "<svg", "3 models against 6 tests", "similarity.npy")
    )
    assert similarity_section(tmp_path) is None
    for file, content, said in (
        (
            "thresholds.tsv",
            "threshold\tfar\tfrr\n0.5\tx\n",
            r"thresholds\.tsv:2: '0\.5\tx', expected a threshold and",
        ),
        ("summary.json", '{"backend": 3}', r"summary\.json: not a JSON object \('backend' is 3\)"),
    ):
        (folder / file).write_text(content)
        with pytest.raises(UserError, match=said):
            similarity_section(tmp_path / "exp")
