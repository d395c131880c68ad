"""From scores to results.json and one HTML page."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import pytest

from steps.evaluate import evaluate
from steps.report import report
from steps.score import score
from steps.train_backend import train_backend
from tests.steps.test_score import write_embeddings
from utils.errors import UserError
from utils.metrics.rates import equal_error_rate
from utils.receipts import Task
from utils.scoring.score_files import read_scores, write_scores

SPEAKERS = {f"spk{k:02d}": "fm"[k % 2] for k in range(12)}
UTT2SPK = {
    f"{speaker}-{condition}{k}": speaker
    for speaker in SPEAKERS
    for condition in ("near", "far")
    for k in range(2)
}
FIGURES = {
    "system",
    "test_set",
    "protocol",
    "backend",
    "subset",
    "eer_percent",
    "min_dcf",
    "min_dcf_0.01",
    "min_dcf_0.05",
    "targets",
    "nontargets",
    "watermarks",
    "speakers",
    "centred",
    "no_interval",
    "eer_percent_interval",
    "min_dcf_0.01_interval",
    "min_dcf_0.05_interval",
    "act_dcf_0.01",
    "act_dcf_0.05",
    "cllr",
    "act_dcf_0.01_interval",
    "act_dcf_0.05_interval",
    "cllr_interval",
    "min_cllr",
    "eer_hull_percent",
    "eer_kaldi_percent",
    "tpr_at_far_0.001",
    "tpr_at_far_0.01",
    "tpr_at_far_0.1",
    "best_accuracy",
}


def write_data(folder):
    """A test set of 12 speakers, 6 of each sex, with 2 utterances in each of 2 conditions.

    All pairs are trials.
    """
    folder.mkdir(parents=True)
    lists = {
        "utt2spk": UTT2SPK,
        "spk2gender": SPEAKERS,
        "utt2condition": {key: re.sub(r".*-|\d", "", key) for key in UTT2SPK},
    }
    for name, mapping in lists.items():
        (folder / name).write_text(
            "".join(f"{key} {value}\n" for key, value in sorted(mapping.items()))
        )
    trials = [
        (a, b, "target" if UTT2SPK[a] == UTT2SPK[b] else "nontarget")
        for a, b in combinations(sorted(UTT2SPK), 2)
    ]
    (folder / "trials").write_text("".join(" ".join(trial) + "\n" for trial in trials))


def make_system(folder, noise, seed):
    """An experiment with scores: its embeddings are a point for each speaker, with noise."""
    rng = np.random.default_rng(seed)
    points = dict(zip(SPEAKERS, rng.standard_normal((12, 8)), strict=True))
    for name in ("train", "test"):
        write_embeddings(
            folder / "embeddings" / name,
            {
                key: points[spk] + noise * rng.standard_normal(8)
                for key, spk in sorted(UTT2SPK.items())
            },
        )
    train_backend(folder / "embeddings" / "train", folder / "backend" / "cosine")
    score_system(folder)


def score_system(folder):
    """The scores of an experiment on its test set."""
    data = folder.parents[1] / "data" / "test"
    score(
        folder / "backend" / "cosine",
        folder / "embeddings" / "test",
        data / "trials",
        folder / "scores" / "test" / "cosine.scores",
    )


@pytest.fixture
def work(tmp_path):
    """One data directory and three experiments: good, middling, chance."""
    write_data(tmp_path / "data" / "test")
    for seed, (name, noise) in enumerate({"good": 0.5, "middling": 1.5, "chance": 50.0}.items()):
        make_system(tmp_path / "exp" / name, noise, seed)
    return tmp_path


def evaluated(work):
    """Rows of results.json, by system and subset."""
    exp = work / "exp"
    evaluate(exp / "good", work / "data", others=[exp / "middling", exp / "chance"], replicates=100)
    rows = json.loads((exp / "good" / "results.json").read_text())
    return {(row["system"], row["subset"]): row for row in rows}, rows


def test_every_row_is_made_from_scores_and_trials(work):
    by_name, rows = evaluated(work)
    assert len(by_name) == len(rows) == 3 * 10
    assert all(row.keys() == FIGURES for row in rows)
    enrol, test, values = read_scores(
        work / "exp" / "middling" / "scores" / "test" / "cosine.scores"
    )
    for subset, member in {
        "all": lambda a, b: True,
        "same sex": lambda a, b: SPEAKERS[UTT2SPK[a]] == SPEAKERS[UTT2SPK[b]],
        "within condition": lambda a, b: ("near" in a) == ("near" in b),
        "across conditions": lambda a, b: ("near" in a) != ("near" in b),
        "within condition, same sex": lambda a, b: (
            ("near" in a) == ("near" in b) and SPEAKERS[UTT2SPK[a]] == SPEAKERS[UTT2SPK[b]]
        ),
        "across conditions, same sex": lambda a, b: (
            ("near" in a) != ("near" in b) and SPEAKERS[UTT2SPK[a]] == SPEAKERS[UTT2SPK[b]]
        ),
    }.items():
        chosen = [
            (UTT2SPK[a] == UTT2SPK[b], value)
            for a, b, value in zip(enrol, test, values, strict=True)
            if member(a, b)
        ]
        target, nontarget = (
            [value for same, value in chosen if same],
            [value for same, value in chosen if not same],
        )
        row = by_name["middling", subset]
        assert (row["targets"], row["nontargets"]) == (len(target), len(nontarget))
        assert row["eer_percent"] == pytest.approx(
            100 * equal_error_rate(target, nontarget), abs=1e-4
        )


def test_systems_come_out_in_the_order_of_their_quality(work):
    rows, _ = evaluated(work)
    good, middling, chance = (
        rows[name, "all"]["eer_percent"] for name in ("good", "middling", "chance")
    )
    print(f"EER % good {good}, middling {middling}, chance {chance}")
    assert 0 < good < 15 < middling < 42 < chance < 60


def test_results_are_the_same_bytes_wherever_and_whenever_they_are_made(work):
    evaluated(work)
    first = [
        (work / "exp" / "good" / name).read_bytes() for name in ("results.json", "curves.json")
    ]
    (work / "exp" / "good" / "results.json").unlink()
    moved = work.with_name("elsewhere")
    work.rename(moved)
    evaluated(moved)
    assert [
        (moved / "exp" / "good" / name).read_bytes() for name in ("results.json", "curves.json")
    ] == first
    assert str(work).encode() not in first[0] + first[1]


def test_order_of_a_score_file_does_not_matter(work):
    rows, _ = evaluated(work)
    path = work / "exp" / "good" / "scores" / "test" / "cosine.scores"
    enrol, test, values = read_scores(path)
    write_scores(path, enrol[::-1], test[::-1], values[::-1])
    (work / "exp" / "good" / "receipts" / "evaluate.json").unlink()
    assert evaluated(work)[0] == rows


def test_a_trial_without_score_is_named(work):
    path = work / "exp" / "good" / "scores" / "test" / "cosine.scores"
    enrol, test, values = read_scores(path)
    write_scores(path, enrol[5:], test[5:], values[5:])
    pair = f"{enrol[0]} {test[0]}"
    message = (
        rf"trials:1: trial '{pair}' has no score in .*cosine\.scores; 5 of {len(enrol)} trials"
    )
    with pytest.raises(UserError, match=message):
        evaluated(work)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a b", "2: 2 fields, expected 3"),
        ("a b nan", "2: score 'nan' is not a finite number"),
        ("a b high", "2: score 'high' is not a finite number"),
    ],
)
def test_a_bad_score_file_is_named(work, line, message):
    path = work / "exp" / "good" / "scores" / "test" / "cosine.scores"
    path.write_text(f"a a 1.0\n{line}\n")
    with pytest.raises(UserError, match=re.escape(f"{path}:{message}")):
        evaluated(work)


def test_trials_of_one_class_have_no_error_rate(work, command):
    trials = work / "data" / "test" / "trials"
    trials.write_text(
        "".join(line for line in trials.read_text().splitlines(True) if line.endswith(" target\n"))
    )
    done = command("steps.evaluate", work / "exp" / "good", work / "data")
    assert done.returncode == 0, done.stderr
    assert f"{trials}: " in done.stdout
    assert "nontarget" in done.stdout
    assert json.loads((work / "exp" / "good" / "results.json").read_text()) == []


def add_set(work, name, trials):
    """A further set with the utterances and scores of the first, and other trials."""
    shutil.copytree(work / "data" / "test", work / "data" / name)
    (work / "data" / name / "trials").write_text("".join(f"{line}\n" for line in trials))
    for experiment in (work / "exp").iterdir():
        shutil.copytree(experiment / "scores" / "test", experiment / "scores" / name)


def test_a_set_without_classes_is_named_and_the_others_are_evaluated(work, capsys):
    """A list without classes, and a list of one class."""
    lines = (work / "data" / "test" / "trials").read_text().splitlines()
    add_set(work, "hidden", [line.rsplit(" ", 1)[0] for line in lines])
    add_set(work, "impostors", [line for line in lines if line.endswith("nontarget")])
    _, rows = evaluated(work)
    assert {row["test_set"] for row in rows} == {"test"}
    messages = [
        (
            "hidden: 1,128 trials without a class (target, nontarget): they can be scored, but "
            "have no error rate"
        ),
        (
            "impostors: all 1,056 trials are nontarget, expected both target and nontarget for an "
            "error rate: they can be scored, but have none"
        ),
    ]
    out = capsys.readouterr().out
    assert all(line.replace(": ", "/trials: ", 1) in out for line in messages)
    report(work / "exp" / "good", work / "data")
    shown = capsys.readouterr().out.splitlines()
    page = (work / "exp" / "good" / "report.html").read_text()
    assert all(line in shown and line in page for line in messages)


def test_a_list_without_classes_alone_has_a_report_without_error_rates(work, capsys):
    trials = work / "data" / "test" / "trials"
    trials.write_text(
        "".join(line.rsplit(" ", 1)[0] + "\n" for line in trials.read_text().splitlines())
    )
    _, rows = evaluated(work)
    assert rows == []
    capsys.readouterr()
    report(work / "exp" / "good", work / "data")
    shown = capsys.readouterr().out
    assert shown.startswith("test: 1,128 trials without a class"), "no table, no empty line"
    assert "" not in shown.splitlines()
    assert "1,128 trials without a class" in (work / "exp" / "good" / "report.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: (
                text.replace("nontarget", "x")
                .replace(" target", " nontarget")
                .replace(" x", " target")
            ),
            (
                "trials:1: trial 'spk00-far0 spk00-far1' is nontarget, "
                r".*1,128 of 1,128 trials are like this \(are the classes"
            ),
        ),
        (
            lambda text: text + "spk00-far0 spk00-far0 target\n",
            "trials:1129: trial of utterance 'spk00-far0' with itself",
        ),
        (
            lambda text: text + "spk00-far1 spk00-far0 nontarget\n",
            (
                "trials:1129: trial 'spk00-far1 spk00-far0' is nontarget, "
                "but utt2spk says 'spk00' on both"
            ),
        ),
    ],
)
def test_trials_that_contradict_utt2spk_are_not_evaluated(work, change, message):
    trials = work / "data" / "test" / "trials"
    trials.write_text(change(trials.read_text()))
    with pytest.raises(UserError, match=message):
        evaluated(work)
    assert not (work / "exp" / "good" / "results.json").exists()


def test_classes_of_models_agree_with_the_speakers_of_their_utterances(work):
    data = work / "data" / "test"
    (data / "enroll.spk2utt").write_text("m spk00-far0 spk00-far1\n")
    for line, message in (
        (
            "m spk01-far0 target",
            "target, but utt2spk and enroll.spk2utt say 'spk00' and 'spk01'",
        ),
        ("m spk00-far1 target", "'spk00-far1' is an utterance of its own model 'm'"),
    ):
        (data / "trials").write_text(f"m spk02-far0 nontarget\n{line}\n")
        with pytest.raises(UserError, match=f"trials:2: .*{message}"):
            evaluated(work)


def test_an_eer_above_one_half_has_a_note_that_classes_seem_reversed(work, capsys):
    for experiment in ("good", "middling"):
        path = work / "exp" / experiment / "scores" / "test" / "cosine.scores"
        enrol, test, scores = read_scores(path)
        write_scores(path, enrol, test, -scores if experiment == "good" else scores)
    by_name, _ = evaluated(work)
    figure = by_name["good", "all"]["eer_percent"]
    assert figure > 50
    message = (
        f"test, good: EER {figure:.2f} % is above 50 %: "
        "chance, or the scores or the classes seem reversed"
    )
    capsys.readouterr()
    report(work / "exp" / "good", work / "data")
    shown = capsys.readouterr().out
    texts = [
        shown,
        *((work / "exp" / "good" / name).read_text() for name in ("report.html", "results.md")),
    ]
    assert all(message in " ".join(text.split()) for text in texts)
    assert all("test, middling: EER" not in text for text in texts)


def test_a_subset_with_one_class_has_counts_and_no_rate(work):
    data = work / "data" / "test"
    data.joinpath("utt2condition").write_text(
        "".join(f"{key} {UTT2SPK[key]}\n" for key in sorted(UTT2SPK))
    )
    rows, _ = evaluated(work)
    assert rows["good", "within condition"]["nontargets"] == 0
    assert rows["good", "within condition"]["eer_percent"] is None
    report(work / "exp" / "good", work / "data")
    assert "–" in (work / "exp" / "good" / "report.html").read_text()


def test_without_maps_there_is_the_whole_list_only(work):
    for name in ("spk2gender", "utt2condition"):
        (work / "data" / "test" / name).unlink()
    rows, _ = evaluated(work)
    assert {subset for _, subset in rows} == {"all"}
    report(work / "exp" / "good", work / "data")
    assert "by subset" not in (work / "exp" / "good" / "report.html").read_text()


def test_lost_trials_watermark_every_row_and_the_page(work, capsys):
    (work / "data" / "test" / "ledger.json").write_text(
        '{"came_in": 49, "went_on": 48, "unreadable": 1, "lost_trials": 7}'
    )
    rows, _ = evaluated(work)
    assert all(
        row["watermarks"] == ["7 trials are lost: their audio was dropped"] for row in rows.values()
    )
    report(work / "exp" / "good", work / "data")
    assert "test: 7 trials are lost" in capsys.readouterr().out
    assert "7 trials are lost" in (work / "exp" / "good" / "report.html").read_text()


def test_every_set_with_trials_has_to_be_scored(work):
    write_data(work / "data" / "dev")
    with pytest.raises(UserError, match=r"good/scores/dev/receipts/score_\*\.json is missing"):
        evaluated(work)
    with pytest.raises(UserError, match="empty: no <set>/trials in it"):
        evaluate(work / "exp" / "good", work / "empty")


def test_experiments_without_scores_or_of_one_name_are_refused(work):
    with pytest.raises(
        UserError,
        match=r"none/scores/test/receipts/score_\*\.json is missing: .* run the earlier stage",
    ):
        evaluate(work / "exp" / "good", work / "data", others=[work / "exp" / "none"])
    with pytest.raises(UserError, match="same folder name"):
        evaluate(work / "exp" / "good", work / "data", others=[work / "exp" / "good"])


class Page(HTMLParser):
    """Links and elements of a page; checks that elements close."""

    def __init__(self):
        super().__init__()
        self.links, self.counts, self.open = [], {}, []

    def handle_starttag(self, tag, attributes):
        self.links += [
            value for name, value in attributes if name in ("src", "href", "srcset", "data")
        ]
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_with_every_figure(work, capsys):
    folder = work / "exp" / "good"
    (folder / "log").mkdir()
    history = [
        {"step": k, "loss": 3 / k, "accuracy": k / 20, "learning_rate": 0.001} for k in range(1, 20)
    ] + [{"step": 19, "dev_eer_percent": 7.5}]
    (folder / "log" / "history.jsonl").write_text(
        "".join(json.dumps(entry) + "\n" for entry in history)
    )
    (folder / "config.yaml").write_text("model: {name: ghostvlad}  # <b>not bold</b>\n")
    (work / "data" / "test" / "ledger.json").write_text(
        '{"came_in": 49, "went_on": 48, "unreadable": 1}'
    )
    rows, _ = evaluated(work)
    report(folder, work / "data")
    page = Page()
    text = (folder / "report.html").read_text()
    page.feed(text)
    assert page.open == []
    assert page.links == ["#test", "#Learning-curve", "#Configuration", "#Utterances", "#Time"]
    assert "@import" not in text
    assert "url(" not in text
    # DET, a histogram for each system, breakdown, four learning curves
    assert page.counts["svg"] == 1 + 3 + 1 + 4
    assert "&lt;b&gt;not bold" in text
    assert "prefers-color-scheme: dark" in text
    for (name, _), row in rows.items():
        assert name in text
        assert f"{row['eer_percent']:.2f}" in text
    out = capsys.readouterr().out.splitlines()
    print("\n".join(out))
    assert out[-1] == f"report: {folder / 'report.html'}"
    assert re.search(
        r"^middling +\d+\.\d\d \[ *\d+\.\d\d, +\d+\.\d\d\] +\d\.\d{3} +\d\.\d{3} +\d+\.\d\d$",
        "\n".join(out),
        re.MULTILINE,
    )
    timing = json.loads((folder / "timing.json").read_text())
    assert {entry["step"] for entry in timing} == {"train_backend", "score_cosine", "evaluate"}


def finish_task(home, name, files, counts):
    """Files and a receipt with counts, as a step writes them."""
    task = Task(home, name, format=1, inputs={}, options={})
    assert not task.is_done()
    for file, text in files.items():
        (home / file).write_text(text)
    task.finish([home / file for file in files], counts)


def draw_pictures(folder, **changes):
    """Pictures of one utterance, as steps.illustrate writes them."""
    entries = [
        {
            "set": "train",
            "utterance": "u<1>",
            "speaker": "s1",
            "kind": kind,
            "caption": f"caption & {kind}",
            "file": f"1_{kind}.svg",
        }
        | changes
        for kind in ("vad", "before", "after")
    ]
    files = {
        entry["file"]: f'<svg id="{entry["kind"]}"><image href="data:image/png;base64,AA=="/></svg>'
        for entry in entries
    }
    finish_task(
        folder / "pictures", "illustrate", files | {"pictures.json": json.dumps(entries)}, {}
    )


def test_the_page_shows_pictures_of_sound_and_the_share_of_speech(work):
    folder = work / "exp" / "good"
    evaluated(work)
    report(folder, work / "data")
    assert ">Sound</h2>" not in (folder / "report.html").read_text()
    counts = {
        "frames": 720_000,
        "speech_frames": 540_000,
        "speech_fraction": [0.1, 0.6, 0.75, 0.8, 1.0],
        "without_speech": 7,
    }
    finish_task(work / "data" / "test" / "vad", "collect_vad", {}, counts)
    report(folder, work / "data")
    text = (folder / "report.html").read_text()
    assert (
        "".join(
            f"<td>{cell}</td>"
            for cell in ("test", "2.00", "1.50", "75.0", "10.0 / 60.0 / 75.0 / 80.0 / 100.0", "7")
        )
        in text
    )
    draw_pictures(folder)
    report(folder, work / "data")
    page, text = Page(), (folder / "report.html").read_text()
    page.feed(text)
    assert page.open == []
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    # DET, histograms, breakdown, colour scale, one utterance
    assert page.counts["svg"] == 1 + 3 + 1 + 1 + 3
    assert [f'<svg id="{kind}">' in text for kind in ("vad", "before", "after")] == [True] * 3
    assert "u&lt;1&gt; (speaker s1, train)" in text
    assert "after: caption &amp; after" in text


def test_new_pictures_make_a_new_page(work, capsys):
    folder = work / "exp" / "good"
    evaluated(work)
    draw_pictures(folder)
    report(folder, work / "data")
    (folder / "pictures" / "receipts" / "illustrate.json").unlink()
    draw_pictures(folder, caption="of another seed")
    report(folder, work / "data")
    assert "before: of another seed" in (folder / "report.html").read_text()
    (folder / "pictures" / "receipts" / "illustrate.json").unlink()
    with pytest.raises(UserError, match=r"illustrate\.json is missing"):
        report(folder, work / "data")


def test_the_table_is_shown_again_and_the_page_left_alone(work, capsys):
    evaluated(work)
    report(work / "exp" / "good", work / "data")
    made, shown = (
        (work / "exp" / "good" / "report.html").stat().st_mtime_ns,
        capsys.readouterr().out,
    )
    report(work / "exp" / "good", work / "data")
    assert (work / "exp" / "good" / "report.html").stat().st_mtime_ns == made
    assert capsys.readouterr().out == shown


def test_new_scores_are_evaluated_and_reported_again(work):
    rows, _ = evaluated(work)
    report(work / "exp" / "good", work / "data")
    before = (work / "exp" / "good" / "report.html").read_text()
    train_backend(
        work / "exp" / "good" / "embeddings" / "train",
        work / "exp" / "good" / "backend" / "cosine",
        subtract_mean=False,
    )
    score_system(work / "exp" / "good")
    assert evaluated(work)[0] != rows
    report(work / "exp" / "good", work / "data")
    assert (work / "exp" / "good" / "report.html").read_text() != before


@pytest.mark.slow
def test_both_steps_are_commands(work, command):
    exp = work / "exp"
    done = command(
        "steps.evaluate",
        exp / "good",
        work / "data",
        "--others",
        f"[{exp / 'middling'}, {exp / 'chance'}]",
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = command("steps.report", exp / "good", work / "data")
    assert (done.returncode, done.stderr) == (0, "")
    table = done.stdout.splitlines()
    assert [line.split(" ")[0] for line in table[3:6]] == ["good", "middling", "chance"]
    assert "test, chance: EER" in done.stdout
