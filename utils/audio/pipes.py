"""Output of the shell commands in a wav.scp.

A command that has read enough ends early (`head -c`, `sox trim`), and SIGPIPE then ends the
commands that still write to it, which is not a failure.  So the status of every command of a pipe
counts, as under `pipefail`, except for commands that a broken pipe ended.
"""

import re
import signal
import subprocess
import tempfile

from utils.errors import UnreadableAudio, UserError

SIGPIPE_STATUS = 128 + signal.SIGPIPE  # a shell's status of a command ended by SIGPIPE
# Programs that ignore the signal (ffmpeg, Python) print this, and end with a status of their own.
BROKEN = b"Broken pipe"
# Bash calls `judge` after each pipe that failed, also in brackets and functions.  If the last
# command of the pipe succeeded, and the shell would end with the status of that pipe, it writes
# the status of each command to a file and ends with 0: `_failed_status` judges them.
SCRIPT = """
judge() {{
  local code=$1; shift
  [ "${{!#}}" != 0 ] || trap "[ \\$? != $code ] || {{ echo $* >&{descriptor}; exit 0; }}" EXIT
}}
set -E -o pipefail
trap 'judge $? "${{PIPESTATUS[@]}}"' ERR
"""


def run_entry(entry: str, allow_pipes: bool) -> bytes:
    """Run an entry (a shell command, then ``|``) and return its output.

    UserError: pipes are not allowed.  UnreadableAudio: the command failed.
    """
    if not allow_pipes:
        raise UserError(
            f"'{entry}' runs a command of whoever wrote the list; "
            "give --allow-pipes if you trust it"
        )
    command = entry.rstrip()[:-1]
    with tempfile.TemporaryFile() as status_file:
        descriptor = status_file.fileno()
        result = subprocess.run(
            ["bash", "-c", SCRIPT.format(descriptor=descriptor) + command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=[descriptor],
            check=False,
        )
        status_file.seek(0)
        statuses = [int(status) for status in status_file.read().split()]
    code = result.returncode or _failed_status(statuses, result.stderr)
    if code < 0:  # a signal ended bash itself
        code = 128 - code
    if code:
        last_line = result.stderr.decode(errors="replace").strip().split("\n")[-1]
        reason = f"the command ended with exit code {code}"
        if last_line:
            reason += f": {last_line}"
        raise UnreadableAudio(entry, reason)
    return result.stdout


def may_end_early(entry: str) -> bool:
    """Whether an entry's audio may be shorter than its header says.

    A command that reads another one's output, or the first bytes of a file (`head -c`, `dd`), cuts
    the audio and leaves the header unchanged.  False for a file, and for a single command.
    """
    command = entry.rstrip()
    if not command.endswith("|"):
        return False
    return re.search(r"(?<!\|)\|(?!\|)|\b(head|dd)\b", command[:-1]) is not None


def _failed_status(statuses: list[int], messages: bytes) -> int:
    """Status of a command that failed, but not by a broken pipe, in a pipe; 0 if there is none."""
    failed = [status for status in statuses if status not in (0, SIGPIPE_STATUS)]
    if not failed or (len(failed) == 1 and BROKEN in messages):
        return 0
    return failed[-1]
