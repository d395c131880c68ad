"""What a shell command of a wav.scp writes.

A reader that has enough ends early (`head -c`, `sox trim`), and the kernel ends whoever still writes to it: that is no failure of theirs.  So the
status of every command of a pipe counts, as under `pipefail`, but for those that ended since nobody read on.
"""

import re
import signal
import subprocess
import tempfile

from utils.errors import UnreadableAudio, UserError

BY_SIGPIPE = 128 + signal.SIGPIPE  # what a shell calls the status of a command that SIGPIPE ended
# Programs that ignore the signal (ffmpeg, Python) say this instead, and give a status of their own.
BROKEN = b"Broken pipe"
# Bash calls `judge` behind each pipe that failed, in brackets and functions too.  Where the last command of the pipe succeeded, and the shell would
# end with the status of that pipe, it writes down the status of each command and ends with 0: the rest is judged here.
SCRIPT = """
judge() {{
  local code=$1; shift
  [ "${{!#}}" != 0 ] || trap "[ \\$? != $code ] || {{ echo $* >&{descriptor}; exit 0; }}" EXIT
}}
set -E -o pipefail
trap 'judge $? "${{PIPESTATUS[@]}}"' ERR
"""


def output_of(entry: str, allow_pipes: bool) -> bytes:
    """Run the command of a wav.scp and return what it writes.

    Parameters
    ----------
    entry : str
        A shell command and a bar.
    allow_pipes : bool
        Leave to run it.

    Raises
    ------
    UserError
        There is no leave.
    UnreadableAudio
        It failed, or a command before its last one did for another reason than that nobody read on.
    """
    if not allow_pipes:
        raise UserError(
            f"'{entry}' runs a command of whoever wrote the list; give --allow-pipes if you trust it"
        )
    command = entry.rstrip()[:-1]
    with tempfile.TemporaryFile() as ended_early:
        descriptor = ended_early.fileno()
        done = subprocess.run(
            ["bash", "-c", SCRIPT.format(descriptor=descriptor) + command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=[descriptor],
            check=False,
        )
        ended_early.seek(0)
        statuses = [int(word) for line in ended_early for word in line.split()]
    code = done.returncode or _failure_among(statuses, done.stderr)
    if code < 0:  # bash itself was ended by a signal: said as a shell says it
        code = 128 - code
    if code:
        said = done.stderr.decode(errors="replace").strip().split("\n")
        raise UnreadableAudio(
            entry, f"the command ended with exit code {code}{': ' + said[-1] if said[-1] else ''}"
        )
    return done.stdout


def ends_where_its_command_does(entry: str) -> bool:
    """Whether what an entry gives may end before its header says: a command that reads on from another one or takes the first bytes of a file
    (`head -c`, `dd`) decides where the sound ends, and hands the header on as it is.

    Parameters
    ----------
    entry : str
        Of wav.scp; False of a file, and of a command that is alone, such as `cat`.
    """
    command = entry.rstrip().removesuffix("|")
    return (
        command != entry.rstrip()
        and re.search(r"(?<!\|)\|(?!\|)|\b(head|dd)\b", command) is not None
    )


def _failure_among(statuses: list[int], said: bytes) -> int:
    """The status of a command that failed by itself, of pipes whose last one succeeded; 0: none did."""
    failed = [status for status in statuses if status not in (0, BY_SIGPIPE)]
    if not failed or (len(failed) == 1 and BROKEN in said):
        return 0
    return failed[-1]
