"""Site files: resources and refusals; task numbers as schedulers write them; the array script."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from utils.errors import UserError
from utils.launchers import script
from utils.launchers.array import Array, read_log
from utils.launchers.script import format_ranges, parse_ranges, write_script
from utils.launchers.site import memory, read_site

SITES = sorted((ROOT / "conf" / "cluster").glob("*.conf"))


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.name)
def test_every_site_in_conf_maps_every_resource(path):
    words = read_site(path).words({"mem": "4G", "gpu": "2", "time": "1:30:00", "num-threads": "4"})
    text = " ".join(words)
    assert words[0] == ("qsub" if "sge" in path.name else "sbatch")
    assert "$" not in text
    assert "1:30:00" in text
    assert ("h_vmem=1024M" if "sge" in path.name else "--mem=4G") in text
    assert "gpu" not in " ".join(read_site(path).words({"gpu": "0"})).replace("--gres=gpu:0", "!")


def test_options_of_one_value_come_before_those_of_any(tmp_path):
    (tmp_path / "x.conf").write_text(
        "command sbatch --comment='two words'  # a comment\n\noption gpu=0 --partition=cpu\n"
        "option gpu=* --gres=gpu:$0 -p gpu\ndefault gpu=0\noption mem=*\nset retries=3\n"
    )
    site = read_site(tmp_path / "x.conf")
    assert site.words({}) == ["sbatch", "--comment=two words", "--partition=cpu"]
    assert site.words({"gpu": "2", "mem": "1G"}) == [
        "sbatch",
        "--comment=two words",
        "--gres=gpu:2",
        "-p",
        "gpu",
    ]
    assert site.retries == 3
    with pytest.raises(UserError, match="x.conf: --time 1:00:00 is asked for"):
        site.words({"time": "1:00:00"})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("option memory=* -l $0", "no resource 'memory'"),
        ("option max_jobs_run=* -tc $0", "JOB=1:N%M"),
        ("set retry=1", "no setting 'retry'"),
        ("set retries=many", "many"),
        ("set on_hangup=stay", "cancel or leave"),
        ("defaults mem=4G", "expected"),
        ("default mem=4G 5G", "expected"),
        ("option 'mem=* x", "quotation"),
        ("", "no line .command"),
        ("set retries=-1", "whole number, 0 or more"),
        ("set retries=1.5", "expected a whole number, 0"),
        ("set poll_seconds=0", "number, 0.1 or more"),
        ("set poll_seconds=nan", "number, 0.1 or more"),
        ("set memory_factor=0.5", "number, 1 or more"),
        ("default mem=4000", ":2: mem: expected a number and K, M, G or T"),
        ("default num_threads=two", "num-threads: expected a whole number, 1 or more"),
        ("default nodes=0", "nodes: expected a whole number, 1 or more"),
        ("option gpu=a100:* --gres=gpu:$0", "stands for any value"),
    ],
)
def test_a_wrong_line_is_refused_with_its_file(tmp_path, line, words):
    (tmp_path / "x.conf").write_text(f"# a site\n{line}\n")
    with pytest.raises(UserError, match=f"x.conf.*{words}"):
        read_site(tmp_path / "x.conf")


def test_memory_by_a_factor_and_by_the_thread():
    assert (memory("4G"), memory("4G", 2), memory("1.5G"), memory("3G", 1 / 2), memory("512K")) == (
        "4096M",
        "8192M",
        "1536M",
        "1536M",
        "1M",
    )
    with pytest.raises(ValueError, match="a number and K, M, G or T"):
        memory("4000")


def test_task_numbers_as_schedulers_write_them():
    assert parse_ranges("3") == [3]
    assert parse_ranges("1,4-6%2") == [1, 4, 5, 6]
    assert parse_ranges("1-7:2") == [1, 3, 5, 7]
    assert parse_ranges("") == []
    assert format_ranges([1, 2, 3, 5, 7, 8]) == "1-3,5,7-8"
    assert format_ranges(range(1, 2001)) == "1-2000", "sbatch takes 4096 letters"


def test_the_script_carries_the_environment_and_no_more(tmp_path, monkeypatch):
    site = tmp_path / "x.conf"
    site.write_text("command sbatch\noption num_threads=*\n")
    monkeypatch.setenv("SV_FORCE", "it's 1")
    monkeypatch.setenv("SV_STAGED", "1")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    array = Array(
        f"{tmp_path}/vad.JOB.log",
        ["bash", "-c", "echo $SV_FORCE $OMP_NUM_THREADS ${SECRET-none} $PWD $0", "JOB/8"],
        [7],
        {"num-threads": "3"},
        read_site(site),
    )
    script = write_script(array, "sv-1", {2: 7}, "TASK")
    for number, code in (("2", 0), ("1", 2)):
        environment = {"TASK": number, "SV_STAGED": "1", "HOME": "/"}
        done = subprocess.run(
            ["bash", script], env=environment, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
    lines = Path(tmp_path / "vad.7.log").read_text().splitlines()
    assert lines[1] == f"it's 1 3 none {ROOT} 7/8"
    assert "| job sv-1" in lines[0]
    assert read_log(tmp_path / "vad.7.log", "sv-1").code == 0
    assert read_log(tmp_path / "vad.7.log", "sv-2").code is None
    assert array.beside("jobs.json") == tmp_path / "vad.jobs.json"


def test_the_output_of_a_command_that_hangs_is_in_the_message(monkeypatch):
    monkeypatch.setattr(script, "ANSWER_SECONDS", 0.5)
    with pytest.raises(
        script.NoAnswer, match="bash gave no answer within 0.5 s: temporarily unable to accept job"
    ):
        script.ask(["bash", "-c", "echo temporarily unable to accept job >&2; exec sleep 60"])


@pytest.mark.parametrize(
    "path", [path for path in SITES if path.name.startswith("example_")], ids=lambda path: path.name
)
def test_a_complete_site_renders_its_jobs_and_their_script(path, tmp_path):
    """Account, partition or queue, memory, threads and time, as docs/cluster.md describes them."""
    site = read_site(path)
    packing, training = (
        " ".join(site.words(asked)) for asked in ({}, {"num-threads": "2", "gpu": "1"})
    )
    print(packing, training, sep="\n")
    wanted = {
        "example_slurm.conf": (
            (
                "--account=speech",
                "--partition=cpu",
                "--mem=4G",
                "--cpus-per-task=1",
                "--time=12:00:00",
            ),
            ("--partition=gpu", "--gres=gpu:a100:1", "--cpus-per-task=2"),
        ),
        "example_sge.conf": (
            ("-P speech", "-q all.q", "mem_free=8G,h_vmem=8192M", "h_rt=12:00:00"),
            ("-q gpu.q", "-l gpu=1", "-pe smp 2", "h_vmem=4096M"),
        ),
    }[path.name]
    assert all(
        f" {words}" in packing or f",{words}" in packing or f"={words}" in packing
        for words in wanted[0]
    )
    assert all(words in training for words in wanted[1])
    variable = "SLURM_ARRAY_TASK_ID" if "slurm" in path.name else "SGE_TASK_ID"
    script = write_script(
        Array(f"{tmp_path}/vad.JOB.log", ["echo", "it's", "JOB"], [3, 4], {}, site),
        "sv-1",
        {1: 3, 2: 4},
        variable,
    )
    assert (
        subprocess.run(
            ["shellcheck", "-s", "bash", script], capture_output=True, check=False
        ).returncode
        == 0
    )
    done = subprocess.run(
        ["bash", script],
        env={variable: "2", "HOME": "/", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "vad.4.log").read_text().splitlines()[1] == "it's 4"
