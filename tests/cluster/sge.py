"""A real Grid Engine on this machine, in a private folder; the system is not touched."""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.daemons import (
    START_SECONDS,
    all_live,
    ask,
    free_ports,
    program,
    start,
    stopped,
    wait_for,
    words_of_logs,
)
from tests.conftest import ROOT

# What the launcher is told of it: the project's own file, in haste.
SITE = (
    ROOT / "conf" / "cluster" / "sge.conf"
).read_text() + "set poll_seconds=0.5\nset visible_seconds=30\nset retries=1\n"
PROGRAMS = ("sge_qmaster", "sge_execd", "qsub", "qstat", "qacct", "qconf")
INSTALLED = Path("/var/lib/gridengine")  # by Debian: links to the programs
TOOLS = Path("/usr/lib/gridengine")
DEFAULTS = Path("/usr/share/gridengine")
BOOTSTRAP = """admin_user none
default_domain none
ignore_fqdn false
spooling_method berkeleydb
spooling_lib libspoolb
spooling_params {folder}/spool
binary_path /usr/sbin
qmaster_spool_dir {folder}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""
CHANGED = {
    "execd_spool_dir": "{folder}/execd",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "00:00:02",
    "max_unheard": "00:01:00",
    "mailer": "/bin/true",
    "reporting_params": (
        "accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 "
        "joblog=false sharelog=00:00:00"
    ),
}
SMP = (
    "pe_name smp\nslots 999\nuser_lists NONE\nxuser_lists NONE\n"
    "start_proc_args NONE\nstop_proc_args NONE\nallocation_rule $pe_slots\n"
    "control_slaves FALSE\njob_is_first_task TRUE\nurgency_slots min\n"
    "accounting_summary FALSE\nqsort_args NONE\n"
)
PROJECT = "name speech\noticket 0\nfshare 0\nacl NONE\nxacl NONE\n"
HOST = (
    "hostname localhost\nload_scaling NONE\ncomplex_values gpu=2\n"
    "user_lists NONE\nxuser_lists NONE\nprojects NONE\nxprojects NONE\n"
    "usage_scaling NONE\nreport_variables NONE\n"
)
GPU = "gpu gpu INT <= YES YES 0 0\n"
QUEUES = {"all.q": 4, "gpu.q": 2}  # slots


def why_not() -> str:
    """Why no Grid Engine can be started here; empty where it can."""
    missing = [name for name in PROGRAMS if not program(name)]
    if missing or not (INSTALLED.exists() and TOOLS.exists() and DEFAULTS.exists()):
        missing_names = ", ".join(missing) or "its folders"
        packages = "gridengine-master gridengine-exec gridengine-client"
        return f"{missing_names} not installed (Debian: apt install {packages})"
    return "" if os.geteuid() == 0 else "sge_execd needs root"


@contextmanager
def running_grid_engine() -> Iterator[dict[str, str]]:
    """Start it; yields the environment in which its commands work, and stops it."""
    with tempfile.TemporaryDirectory(prefix="sge.", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        ports = free_ports(2)
        environment = {
            "SGE_ROOT": str(folder),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(ports[0]),
            "SGE_EXECD_PORT": str(ports[1]),
        }
        in_foreground = environment | {"SGE_ND": "1"}
        with open(folder / "daemons.log", "w") as log, stopped(f"SGE_ROOT={folder}") as daemons:
            prepare(folder, environment)
            daemons.append(start([program("sge_qmaster")], in_foreground, log))
            wait_for(
                lambda: all_live(daemons) and ask(environment, "qconf", "-sh").strip(),
                lambda: words_of_logs(folder),
                START_SECONDS,
            )
            configure(folder, environment)
            daemons.append(start([program("sge_execd")], in_foreground, log))
            wait_for(
                lambda: all_live(daemons) and has_reported(environment),
                lambda: words_of_logs(folder),
                START_SECONDS,
            )
            yield environment
            ask(environment, "qdel", "-u", "root")


def has_reported(environment: Mapping[str, str]) -> bool:
    """True when the host has told its load in every queue."""
    shown = ask(environment, "qstat", "-f")
    return shown.count("@localhost") == len(QUEUES) and "-NA-" not in shown


def prepare(folder: Path, environment: Mapping[str, str]) -> None:
    """The files of a cell before its first start."""
    for name in ("bin", "lib", "util", "utilbin"):
        (folder / name).symlink_to(INSTALLED / name)
    common = folder / "default" / "common"
    common.mkdir(parents=True)
    (common / "bootstrap").write_text(BOOTSTRAP.format(folder=folder))
    (common / "act_qmaster").write_text("localhost\n")
    (common / "host_aliases").write_text(f"localhost {socket.gethostname()}\n")
    for name in ("spool", "qmaster", "execd"):
        (folder / name).mkdir()
    lines = []
    for line in (DEFAULTS / "default-configuration").read_text().splitlines():
        name = line.split()[0] if line.split() else ""
        lines.append(f"{name} {CHANGED[name].format(folder=folder)}" if name in CHANGED else line)
    (folder / "configuration").write_text("\n".join(lines) + "\n")
    tell(environment, TOOLS / "spoolinit", "berkeleydb", "libspoolb", folder / "spool", "init")
    for what, where in (
        ("configuration", folder / "configuration"),
        ("complexes", DEFAULTS / "util" / "resources" / "centry"),
        ("usersets", DEFAULTS / "util" / "resources" / "usersets"),
        ("managers", "root"),
    ):
        tell(environment, TOOLS / "spooldefaults", what, where)


def configure(folder: Path, environment: Mapping[str, str]) -> None:
    """Hosts, queues, environment, project and resource of conf/cluster/example_sge.conf."""

    def given(option: str, text: str) -> None:
        path = folder / "given"
        path.write_text(text)
        tell(environment, "qconf", option, path)

    def changed(shown: str, values: Mapping[str, object]) -> str:
        lines = [line.split(maxsplit=1) for line in shown.replace("\\\n", " ").splitlines()]
        return "".join(
            f"{name} {values.get(name, ' '.join(rest))}\n" for name, *rest in filter(None, lines)
        )

    tell(environment, "qconf", "-as", "localhost")
    given("-Mc", tell(environment, "qconf", "-sc") + GPU)
    given("-Ae", HOST)
    given("-Ap", SMP)
    given("-Aprj", PROJECT)
    soon = {
        "schedule_interval": "0:0:1",
        "flush_submit_sec": 1,
        "flush_finish_sec": 1,
        "load_formula": "slots",
    }
    given("-Msconf", changed(tell(environment, "qconf", "-ssconf"), soon))
    for name, slots in QUEUES.items():
        queue = {
            "qname": name,
            "hostlist": "localhost",
            "slots": slots,
            "pe_list": "smp",
            "load_thresholds": "NONE",
            "shell": "/bin/bash",
            "notify": "00:00:05",
        }
        given("-Aq", changed(tell(environment, "qconf", "-sq"), queue))


def tell(environment: Mapping[str, str], *words: object) -> str:
    """Call a command that has to do what it is told; what it prints."""
    done = subprocess.run(
        [str(word) for word in words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout
