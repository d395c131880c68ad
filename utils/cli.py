"""Runs a function as a command: its signature is the command line, its docstring the help.

Exit codes: 0 done; 2 wrong command line; 1 any other error.  A `UserError` is printed in one line;
a bug keeps its traceback.
"""

import atexit
import ctypes
import errno
import inspect
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_origin, get_type_hints

from utils.errors import MACHINE_LACKS, UserError, WrongArguments, is_lack_of_memory
from utils.machine import process_start_time

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

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
# Kaldi's specifiers: ark:x.ark, scp:x.scp, ark,t:-, ark,scp:x.ark,x.scp
SPECIFIER = re.compile(r"(?:ark|scp)(?:,[a-z]+)*:(?P<rest>.*)", re.DOTALL)
MAX_MESSAGE_CHARACTERS = 2000
ONCE = "override"  # an option whose earlier value would be lost where it is given twice
OF_RECIPES = ("--workdir", "--name", "--accept")  # options that no step has
NO_LOCKS = "mount it with locks (NFS: not nolock; Lustre: -o flock), or give another --workdir"
TO_DO = {
    errno.ENOSPC: "make room",
    errno.EMFILE: "raise the limit (`ulimit -n`)",
    errno.ENOMEM: "give it more memory, or run fewer jobs at once",
    errno.EFBIG: "raise the limit (`ulimit -f`), or give a --workdir on a disk for larger files",
    errno.ENOLCK: NO_LOCKS,
    errno.ENOSYS: NO_LOCKS,
}


def run(function: Callable) -> None:
    """Run a step from the command line and exit.

    Parameters
    ----------
    function : callable
        Required parameters become positional arguments, the others ``--options``; every step
        accepts ``--force``.
    """
    if os.environ.get("SV_STAGED"):
        die_with_parent()
    exit_with(lambda: call(function, sys.argv[1:]))


def run_subcommands(functions: Mapping[str, Callable]) -> None:
    """Run one of a module's commands, chosen by the first word of the command line, and exit."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print("commands (each with --help):")
        for name, function in functions.items():
            print(f"  {name:12} {_summary(function)}")
        sys.exit(0 if words else 2)
    if words[0] not in functions:
        print(
            f"{program()}: no command '{words[0]}'; there are {', '.join(functions)}",
            file=sys.stderr,
        )
        sys.exit(2)
    exit_with(lambda: call(functions[words[0]], words[1:], f"{program()} {words[0]}"))


def die_with_parent(by: int = signal.SIGKILL) -> None:
    """Let the kernel send signal `by` to this process when its parent dies (Linux only).

    A killed recipe thus leaves no writer behind.  SV_STAGED is the process id of the recipe; if it
    has died already, this process ends here.
    """
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, by)
    if not process_start_time(int(os.environ.get("SV_STAGED", os.getpid()))):
        sys.exit("the process that started this command has died")


def exit_with(work: Callable) -> None:
    """Call a function and exit with the code of its outcome."""
    code = run_and_report(work)
    # A thread of gloo may still run when Python shuts down, which then aborts (pytorch #179291).
    if "WORLD_SIZE" in os.environ:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run_and_report(work: Callable) -> int:
    """Call a function, print an error of the user in one line, and return the exit code."""
    try:
        work()
        print(end="", flush=True)  # unlike sys.stdout.flush, it works where stdout is closed
    except UserError as error:
        print(end="", flush=True)  # earlier output comes before the error, in a pipe too
        _print_error(one_line_message(error))
        if isinstance(error, WrongArguments):
            return 2
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in DISK_FAULTS | MACHINE_LACKS:
            raise
        _print_error(_os_error_message(error))
        return 1
    except (MemoryError, RuntimeError, ImportError) as error:
        if not is_lack_of_memory(error):
            raise
        message = os.strerror(errno.ENOMEM)
        reason = str(error).strip().partition("\n")[0]
        if reason:
            message += f" ({reason})"
        _print_error(f"{message}; {TO_DO[errno.ENOMEM]}")
        return 1
    except KeyboardInterrupt:
        print(f"{program()}: interrupted", file=sys.stderr)
        return 130
    return 0


def _print_error(message: str) -> None:
    print(f"{program()}: {message}{recipe_option_hint(message)}", file=sys.stderr)


def _os_error_message(error: OSError) -> str:
    message = error.strerror or str(error)
    if error.filename:
        message = f"{error.filename}: {message}"
    if error.errno in TO_DO:
        message += f"; {TO_DO[error.errno]}, and run the same command again"
    return message


def recipe_option_hint(message: str) -> str:
    """A hint if a step that was run by hand names options of recipes; else empty."""
    options = [option for option in OF_RECIPES if re.search(rf"(?<!\S){option}\b", message)]
    by_hand = program().startswith(("steps.", "local.")) and not os.environ.get("SV_STAGED")
    if not options or not by_hand:
        return ""
    if options == ["--accept"]:
        return " (--accept is an option of recipes)"
    if len(options) == 1:
        return f" ({options[0]} is an option of recipes; by hand, give another folder)"
    return f" ({' and '.join(options)} are options of recipes; by hand, give another folder)"


def one_line_message(error: UserError) -> str:
    """The message of an error in one line of printable characters.

    torch passes on an error of a loader process as text, with a traceback before the message.
    """
    text = str(error)
    if text.startswith("Caught "):
        text = text.rstrip().rpartition(f"{type(error).__name__}: ")[2]
    text = "".join(_written_out(letter) for letter in text)
    if len(text) <= MAX_MESSAGE_CHARACTERS:
        return text
    # a quotation from a damaged file may have megabytes
    return f"{text[: MAX_MESSAGE_CHARACTERS - 203]}...{text[-200:]}"


def _written_out(letter: str) -> str:
    """A character, or its escape sequence if it is not printable; a line end stays."""
    if letter.isprintable() or letter == "\n":
        return letter
    return letter.encode("unicode_escape", "surrogatepass").decode()


def call(function: Callable, words: Sequence[str], name: str = "") -> object:
    """Call a function with the words of a command line.

    Parameters
    ----------
    function : callable
        Step with a typed signature.
    words : sequence of str
        Command line without the program; ``--crop-seconds`` and ``--crop_seconds`` are the same,
        and ``--trim`` is ``--trim true``.  An option that takes several files takes their names
        up to the next option.  Behind ``--`` all words are names.
    name : str
        Name of the command in messages; empty: `program`.
    """
    from jsonargparse import ArgumentParser

    class Parser(ArgumentParser):
        """A parser with one-line errors."""

        def error(self, message, ex=None):
            print(f"{self.prog}: {' '.join(str(message).split())}; see --help", file=sys.stderr)
            sys.exit(2)

    name = name or program()
    words, names = _split_at_dashes(words)
    for word in words:
        fault = _specifier_fault(word)
        if fault:
            Parser(prog=name).error(fault)
    if sum(word.partition("=")[0] == f"--{ONCE}" for word in words) > 1:
        Parser(prog=name).error(f"--{ONCE} is given twice; join the two by a comma")
    if "--force" in words:
        words = [word for word in words if word != "--force"]
        os.environ["SV_FORCE"] = "1"
    parser = Parser(prog=name, description=_summary(function))
    parser.add_function_arguments(function, as_positional=True, as_group=False)
    _adapt_actions(parser, function)
    given = parser.parse_args(_names_last(_normalise_options(function, words), names))
    return function(**parser.instantiate(given).as_dict())


def _adapt_actions(parser: "ArgumentParser", function: Callable) -> None:
    """Offer what jsonargparse does not: positionals of several words or none, ``--from``."""
    optional = _optional_positionals(function)
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        if not action.option_strings and get_origin(hint) is list:
            (item,) = get_args(hint)
            action.nargs, action.metavar = "+", action.dest.upper()
            action._typehint = item  # type: ignore[attr-defined]  # jsonargparse keeps it there
        elif action.dest in optional:
            del parser._option_string_actions[f"--{action.dest}"]
            action.option_strings, action.nargs = [], "?"
            if _is_list_of_files(hint):
                action.nargs = "*"
            if Path in get_args(hint) or _is_list_of_files(hint):  # else null would be no name
                action._typehint = Path  # type: ignore[attr-defined]
            action.metavar = action.dest.upper()
            parser._optionals._group_actions.remove(action)  # in the help
            parser._positionals._group_actions.append(action)
        elif action.dest.endswith("_"):  # an option whose name is a word of Python
            name = f"--{action.dest.removesuffix('_')}"
            parser._option_string_actions[name] = action
            action.option_strings, action.metavar = [name], name[2:].upper()


def _optional_positionals(function: Callable) -> set[str]:
    """Names of parameters that are positional and have a default."""
    names = set()
    for name, parameter in inspect.signature(function).parameters.items():
        is_positional = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if is_positional and parameter.default is not parameter.empty:
            names.add(name)
    return names


def _split_at_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before ``--``, and those behind it, which are names."""
    words = list(words)
    if "--" not in words:
        return words, []
    first = words.index("--")
    return words[:first], words[first + 1 :]


def _names_last(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """Options first: argparse loses optional positionals behind an option."""
    options: list[str] = []
    positionals: list[str] = []
    takes_value = False
    for word in words:
        is_option = word.startswith("-") and word != "-"
        if is_option or takes_value:
            options.append(word)
        else:
            positionals.append(word)
        takes_value = word.startswith("--") and "=" not in word and word != "--help"
    return [*options, "--", *positionals, *names]


def _normalise_options(function: Callable, words: Sequence[str]) -> list[str]:
    """Options with underscores, ``--switch=true`` for a switch alone, and lists as one word."""
    hints = get_type_hints(function)
    switches = {f"--{name}" for name, hint in hints.items() if hint is bool}
    lists = {f"--{name}" for name, hint in hints.items() if _is_list_of_files(hint)}
    words = _join_lists([_dashes_to_underscores(word) for word in words], lists)
    normalised = []
    for index, word in enumerate(words):
        has_value = index + 1 < len(words) and words[index + 1] in ("true", "false")
        if word in switches and not has_value:
            word = f"{word}=true"
        normalised.append(word)
    return normalised


def _is_list_of_files(hint: object) -> bool:
    """Whether a type hint is ``list[Path]``, or that or None."""
    return hint == list[Path] or list[Path] in get_args(hint)


def _join_lists(words: Sequence[str], lists: Collection[str]) -> list[str]:
    """Names of files behind an option of ``lists`` as one JSON list, so that none is parsed.

    A list in brackets stays as it is, unless a file is called so.
    """
    joined: list[str] = []
    files: list[str] = []  # names behind the latest option
    takes_files = False
    for word in [*words, "--"]:
        if takes_files and not word.startswith("--"):
            files.append(word)
            takes_files = not _is_bracketed(files[0])
            continue
        if files and _is_bracketed(files[0]):
            joined += files
        elif files:
            joined.append(json.dumps(files))
        files = []
        takes_files = word in lists
        joined.append(word)
    return joined[:-1]


def _is_bracketed(word: str) -> bool:
    """Whether a word is a list of YAML, and no file."""
    return word.startswith("[") and word.rstrip().endswith("]") and not os.path.exists(word)


def _summary(function: Callable) -> str:
    """First line of the docstring; empty under ``python -OO``."""
    return (function.__doc__ or "").strip().partition("\n")[0]


def _specifier_fault(word: str) -> str:
    """Why a Kaldi specifier is refused, alone or as an option's value; else empty."""
    value = word
    if word.startswith("--"):
        value = word.partition("=")[2]
    match = SPECIFIER.fullmatch(value)
    if not match or os.path.exists(value):
        return ""
    rest = match["rest"].strip()
    if rest in ("", "-"):
        to_do = "standard input and output are not read or written here: give the path of a file"
    elif rest[0] == "|" or rest[-1] == "|":
        to_do = "pipes are not run here: write the command's output to a file and give its path"
    else:
        to_do = f"give the path alone: {rest.partition(',')[0]}"
    return f"'{value}' is a specifier of Kaldi's programs, expected a path; {to_do}"


def _dashes_to_underscores(word: str) -> str:
    """``--snr-db=3`` becomes ``--snr_db=3``; other words stay."""
    if not word.startswith("--") or word == "--":
        return word
    option, equals, value = word.partition("=")
    return "--" + option[2:].replace("-", "_") + equals + value


def program() -> str:
    """The module that was started with ``python -m``, for messages."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is None:
        return os.path.basename(sys.argv[0])
    return spec.name.removesuffix(".__main__")
