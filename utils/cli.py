"""The command wrapper of every step and noun: its signature is the command line, its docstring the help.

Exit codes: 0 done; 2 the command line is wrong; 1 anything else.  What the user can mend is one line; a bug keeps its traceback.
"""

import atexit
import ctypes
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import get_args, get_origin, get_type_hints

from utils.errors import MACHINE_LACKS, UserError, is_lack_of_memory
from utils.machine import started

DISK_FAULTS = {
    errno.ENOSPC,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EDQUOT,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EXDEV,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.EFBIG,
}
# ark:x.ark, scp:x.scp, ark,t:-, ark,scp:x.ark,x.scp: how Kaldi's programs are told what to read and write
SPECIFIER = re.compile(r"(?:ark|scp)(?:,[a-z]+)*:(?P<rest>.*)", re.DOTALL)
LONGEST_LINE = 2000  # letters of what a user is told
OF_RECIPES = ("--workdir", "--name", "--accept")  # options that no step has
NO_LOCKS = "mount it with locks (NFS: not nolock; Lustre: -o flock), or give another --workdir"
TO_DO = {
    errno.ENOSPC: "make room",
    errno.EMFILE: "raise the limit (`ulimit -n`)",
    errno.ENOMEM: "give it more memory, or run fewer jobs at once",
    errno.EFBIG: "raise the limit (`ulimit -f`), or give a --workdir on a disk that takes larger files",
    errno.ENOLCK: NO_LOCKS,
    errno.ENOSYS: NO_LOCKS,
}


def run(function: Callable) -> None:
    """Run a step from the command line and exit.

    Parameters
    ----------
    function : callable
        Required parameters become positional arguments, the others ``--options``; ``--force`` is understood by every step.
    """
    if os.environ.get("SV_STAGED"):
        die_with_parent()
    exit_with(lambda: call(function, sys.argv[1:]))


def run_subcommands(functions: Mapping[str, Callable]) -> None:
    """Run one of several commands of a module, chosen by the first word, and exit.

    Parameters
    ----------
    functions : mapping of str to callable
        Word -> function.
    """
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print("commands (each with --help):")
        for name, function in functions.items():
            print(f"  {name:10} {_summary(function)}")
        sys.exit(0 if words else 2)
    if words[0] not in functions:
        print(
            f"{program()}: no command '{words[0]}'; there are {', '.join(functions)}",
            file=sys.stderr,
        )
        sys.exit(2)
    exit_with(lambda: call(functions[words[0]], words[1:], f"{program()} {words[0]}"))


def die_with_parent(by: int = signal.SIGKILL) -> None:
    """Have the kernel kill this process when the one that started it dies, so that a killed recipe leaves no writer behind (Linux only).

    SV_STAGED is the number of the process that the work is done for; where it died before this line, this one ends here.

    Parameters
    ----------
    by : int
        Signal that ends this process.
    """
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, by)
    if not started(int(os.environ.get("SV_STAGED", os.getpid()))):
        sys.exit("the process that this work was for died")


def exit_with(work: Callable) -> None:
    """Do the work and leave with the exit code that its outcome has.

    Parameters
    ----------
    work : callable
        Takes no arguments.
    """
    code = exit_code_of(work)
    # Threads of gloo outlive a training, and one that stirs while Python winds up has it abort
    # (pytorch #179291).
    if "WORLD_SIZE" in os.environ:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def exit_code_of(work: Callable) -> int:
    """Do the work; an error that a user can mend is one line.

    Parameters
    ----------
    work : callable
        Takes no arguments.
    """
    try:
        work()
        print(end="", flush=True)  # unlike sys.stdout.flush, at home where it is closed
    except UserError as error:
        print(end="", flush=True)  # what was printed before comes before the error, in a pipe too
        line = the_line_of(error)
        print(f"{program()}: {line}{whose_options(line)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in DISK_FAULTS | MACHINE_LACKS:
            raise
        to_do = (
            f"; {TO_DO[error.errno]}, and run the same command again"
            if error.errno in TO_DO
            else ""
        )
        line = ": ".join(filter(None, [program(), error.filename, error.strerror])) + to_do
        print(line + whose_options(line), file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_lack_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        print(
            f"{program()}: {os.strerror(errno.ENOMEM)}{f' ({reason})' if reason else ''}; {TO_DO[errno.ENOMEM]}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"{program()}: interrupted", file=sys.stderr)
        return 130
    return 0


def whose_options(line: str) -> str:
    """What to say behind a line that names options of recipes, to somebody who ran a step by hand; empty: nothing.

    Parameters
    ----------
    line : str
        What a user is told.
    """
    named = [option for option in OF_RECIPES if re.search(rf"(?<!\S){option}\b", line)]
    by_hand = program().startswith(("steps.", "local.")) and not os.environ.get("SV_STAGED")
    if not named or not by_hand:
        return ""
    verb = "is an option" if len(named) == 1 else "are options"
    instead = "" if named == ["--accept"] else "; by hand, give another folder"
    return f" ({' and '.join(named)} {verb} of recipes{instead})"


def the_line_of(error: UserError) -> str:
    """What the user is told: torch hands on an error of a loader's process as text, with that process' traceback before the line.

    What cannot be seen, such as a line separator in an id, is written out.

    Parameters
    ----------
    error : UserError
        Raised here or in a loader's process.
    """
    text = str(error)
    if text.startswith("Caught "):
        text = text.rstrip().rpartition(f"{type(error).__name__}: ")[2]
    text = "".join(letter if letter.isprintable() else _written_out(letter) for letter in text)
    if len(text) <= LONGEST_LINE:
        return text
    # who quotes a damaged file may quote megabytes
    return f"{text[: LONGEST_LINE - 203]}...{text[-200:]}"


def _written_out(letter: str) -> str:
    """A letter that is not printable as Python writes it; a line end stays one."""
    return letter if letter == "\n" else letter.encode("unicode_escape", "surrogatepass").decode()


def call(function: Callable, words: Sequence[str], name: str = "") -> object:
    """Call a function with the words of a command line.

    Parameters
    ----------
    function : callable
        Step with a typed signature.
    words : sequence of str
        Command line without the program; ``--crop-seconds`` and ``--crop_seconds`` are the same, and ``--trim`` is ``--trim true``.
    name : str
        How the command is called in messages.
    """
    from jsonargparse import ArgumentParser

    class Parser(ArgumentParser):
        """A parser whose complaint is one line."""

        def error(self, message, ex=None):
            print(f"{self.prog}: {' '.join(str(message).split())}; see --help", file=sys.stderr)
            sys.exit(2)

    if said := next(filter(None, map(_specifier_fault, words)), None):
        Parser(prog=name or program()).error(said)
    if "--force" in words:
        words = [word for word in words if word != "--force"]
        os.environ["SV_FORCE"] = "1"
    parser = Parser(prog=name or program(), description=_summary(function))
    parser.add_function_arguments(function, as_positional=True, as_group=False)
    for action in parser._actions:  # a list among the positional parameters takes several words, which jsonargparse does not offer
        if not action.option_strings and get_origin(getattr(action, "_typehint", None)) is list:
            (item,) = get_args(getattr(action, "_typehint", None))
            action.nargs, action.metavar = "+", action.dest.upper()
            action._typehint = item  # type: ignore[attr-defined]  # jsonargparse keeps it there
    words = [_dashes_to_underscores(word) for word in words]
    flags = {f"--{name}" for name, hint in get_type_hints(function).items() if hint is bool}
    bare = [
        word in flags and after not in ("true", "false")
        for word, after in zip(words, [*words[1:], ""], strict=False)
    ]
    given = parser.parse_args(
        [f"{word}=true" if is_bare else word for word, is_bare in zip(words, bare, strict=True)]
    )
    return function(**parser.instantiate(given).as_dict())


def _summary(function: Callable) -> str:
    """The first line of its docstring; nothing under ``python -OO``, which has no docstrings."""
    return (function.__doc__ or "").strip().partition("\n")[0]


def _specifier_fault(word: str) -> str:
    """What to say of a word that is one of Kaldi's specifiers, or that gives one to an option; empty for any other."""
    value = word.partition("=")[2] if word.startswith("--") else word
    found = SPECIFIER.fullmatch(value)
    if not found or os.path.exists(value):
        return ""
    rest = found["rest"].strip()
    if rest in ("", "-"):
        to_do = "standard input and output are not read or written here: give the path of a file"
    elif rest[0] == "|" or rest[-1] == "|":
        to_do = "no pipe is run here: write the output of its command to a file, and give the path of that"
    else:
        to_do = f"give the path alone: {rest.partition(',')[0]}"
    return f"'{value}' is a specifier of Kaldi's programs, expected a path; {to_do}"


def _dashes_to_underscores(word: str) -> str:
    """``--snr-db=3`` as ``--snr_db=3``; anything that is not an option unchanged."""
    if not word.startswith("--") or word == "--":
        return word
    option, equals, value = word.partition("=")
    return "--" + option[2:].replace("-", "_") + equals + value


def program() -> str:
    """The module that was started with ``python -m``, for messages."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec else os.path.basename(sys.argv[0])
