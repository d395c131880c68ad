"""Intervals, the leakage check and log-likelihood ratios in results.json, and the worst trials."""

import json
import re

import numpy as np
import pytest
import soundfile

from steps.evaluate import evaluate
from steps.report import report
from tests.steps.test_report import UTT2SPK, finish_task, make_system, write_data
from utils.errors import UserError
from utils.receipts import read_receipt
from utils.scoring.score_files import read_scores, score_receipt


@pytest.fixture
def work(tmp_path):
    """One data directory and one experiment."""
    write_data(tmp_path / "data" / "test")
    make_system(tmp_path / "exp" / "good", 1.0, 0)
    return tmp_path


def rows_of(work, **options):
    """Rows of results.json by subset."""
    evaluate(work / "exp" / "good", work / "data", **{"replicates": 50, **options})
    return {
        row["subset"]: row
        for row in json.loads((work / "exp" / "good" / "results.json").read_text())
    }


def make_curves(work):
    """The only entry of curves.json."""
    return json.loads((work / "exp" / "good" / "curves.json").read_text())[0]


def write_speakers(folder, *speakers):
    """A data directory that knows speakers only."""
    folder.mkdir()
    (folder / "utt2spk").write_text(
        "".join(f"{speaker}-u {speaker}\n" for speaker in sorted(speakers))
    )
    return folder


def test_figures_lie_inside_their_intervals_and_subsets_have_their_own(work):
    for subset, row in rows_of(work).items():
        for name in ("eer_percent", "min_dcf_0.01", "min_dcf_0.05"):
            assert (name in row["no_interval"]) is (row[f"{name}_interval"] is None)
            if name not in row["no_interval"]:
                low, high = row[f"{name}_interval"]
                assert low <= row[name] <= high, f"{subset}: {name}"
        assert "eer_percent" not in row["no_interval"]
    assert rows_of(work)["all"]["speakers"] == 12
    assert rows_of(work)["sex: f"]["speakers"] == 6
    assert rows_of(work, replicates=0)["all"]["eer_percent_interval"] is None


def test_draws_depend_on_the_seed_alone(work):
    first = rows_of(work)
    assert rows_of(work, seed=1) != first
    assert rows_of(work) == first


def test_further_priors_are_given_and_bad_options_named(work, command):
    row = rows_of(work, operating_points="0.5,0.01:10:1")["all"]
    assert row["min_dcf_0.5"] <= 1
    assert row["min_dcf_0.5_interval"] is not None
    for option, value in (
        ("--operating-points", "1.5"),
        ("--operating-points", "0.1:1"),
        ("--replicates", "1"),
    ):
        done = command("steps.evaluate", work / "exp" / "good", work / "data", option, value)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert option in done.stderr


def test_speakers_that_leak_are_refused_and_when_allowed_said_beside_every_figure(work, capsys):
    train, clean = (
        write_speakers(work / "train", "spk03", "other"),
        write_speakers(work / "clean", "other"),
    )
    with pytest.raises(
        UserError,
        match=r"^1 of 12 speakers of test set test are in the network's training \(spk03\): "
        ".*--allow-leakage",
    ):
        rows_of(work, train=[clean, train])
    assert not (work / "exp" / "good" / "results.json").exists()
    rows = rows_of(work, train=[clean, train], allow_leakage=True)
    assert all("leakage: 1 of 12 speakers" in row["watermarks"][0] for row in rows.values())
    report(work / "exp" / "good", work / "data")
    assert "test: leakage: 1 of 12 speakers" in capsys.readouterr().out
    assert (
        '<p class="watermark">leakage: 1 of 12'
        in (work / "exp" / "good" / "report.html").read_text()
    )
    assert rows_of(work, train=[clean], cohort=[clean])["all"]["watermarks"] == []
    assert (
        "1 of 1 speakers of the cohort are in the network's training, which is normal"
        in capsys.readouterr().out
    )


def test_a_dev_list_that_is_evaluated_is_no_test_of_itself(work):
    assert rows_of(work, dev=[work / "data" / "test"])["all"]["watermarks"] == []
    with pytest.raises(UserError, match="12 of 12 speakers of dev are in the network's training"):
        rows_of(work, dev=[work / "data" / "test"], train=[work / "data" / "test"])


def test_only_scores_that_are_declared_llrs_have_cllr_and_a_calibration_plot(work):
    assert rows_of(work)["all"]["cllr"] is None
    assert "said" not in make_curves(work)
    scores = work / "exp" / "good" / "scores" / "test" / "cosine.scores"
    receipt = read_receipt(score_receipt(scores))
    receipt["counts"] |= {"llr": True, "watermarks": ["calibrated on the test"]}
    score_receipt(scores).write_text(json.dumps(receipt))
    (work / "exp" / "good" / "receipts" / "evaluate.json").unlink()
    row = rows_of(work)["all"]
    assert row["watermarks"] == ["calibrated on the test"]
    assert row["min_cllr"] <= row["cllr"]
    assert row["act_dcf_0.05"] >= row["min_dcf_0.05"]
    assert make_curves(work)["said"]
    report(work / "exp" / "good", work / "data")
    text = (work / "exp" / "good" / "report.html").read_text()
    assert "<h3>Calibration</h3>" in text
    assert "<th>Cllr</th>" in text


def test_the_band_holds_the_curve(work):
    rows_of(work)
    curve = make_curves(work)
    points = dict(zip(curve["false_alarm"], curve["miss"], strict=True))
    band = zip(curve["band_false_alarm"], curve["band_low"], curve["band_high"], strict=True)
    held = [(low, points[x], high) for x, low, high in band if x in points]
    assert len(curve["band_low"]) > 10
    assert sum(
        low <= miss <= high or miss == max(points.values()) for low, miss, high in held
    ) >= 0.8 * len(held)


def test_the_worst_trials_are_the_extreme_ones_and_lead_to_their_sound(work):
    sounds = work / "data" / "test" / "wav"
    sounds.mkdir()
    rng = np.random.default_rng(0)
    for key in UTT2SPK:
        soundfile.write(sounds / f"{key}.wav", 0.1 * rng.standard_normal(8000), 16_000)
    (work / "data" / "test" / "wav.scp").write_text(
        "".join(f"{key} {sounds}/{key}.wav\n" for key in sorted(UTT2SPK))
    )
    rows_of(work)
    enrol, test, values = read_scores(work / "exp" / "good" / "scores" / "test" / "cosine.scores")
    is_target = np.array([UTT2SPK[a] == UTT2SPK[b] for a, b in zip(enrol, test, strict=True)])
    worst = make_curves(work)["worst"]
    assert [score for *_, score in worst["targets"]] == pytest.approx(
        np.sort(values[is_target])[:20], rel=1e-5
    )
    assert [score for *_, score in worst["nontargets"]] == pytest.approx(
        np.sort(values[~is_target])[::-1][:20], rel=1e-5
    )
    report(work / "exp" / "good", work / "data")
    text = (work / "exp" / "good" / "report.html").read_text()
    print(f"page of {len(text):,} bytes with {text.count('<audio')} players")
    assert (
        10
        < text.count('<audio controls preload="none" src="data:audio/mpeg;base64,')
        == len(set(re.findall('base64,([^"]{200,})"', text)))
    )
    assert len(text) < 1_500_000
    assert f"{worst['targets'][0][0]} <audio" in text
    assert f"<small>{sounds}/{worst['targets'][0][0]}.wav</small>" in text
    report(work / "exp" / "good", work / "data", players=False)
    assert "<audio" not in (work / "exp" / "good" / "report.html").read_text()


def test_sound_that_cannot_be_read_or_is_a_command_has_no_player(work):
    (work / "data" / "test" / "wav.scp").write_text(
        "".join(
            f"{key} {'touch ran |' if 'far' in key else 'gone.wav'}\n" for key in sorted(UTT2SPK)
        )
    )
    rows_of(work)
    report(work / "exp" / "good", work / "data")
    text = (work / "exp" / "good" / "report.html").read_text()
    assert "<audio" not in text
    assert "<small>gone.wav</small>" in text


def test_pictures_and_receipts_of_other_steps_stay(work):
    rows_of(work)
    finish_task(
        work / "data" / "test" / "vad",
        "collect_vad",
        {},
        {
            "frames": 100,
            "speech_frames": 50,
            "speech_fraction": [0, 0, 0.5, 1, 1],
            "without_speech": 1,
        },
    )
    report(work / "exp" / "good", work / "data")
    assert 'id="Sound"' in (work / "exp" / "good" / "report.html").read_text()


def test_a_table_for_results_md_comes_from_the_same_rows(work):
    row = rows_of(work)["all"]
    report(work / "exp" / "good", work / "data")
    line = (work / "exp" / "good" / "results.md").read_text().splitlines()[2]
    low, high = row["eer_percent_interval"]
    eer = f"{row['eer_percent']:.2f} [{low:.2f}, {high:.2f}]"
    assert line.startswith(f"| test | good | {eer} | {row['min_dcf_0.01']:.3f} |")
    assert line.endswith("| 1,128 | 12 |")
