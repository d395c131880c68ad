"""Sites' files: resources by name, and what is refused; how schedulers write task numbers; the script of an array."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from utils.errors import UserError
from utils.launchers.array import Array, read_log
from utils.launchers.script import spread, write_script
from utils.launchers.site import memory, read_site

SITES = sorted((ROOT / "conf" / "cluster").glob("*.conf"))


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.name)
def test_every_site_of_ours_maps_every_resource(path):
    words = read_site(path).words({"mem": "4G", "gpu": "2", "time": "1:30:00", "num-threads": "4"})
    text = " ".join(words)
    assert words[0] == ("qsub" if "sge" in path.name else "sbatch")
    assert "$" not in text
    assert "1:30:00" in text
    assert ("h_vmem=1024M" if "sge" in path.name else "--mem=4G") in text
    assert "gpu" not in " ".join(read_site(path).words({"gpu": "0"})).replace("--gres=gpu:0", "!")


def test_options_of_one_value_come_before_those_of_any(tmp_path):
    (tmp_path / "x.conf").write_text("command sbatch --comment='two words'  # a comment\n\noption gpu=0 --partition=cpu\n"
                                     "option gpu=* --gres=gpu:$0 -p gpu\ndefault gpu=0\noption mem=*\nset retries=3\n")
    site = read_site(tmp_path / "x.conf")
    assert site.words({}) == ["sbatch", "--comment=two words", "--partition=cpu"]
    assert site.words({"gpu": "2", "mem": "1G"}) == ["sbatch", "--comment=two words", "--gres=gpu:2", "-p", "gpu"]
    assert site.retries == 3
    with pytest.raises(UserError, match="x.conf: --time 1:00:00 is asked for"):
        site.words({"time": "1:00:00"})


@pytest.mark.parametrize(("line", "words"), [
    ("option memory=* -l $0", "no resource 'memory'"), ("option max_jobs_run=* -tc $0", "JOB=1:N%M"), ("set retry=1", "no setting 'retry'"),
    ("set retries=many", "many"), ("set on_hangup=stay", "cancel or leave"), ("defaults mem=4G", "expected"), ("default mem=4G 5G", "expected"),
    ("option 'mem=* x", "quotation"), ("", "what submits"),
])
def test_a_line_that_is_none_is_refused_with_its_place(tmp_path, line, words):
    (tmp_path / "x.conf").write_text(f"# a site\n{line}\n")
    with pytest.raises(UserError, match=f"x.conf.*{words}"):
        read_site(tmp_path / "x.conf")


def test_memory_by_a_factor_and_by_the_thread():
    assert (memory("4G"), memory("4G", 2), memory("1.5G"), memory("3G", 1 / 2), memory("512K")) == ("4096M", "8192M", "1536M", "1536M", "1M")
    with pytest.raises(UserError, match="4000"):
        memory("4000")


def test_task_numbers_as_schedulers_write_them():
    assert spread("3") == [3]
    assert spread("1,4-6%2") == [1, 4, 5, 6]
    assert spread("1-7:2") == [1, 3, 5, 7]
    assert spread("") == []


def test_the_script_carries_the_environment_and_no_more(tmp_path, monkeypatch):
    site = tmp_path / "x.conf"
    site.write_text("command sbatch\noption num_threads=*\n")
    monkeypatch.setenv("SV_FORCE", "it's 1")
    monkeypatch.setenv("SV_STAGED", "1")
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    array = Array(f"{tmp_path}/vad.JOB.log", ["bash", "-c", "echo $SV_FORCE $OMP_NUM_THREADS ${SECRET-none} $PWD 'a  JOB'"], [7],
                  {"num-threads": "3"}, read_site(site))
    script = write_script(array, "sv-1", {2: 7}, "TASK")
    for number, code in (("2", 0), ("1", 2)):
        environment = {"TASK": number, "SV_STAGED": "1", "HOME": "/"}
        done = subprocess.run(["bash", script], env=environment, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
    lines = Path(tmp_path / "vad.7.log").read_text().splitlines()
    assert lines[1] == f"it's 1 3 none {ROOT} a  7"
    assert "| job sv-1" in lines[0]
    assert read_log(tmp_path / "vad.7.log", "sv-1").code == 0
    assert read_log(tmp_path / "vad.7.log", "sv-2").code is None
    assert array.beside("jobs.json") == tmp_path / "vad.jobs.json"
