"""The dry run: audio, disk, memory and time by receipts or rules; what is missing; exit code 1."""

import json
import os
import re
import shutil

import pytest
import yaml

from tests.conftest import ROOT
from tests.mounts import small_disk
from utils.config import read_yaml
from utils.errors import UserError
from utils.plan import audio_counts as plan_audio
from utils.plan import dry_run as plan_dry_run
from utils.plan import forecast
from utils.plan import missing as plan_missing
from utils.plan.audio_counts import Audio, AudioOfPlan, count_corpus
from utils.plan.forecast import UNKNOWN, Amount, Records, sum_stage_needs
from utils.receipts import Task

TINY = "recipes/mini/conf/ghostvlad_tiny.yaml"


def make_data(folder, seconds):
    """A data directory with utterances of some seconds each; the dry run reads no audio."""
    folder.mkdir(parents=True)
    names = [f"s{number}-u{number}" for number in range(len(seconds))]
    for name, values in {
        "wav.scp": [f"{name}.wav" for name in names],
        "utt2spk": [name.split("-")[0] for name in names],
        "utt2dur": seconds,
    }.items():
        (folder / name).write_text(
            "".join(f"{key} {value}\n" for key, value in zip(names, values, strict=True))
        )
    return folder


def write_receipt(
    home, name, seconds, data, *, job="", counts=None, options=None, inputs=None, **facts
):
    """A receipt as `Task.finish` writes it."""
    (home / "receipts").mkdir(parents=True, exist_ok=True)
    receipt = {
        "step": name,
        "format": 1,
        "options": (options or {}) | ({"job": job} if job else {}),
        "inputs": {
            label: {"path": str(path), "content": ""}
            for label, path in ({"wav.scp": data / "wav.scp"} | (inputs or {})).items()
        },
        "outputs": {"x": {"bytes": 1000, "sha256": ""}},
        "counts": counts or {},
        "seconds": seconds,
        "core_seconds": seconds,
    } | facts
    (home / "receipts" / f"{name}{'.' + job.replace('/', 'of') if job else ''}.json").write_text(
        json.dumps(receipt)
    )


@pytest.fixture
def work(tmp_path):
    """A workdir with an hour of train, and a plan that packs it in two jobs and trains."""
    data, packed = (
        make_data(tmp_path / "data" / "train", [1800, 1800]),
        tmp_path / "data" / "packed",
    )
    pack = f"python3 -m steps.pack_audio {data} {packed}/train --min-speech-seconds 0 --job"
    (tmp_path / "quiet.yaml").write_text("chain: []\n")  # there is no bank
    train = f"python3 -m steps.train {packed}/train none {ROOT / TINY} {tmp_path}/exp/tiny"
    train += f" --augmentation {tmp_path}/quiet.yaml"
    (tmp_path / "plan").write_text(
        f"stage 2 pack\nlaunch JOB=1:2 {tmp_path}/log.JOB {pack} JOB/2\n"
        f"run python3 -m steps.collect_packed {data} "
        f"{packed}/train --jobs 2\nstage 3 train\nrun {train}\nstage 7 report\n"
    )
    return tmp_path


def rows(text):
    """Stage, or "all" -> cells of its line of the table behind the title."""
    cells = {}
    for line in text.partition("memory     time\n")[2].splitlines():
        if re.match(r"\d  ", line) or "total of" in line:
            key = line[0] if line[0] != " " else "all"
            cells[key] = re.findall(r"~?[\d,.]+(?: (?:h|MB|GB|s|min))?|\?|-", line[34:])
    return cells


@pytest.mark.slow
def test_without_any_receipt_what_a_step_knows_is_told_and_the_rest_is_one_rule(work, command):
    (work / "sbatch").write_text("#!/bin/sh\n")
    (work / "sbatch").chmod(0o755)
    path = {"PATH": f"{work}:{os.environ['PATH']}"}
    words = ("utils.plan.dry_run", work / "plan", f"workdir={work}", "--cmd", "slurm")
    done = command(*words, env=os.environ | path)
    print(done.stdout, done.stderr)
    assert (done.returncode, "missing" in done.stdout) == (0, False)
    table = rows(done.stdout)
    # An hour of 16-bit samples at 16 kHz: 2 x 16000 x 3600 bytes, as the step itself says.
    assert table["2"] == ["2", "1.0 h", "115.2 MB", "?", "?"]
    assert table["3"] == ["~2", "~1.0 h", "?", "?", "?"]
    assert table["all"] == ["115.2 MB", "?", "?"]
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines if re.match(r"\d  |   ", line)) <= 80
    assert sum("as a rule of thumb" in line for line in lines) == 1
    assert re.fullmatch(r"disk: about 115.2 MB, of what is known; free: [\d,]+ MB", lines[-1])
    assert "-m steps" not in done.stdout, "commands are for --verbose"
    assert not (work / "data" / "packed").exists()


@pytest.mark.slow
def test_commands_come_behind_the_forecast_with_verbose(work, command):
    output = command(
        "utils.plan.dry_run", work / "plan", f"workdir={work}", "--verbose", "true"
    ).stdout
    assert (
        output.index("total of what is known")
        < output.index("disk: about")
        < output.index("$ python3 -m steps.")
    )
    assert "--job JOB/2" in output
    assert "--job 1/2" not in output, "an array is one line"


@pytest.mark.slow
def test_what_receipts_recorded_is_what_is_forecast(work, command):
    other = make_data(
        work / "data" / "other", [900, 900]
    )  # half an hour, packed in 60 and 30 s: 180 s for the hour
    options = {"sample_rate_hz": 16000}
    for job, seconds in (("1/2", 60), ("2/2", 30)):
        write_receipt(
            work / "data" / "packed" / "other",
            "pack_audio",
            seconds,
            other,
            job=job,
            options=options,
            peak_memory_bytes=200_000_000,
        )
    write_receipt(
        work / "exp" / "other",
        "train",
        30,
        other,
        counts={"steps": 6, "device": "cpu"},
        inputs={"config": ROOT / TINY},
        peak_memory_bytes=413_000_000,
    )
    records = Records([work / "data", work / "exp"], AudioOfPlan([]))
    lists = {"wav.scp": work / "data" / "train" / "wav.scp"}
    job = Task(
        work / "data" / "packed" / "train",
        "pack_audio",
        format=1,
        options={},
        job="1/2",
        inputs=lists,
    )
    need = records.need(job, "cpu")
    assert (need.seconds, need.memory) == (Amount(90.0), Amount(200_000_000)), (
        "half an hour of 180 s an hour"
    )
    both = sum_stage_needs([job], records, "cpu", "slurm")
    assert both.seconds == Amount(45.0), "two jobs at once"
    assert sum_stage_needs([job], records, "cpu", "local").memory == Amount(
        200_000_000 * min(2, len(os.sched_getaffinity(0)))
    )
    words = ("utils.plan.dry_run", work / "plan", f"workdir={work}")
    done = command(*words)
    print(done.stdout)
    assert rows(done.stdout)["3"][2:] == ["0.0 MB", "413.0 MB", "60 s"], (
        "12 steps of 5 s; 1000 bytes were written"
    )
    plan = work / "plan"
    plan.write_text(plan.read_text().replace("/exp/tiny", "/exp/tiny --device cuda"))
    assert rows(command(*words).stdout)["3"][2:] == ["?", "?", "?"]


def test_a_training_of_another_yaml_is_forecast_by_the_one_that_is_recorded_and_marked(work):
    """As where a YAML was copied to change one value."""
    train = work / "data" / "train"
    of_training = {"counts": {"steps": 6, "device": "cpu"}, "inputs": {"config": ROOT / TINY}}
    write_receipt(
        work / "exp" / "x", "train", 30, train, **of_training, peak_memory_bytes=413_000_000
    )
    own = work / "own.yaml"
    own.write_text(yaml.safe_dump(read_yaml(ROOT / TINY)))
    task = Task(
        work / "exp" / "own", "train", format=1, options={"steps": 20}, inputs={"config": own}
    )
    need = Records([work / "exp"], AudioOfPlan([])).need(task, "cpu")
    assert need.seconds == Amount(100.0, is_rough=True)
    assert need.memory == Amount(413_000_000, is_rough=True)
    (task.home / "checkpoints").mkdir(parents=True)
    (task.home / "checkpoints" / "step-0000008.pt").touch()
    left = Records([work / "exp"], AudioOfPlan([])).need(task, "cpu").seconds
    assert left == Amount(60.0, is_rough=True), "12 more steps"


def test_a_step_without_audio_takes_what_it_took(work):
    """Back ends, scores, reports: the mean of what one of them recorded."""
    nowhere = work / "nowhere"
    for name, seconds in (("a", 2), ("b", 4)):
        write_receipt(work / "exp" / name, "score", seconds, nowhere, peak_memory_bytes=5)
    task = Task(work / "exp" / "c", "score", format=1, options={}, inputs={})
    need = Records([work / "exp"], AudioOfPlan([])).need(task, "cpu")
    assert (need.seconds, need.disk, need.memory) == (Amount(3.0), Amount(1000.0), Amount(5))
    other = Task(work / "exp" / "d", "calibrate", format=1, options={}, inputs={})
    assert Records([work / "exp"], AudioOfPlan([])).need(other, "cpu").seconds == UNKNOWN


def test_the_length_of_a_training(tmp_path):
    data = make_data(tmp_path / "train", [2] * 30)
    (tmp_path / "x.yaml").write_text(
        "{training: {epochs: 3}, crops: {crop_seconds: 1, batch_size: 8}}"
    )
    (tmp_path / "y.yaml").write_text(
        "{training: {epochs: 3}, crops: {crop_seconds: 1, batches: {speakers: 5, utterances: 2}}}"
    )

    def steps(options, **inputs):
        return forecast.count_training_steps(
            Task(tmp_path, "train", format=1, options=options, inputs=inputs)
        )

    assert steps({}, config=ROOT / TINY) == 12
    assert steps({"steps": 7}, config=ROOT / TINY) == 7
    assert steps({}, config=tmp_path / "x.yaml", **{"train/utt2spk": data / "utt2spk"}) == 11, (
        "90 draws in batches of 8"
    )
    assert steps({}, config=tmp_path / "y.yaml", **{"train/utt2spk": data / "utt2spk"}) == 9
    assert steps({}, config=tmp_path / "x.yaml", **{"train/utt2spk": tmp_path / "none"}) is None
    assert steps({"training": {"steps": 5}, "crops": {}}) == 5, "a phase keeps its sections"


def test_a_corpus_is_counted_before_it_is_prepared_and_shared_among_its_sets(tmp_path):
    for name, size in (
        ("a/1.wav", 32_000 * 3600),
        ("a/2.WAV", 0),
        ("b/3.flac", 17_000 * 1800),
        ("b/notes.txt", 99),
    ):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).touch()
        os.truncate(tmp_path / "corpus" / name, size)
    corpus = count_corpus("corpus", tmp_path / "corpus")
    print(corpus.line())
    assert (corpus.audio, corpus.whole) == (Audio(3, 1.5, guess=True), True)
    assert "2 wav, 1 flac; 0.1 GB; 1.5 h (guess" in corpus.line()
    assert not count_corpus("corpus", tmp_path / "corpus", seconds=-1).whole
    tasks = [
        Task(
            tmp_path / name / "vad",
            "compute_vad",
            format=1,
            options={},
            inputs={"wav.scp": tmp_path / name / "wav.scp"},
        )
        for name in ("train", "dev", "noise")
    ]
    packed = Task(
        tmp_path / "packed" / "train",
        "pack_audio",
        format=1,
        options={},
        inputs={"wav.scp": tmp_path / "train" / "wav.scp"},
        job="1/3",
    )
    later = Task(
        tmp_path / "x",
        "extract",
        format=1,
        options={},
        inputs={"wav.scp": tmp_path / "packed" / "train" / "wav.scp"},
    )
    audio = AudioOfPlan([*tasks, packed, later], corpus.audio)
    assert (
        audio.of_folder(tmp_path / "train")
        == audio.of_folder(tmp_path / "dev")
        == Audio(1.5, 0.75, guess=True)
    )
    assert audio.of_folder(tmp_path / "noise").utterances == 0
    assert audio.of_task(packed) == Audio(0.5, 0.25, guess=True)
    assert audio.of_task(later) == Audio(1.5, 0.75, guess=True), (
        "as long as what it will be packed from"
    )


@pytest.mark.slow
def test_before_the_first_stage_of_an_uncounted_corpus_nothing_is_made_up(work, command):
    shutil.rmtree(work / "data")
    done = command("utils.plan.dry_run", work / "plan", f"workdir={work}")
    assert done.returncode == 1
    assert rows(done.stdout)["2"] == ["?"] * 5
    assert rows(done.stdout)["all"] == ["?"] * 3
    assert (
        f"missing: {work}/data/train/wav.scp: needed, and no stage of this recipe makes it"
        in done.stdout
    )
    assert "packed" not in done.stdout.partition("missing:")[2], "what a stage makes is not missing"


def test_missing_files_programs_and_packages(work, tmp_path, monkeypatch):
    (tmp_path / "there").touch()
    named = [
        ("musan", "/none"),
        ("backend", f"{tmp_path}/there,/no.yaml"),
        ("config", f"{tmp_path}/there"),
    ]
    assert plan_missing.missing_options(named) == [
        "--musan /none: no such file or folder",
        "--backend /no.yaml: no such file or folder",
    ]
    lists = work / "data" / "train" / "wav.scp"
    task = Task(
        work / "data" / "train" / "vad",
        "compute_vad",
        format=1,
        options={"detector": {"name": "silero"}},
        inputs={"wav.scp": lists},
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(plan_missing, "find_spec", lambda _: None)
    assert [each.split(":")[0] for each in plan_missing.missing_programs([task], [], "sge")] == [
        "qsub",
        "silero-vad",
    ]
    lists.write_text(lists.read_text().replace("s1-u1.wav", "s1-u1.m4a"))
    assert [each.split(":")[0] for each in plan_missing.missing_programs([task], [], "local")] == [
        "ffmpeg",
        "silero-vad",
    ]
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.m4a").touch()
    corpus = count_corpus("voxceleb2", tmp_path / "corpus")
    assert "--voxceleb2" in plan_missing.missing_programs([], [corpus], "local")[0]


def test_too_little_disk_or_memory_is_missing(work, monkeypatch, capsys):
    write_receipt(
        work / "exp" / "x",
        "train",
        30,
        work / "data" / "train",
        counts={"steps": 6, "device": "cpu"},
        inputs={"config": ROOT / TINY},
        peak_memory_bytes=4_300_000_000,
    )
    monkeypatch.setattr(plan_dry_run, "usable_memory", lambda: (1_000_000_000, 0))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 100_000_000))
    with pytest.raises(UserError, match="missing: 2, see above"):
        plan_dry_run.plan_dry_run(work / "plan", [f"workdir={work}"])
    output = capsys.readouterr().out
    assert "missing: disk: 0.1 GB needed, 0.1 GB available" in output
    assert "missing: memory: 4.3 GB needed, 1.0 GB available" in output
    monkeypatch.undo()
    with pytest.raises(
        UserError, match="missing: stage 2, which comes before --stage 3: never run"
    ):
        plan_dry_run.plan_dry_run(work / "plan", [f"workdir={work}"], first=3)


def test_what_another_network_took_refuses_no_machine(work, monkeypatch, capsys):
    write_receipt(
        work / "exp" / "x",
        "train",
        30,
        work / "data" / "train",
        counts={"steps": 6, "device": "cpu"},
        inputs={"config": work / "large.yaml"},
        peak_memory_bytes=4_300_000_000,
    )
    monkeypatch.setattr(plan_dry_run, "usable_memory", lambda: (1_000_000_000, 0))
    plan_dry_run.plan_dry_run(work / "plan", [f"workdir={work}"])
    output = capsys.readouterr().out
    assert "~4.3 GB" in output
    assert "missing" not in output


def test_data_and_exp_on_two_disks_are_weighed_apart(work, tmp_path, capsys):
    """An hour of packed audio here, a training that wrote 600 MB before on a disk of 1 MB."""
    write_receipt(
        work / "data" / "x",
        "train",
        30,
        work / "data" / "train",
        counts={"steps": 6, "device": "cpu"},
        inputs={"config": ROOT / TINY},
        outputs={"x": {"bytes": 600_000_000, "sha256": ""}},
    )
    with small_disk(tmp_path / "other", "1M") as other:
        (work / "exp").symlink_to(other)
        with pytest.raises(
            UserError, match=f"missing: disk of {work / 'exp'}: 0.6 GB needed, 0.0 GB available"
        ):
            plan_dry_run.plan_dry_run(work / "plan", [f"workdir={work}"])
        output = capsys.readouterr().out
    assert re.search(rf"disk of {work / 'data'}: about 115\.\d MB", output), output
    assert f"disk of {work / 'exp'}: about 600.0 MB, of what is known; free: 1 MB" in output


def test_a_place_that_is_no_folder_or_not_this_users_is_missing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("not mounted")
    asked = [tmp_path / name / "data" for name in ("file", "file", "link", "new")]
    assert plan_missing.unwritable_folders(asked) == [
        f"{tmp_path}/file: a file, expected a folder; move it away, or give another --workdir",
        (
            f"{tmp_path}/link: a link to not mounted, which does not exist; "
            "check that its disk is mounted here"
        ),
    ]
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert plan_missing.unwritable_folders(asked[3:]) == [
        f"{tmp_path}: this user may not write there; give --workdir DIR, another folder"
    ]


def test_a_corpus_that_a_step_refuses_is_missing(command, tmp_path):
    (tmp_path / "plan").write_text(
        "stage 0 first\n"
        f"run python3 -m steps.pack_audio {tmp_path} {tmp_path}/x --trim true --split true\n"
    )
    done = command("utils.plan.dry_run", tmp_path / "plan", f"workdir={tmp_path}", "corpus=/none")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "missing: --corpus /none" in done.stdout


def test_suffixes_that_ffmpeg_decodes_are_counted_too():
    assert {".m4a", ".aac", ".webm", ".wma"} <= plan_audio.BYTES_PER_SECOND.keys()
