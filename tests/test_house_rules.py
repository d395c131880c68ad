"""Rules that a reviewer would otherwise check by hand; scripts and YAML: test_recipe_rules.py."""

import ast
import hashlib
import inspect
import io
import re
import subprocess
import sys
import tokenize
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from docstring_parser import DocstringStyle, parse

from tests.conftest import ROOT
from tests.tree import LIBRARY, SHELL, TESTS, TREE, label
from utils.pretrained.published import Name

NO_STEPS = ("__init__", "api")
STEPS = [path.stem for path in LIBRARY if path.parent == ROOT / "steps"]
STEPS = [name for name in STEPS if name not in NO_STEPS]
COMMANDS = [
    path
    for path in LIBRARY
    if path.parent.name in ("steps", "local") and "\n    run(" in path.read_text()
]
# Foreign packages that these may import; import-linter checks our own (pyproject.toml).
ALLOWED_PACKAGES = {
    "steps/models": {"torch"},
    "steps/losses": {"torch"},
    "steps/backends": {"numpy", "scipy", "sklearn", "torch"},
}
MAX_MODULE_LINES, MAX_BODY_LINES, MAX_PARAMETERS = 350, 60, 6  # of code, as ruff formats it
CALLABLES = (ast.Name, ast.Attribute)
SECTIONS = re.compile(r"^(Parameters|Returns|Raises|Yields|Attributes)\n-+", re.MULTILINE)
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NO_CODE |= {tokenize.ENDMARKER, tokenize.ENCODING}
PICKLES = {
    "utils/foreign/pickles.py": "foreign pickles in the sandbox, by an allow-list of names",
    "tests/utils/audio/test_read.py": "a DataLoader pickles a reader for its workers",
    "tests/utils/training/test_checkpoints.py": "hostile pickles",
    "tests/pickles.py": "pickles that the restricted unpickler must read or refuse",
}


def check_all(paths, find_faults):
    """Assert that no file has a fault; one test for all files, since there are hundreds."""
    faults = [f"{label(path)}: {fault}" for path in paths for fault in find_faults(path)]
    assert not faults, "\n".join(faults)


@cache
def syntax_tree(path):
    """The parsed file, which several rules read."""
    return ast.parse(path.read_text())


@cache
def syntax_nodes(path):
    """All nodes of the parsed file."""
    return list(ast.walk(syntax_tree(path)))


def list_functions(path):
    """Functions and methods of a file, without inner ones: (name, node, is public)."""
    results = []
    for node in syntax_tree(path).body:
        if isinstance(node, ast.FunctionDef):
            results.append((node.name, node, not node.name.startswith("_")))
        if isinstance(node, ast.ClassDef):
            results += [
                (
                    f"{node.name}.{inner.name}",
                    inner,
                    not node.name.startswith("_") and not inner.name.startswith("_"),
                )
                for inner in node.body
                if isinstance(inner, ast.FunctionDef)
            ]
    return results


def imported_modules(path):
    """Full names of the modules that a file imports, at any level of nesting."""
    for node in syntax_nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def list_parameters(node):
    every = [
        *node.args.posonlyargs,
        *node.args.args,
        *filter(None, [node.args.vararg]),
        *node.args.kwonlyargs,
        *filter(None, [node.args.kwarg]),
    ]
    return [argument for argument in every if argument.arg not in ("self", "cls")]


def documented_parameters(docstring):
    """Names in the Parameters section; `first, last : int` names two."""
    described = parse(docstring or "", DocstringStyle.NUMPYDOC).params
    return [
        name.strip().lstrip("*")
        for entry in described
        if entry.args[0] == "param"
        for name in entry.arg_name.split(",")
    ]


@pytest.mark.parametrize(
    "path", [path for path in LIBRARY if label(path).startswith(tuple(ALLOWED_PACKAGES))], ids=label
)
def test_networks_losses_and_back_ends_import_little(path):
    allowed = next(
        names for folder, names in ALLOWED_PACKAGES.items() if label(path).startswith(folder)
    )
    for name in imported_modules(path):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("steps", "utils"):
            assert top in allowed, f"{label(path)} must not import {name}"


def test_public_functions_have_hints_and_docstrings_that_name_no_other_parameters():
    check_all(LIBRARY, undocumented)


def undocumented(path):
    """Functions of a file without docstring or type hints, or with wrong names of parameters."""
    faults = []
    for name, node, is_public in list_functions(path):
        parameters = list_parameters(node)
        names, written = (
            [argument.arg for argument in parameters],
            documented_parameters(ast.get_docstring(node)),
        )
        if is_public and not ast.get_docstring(node):
            faults.append(f"{name}: no docstring")
        if is_public and (
            bare := [argument.arg for argument in parameters if argument.annotation is None]
        ):
            faults.append(f"{name}: no type hint for {', '.join(bare)}")
        if written != [name for name in names if name in written]:
            faults.append(f"{name}: has parameters {names}, its docstring describes {written}")
    return faults


def offered_names(path):
    """Public names that others may use: of a module of utils, of steps.api, or in `__init__`."""
    if path.parent == ROOT / "utils" or label(path) == "steps/api.py":
        return {name for name, _, is_public in list_functions(path) if is_public}
    init = path.parent / "__init__.py"
    return set(re.findall(r"\w+", init.read_text()))


def test_only_commands_and_offered_functions_have_sections():
    """Elsewhere a docstring is one line, with up to three for shapes, units, errors and sources."""
    check_all(LIBRARY, functions_with_needless_sections)


def functions_with_needless_sections(path):
    """Functions of a file that have sections and are neither commands nor offered."""
    offered = offered_names(path)
    faults = []
    for name, node, is_public in list_functions(path):
        if "." in name or not is_public or name in offered or is_command(path, name):
            continue
        if SECTIONS.search(ast.get_docstring(node) or ""):
            faults.append(name)
    return faults


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_module_function_and_command_of_one_name(step):
    module = import_module(f"steps.{step}")
    function = getattr(module, step)
    parameters = inspect.signature(function).parameters
    assert documented_parameters(function.__doc__) == list(parameters)
    assert f"python -m steps.{step} " in module.__doc__, (
        "the module's head shows a real command line"
    )
    assert isinstance(module.FORMAT, int)
    for parameter in parameters.values():
        is_name = parameter.annotation is Name or (step, parameter.name) == ("enrol", "name")
        if parameter.kind is not parameter.KEYWORD_ONLY and not is_name:
            assert parameter.annotation in (Path, list[Path], Path | None, list[Path] | None), (
                f"{parameter.name}: inputs and outputs are paths; options are keyword-only"
            )


@pytest.mark.parametrize("path", COMMANDS, ids=label)
@pytest.mark.slow
def test_help_exits_with_0_and_an_unknown_option_with_one_line_and_2(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    calls = [
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in (["--help"], ["--no-such-option", "1"])
    ]
    (shown, _), (_, complaint) = [call.communicate() for call in calls]
    assert [call.returncode for call in calls] == [0, 2], complaint
    assert shown.startswith("usage: ")
    assert len(complaint.splitlines()) == 1, complaint


def docstring_lines(path):
    """Numbers of the lines that docstrings take."""
    taken = set()
    for node in syntax_nodes(path):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node
        ):
            taken.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return taken


def code_lines(path):
    """Numbers of the lines that hold code: blanks, comments and docstrings are free."""
    taken = docstring_lines(path)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in NO_CODE or token.start[0] in taken:
            continue
        lines.update(range(token.start[0], token.end[0] + 1))
    return lines


def is_command(path, function):
    """Whether a function's signature is a command line: a step, or a subcommand of a package."""
    if path.name == "__main__.py":
        return True
    is_step = path.parent.name in ("steps", "local") and function == path.stem
    starts_it = re.search(rf"\n    run(_subcommands)?\(.*\b{function}\b", path.read_text())
    return is_step or bool(starts_it)


def test_modules_bodies_and_parameter_lists_are_short():
    check_all(LIBRARY, long_parts)


def long_parts(path):
    """Module, function bodies and parameter lists of a file that are too long."""
    lines = code_lines(path)
    faults = []
    if len(lines) > MAX_MODULE_LINES:
        faults.append(f"{len(lines)} lines of code, at most {MAX_MODULE_LINES}")
    for node in syntax_nodes(path):
        if not isinstance(node, ast.FunctionDef):
            continue
        body = [number for number in lines if node.body[0].lineno <= number <= node.end_lineno]
        if len(body) > MAX_BODY_LINES:
            faults.append(f"{node.name}: a body of {len(body)} lines, at most {MAX_BODY_LINES}")
        number = len(list_parameters(node))
        if number > MAX_PARAMETERS and node.name != "__init__" and not is_command(path, node.name):
            faults.append(f"{node.name}: {number} parameters, at most {MAX_PARAMETERS}")
    return faults


def test_commands_do_not_import_torch_at_import_time():
    """A recipe's help and plan import commands; torch alone takes a second and a half."""
    commands = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in COMMANDS]
    packages = [path for path in LIBRARY if path.name == "__main__.py"]
    commands += [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in packages]
    assert len(commands) > 40
    script = "import sys; from importlib import import_module\n"
    script += f"for name in {commands}:\n    import_module(name)\n"
    script += "    if 'torch' in sys.modules: sys.exit(f'{name} imports torch')"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


PACKAGES = [path for path in LIBRARY if path.name == "__init__.py"]


def test_packages_have_docstrings():
    for path in PACKAGES:
        assert ast.get_docstring(syntax_tree(path)), label(path)


def test_utils_has_few_entries():
    entries = [path for path in (ROOT / "utils").iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 36


def test_no_module_has_a_vague_name():
    vague = [
        label(path)
        for path in LIBRARY
        if re.fullmatch(
            r"(utils?|misc|common|helpers?|tools?|lib|new|old|.*_deprecated)\.py", path.name
        )
    ]
    assert vague == []


def test_no_file_is_a_copy_or_a_link():
    seen = {}
    for path in TREE:
        assert not path.is_symlink(), (
            f"{label(path)}: share code by importing it, not by linking it"
        )
        digest = hashlib.sha256(path.read_bytes()).digest()
        assert path.stat().st_size == 0 or "golden" in path.parts or digest not in seen, (
            f"{label(path)} is a copy of {seen.get(digest)}"
        )
        seen[digest] = label(path)


def test_no_bare_except_pickle_shell_or_xfail_without_a_reason():
    for path in LIBRARY + TESTS:
        refuse_dangerous_code(path)


JUDGED = (ast.ExceptHandler, ast.Call, ast.Attribute)


def refuse_dangerous_code(path):
    name = label(path)
    judged = [node for node in syntax_nodes(path) if isinstance(node, JUDGED)]
    for node in judged:
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            raises_again = any(
                isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node)
            )
            assert caught not in ("everything", "Exception", "BaseException") or raises_again, (
                f"{where}: catches {caught}"
            )
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func) if isinstance(node.func, CALLABLES) else ""
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert keywords.get("shell", "False") == "False", f"{where}: no shell"
            safe = (
                called != "torch.load" or keywords.get("weights_only") == "True" or name in PICKLES
            )
            assert safe, f"{where}: torch.load needs weights_only=True"
            assert not called.endswith(".xfail") or "raises" in keywords, (
                f"{where}: xfail needs raises="
            )
            assert called not in ("os.system", "os.popen", "exec", "eval"), f"{where}: {called}"
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "pickle":
            assert node.attr == "UnpicklingError" or name in PICKLES, f"{where}: no pickle"
    assert not re.search(r"mark\.xfail(?!\()", path.read_text()), (
        f"{label(path)}: xfail needs raises="
    )
    assert not {name.split(".")[0] for name in imported_modules(path)} & {
        "dill",
        "cloudpickle",
        "joblib",
        "pkg_resources",
    }, label(path)


def test_no_file_holds_a_path_of_one_machine():
    lab = re.compile(r"/(?<![\w.\-/*$}]/)(root|work|opt|mnt|srv|scratch|Users|home)/\w")
    faults = []
    for path in TREE:
        if "golden" in path.parts or path.name == Path(__file__).name:
            continue
        text = path.read_text(errors="replace")
        if not lab.search(text):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if lab.search(line):
                faults.append(f"{label(path)}:{number}: {line.strip()}")
    assert not faults, "\n".join(faults)


MARKDOWN = [path for path in TREE if path.suffix == ".md"]
PAGES = [path for path in MARKDOWN if path.name not in ("changes.md", "RESULTS.md")]
# Words of this project's past for which the field has a term: docs/glossary.md.
IDIOMS = re.compile(r"\b(learnt|mends?|mended|anew|dear|borne out|goes round|look_anew)\b")


def test_private_idioms_do_not_come_back():
    check_all(LIBRARY + SHELL + PAGES, lines_with_idioms)


def lines_with_idioms(path):
    lines = enumerate(path.read_text().splitlines(), 1)
    return [f"line {number}: {line}" for number, line in lines if IDIOMS.search(line)]


def test_links_in_markdown_exist():
    check_all(MARKDOWN, dead_links)


def dead_links(path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
    return [link for link in links if "://" not in link and not (path.parent / link).exists()]


def test_commands_named_in_pages_and_scripts_exist():
    """In READMEs and scripts: no command of a step that was renamed."""
    known = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in LIBRARY
    }
    for path in [*MARKDOWN, *SHELL]:
        for module in re.findall(
            r"python3? -m ((?:steps|utils|local)(?:\.\w+)+)", path.read_text()
        ):
            assert module in known, f"{label(path)}: no module {module}"


def test_modules_named_in_text_exist():
    """In docstrings, comments, scripts and pages: no old path of a module that moved."""
    named = re.compile(r"(?<![\w/.{*-])((?:utils|steps|local|tests)/[\w/.-]*\.py)\b")
    pages = [
        path
        for path in TREE
        if path.suffix in (".py", ".sh", ".md", ".yaml", ".toml") and "seeds" not in path.parts
    ]
    missing = [
        f"{label(path)}: {file}"
        for path in pages
        for file in named.findall(path.read_text(errors="replace"))
        if not ((ROOT / file).exists() or (ROOT / "tests" / file).exists())
    ]
    assert not missing, "\n".join(missing)


def test_splitlines_is_for_output_of_programs_only():
    """`splitlines` also splits at U+2028 and others, letters in a list: utils.files reads lists."""
    allowed = {
        *("steps/extract.py", "utils/training/objective.py", "utils/audio/ffmpeg.py"),
        *("utils/audio/read.py", "utils/doctor/findings.py", "utils/machine.py"),
        *("utils/launchers/array.py", "utils/launchers/failures.py", "utils/launchers/slurm.py"),
        *("utils/cli.py", "utils/features/precomputed.py"),
    }
    assert {label(path) for path in LIBRARY if ".splitlines(" in path.read_text()} <= allowed


def test_there_is_a_readme_for_the_project_and_for_every_recipe():
    missing = [
        label(folder / "README.md")
        for folder in (ROOT, *sorted((ROOT / "recipes").iterdir()))
        if not (folder / "README.md").exists()
    ]
    assert missing == []
