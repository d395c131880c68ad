"""Options in messages: the named command has them, when called by hand and in every recipe."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tree import RECIPES, label
from utils.cli import OF_RECIPES, recipe_option_hint

OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:[-_][a-z0-9]+)*)\b(?!-?\{)")
OWNER = re.compile(r"\b((?:steps|local|utils)\.\w+(?: \w+)?)\b")
EVERYWHERE = {"force", "help", "logdir"}  # the last is tensorboard's
# Modules with options of other programs or of the recipes' front door, or with names of colours.
OF_OTHERS = re.compile(
    r"utils/(launchers|doctor|plan|report)/|utils/(machine|pretrained/wheels)\.py"
    r"|utils/scoring/kaldi_commands\.py|utils/locks/|steps/export_kaldi\.py"
)
# Messages of a module that only these commands reach, of those that import it.
SPOKEN_BY = {
    "local/own/doors.py": [],  # options of recipes/own
    "steps/plan_fine_tuning.py": [],  # the same
    "local/own/": ["local/prepare_folder.py"],
    "local/vctk/tree.py": ["local/prepare_vctk.py"],
    "local/voices/lists.py": ["local/prepare_voices.py"],
    # Published networks have known bytes, whose keys and shapes their tables fit.
    "steps/import_model.py": ["steps/import_model.py"],
    "steps/extract.py": ["steps/extract.py"],  # others load the network without naming a checkpoint
    "utils/embeddings/recordings.py": [
        "steps/verify.py",
        "steps/enrol.py",
        "steps/identify.py",
    ],
    "utils/scoring/verification.py": ["steps/verify.py"],
    "steps/compare.py": ["steps/compare.py"],  # compare_runs has one fold
    "utils/foreign/assign.py": ["steps/import_model.py"],
    "utils/foreign/pickles.py": ["steps/import_model.py", "steps/import_embeddings.py"],
    "utils/archive/relocate.py": [],  # utils.archive relocate
    "utils/audio/read.py": ["steps/compute_vad.py", "steps/pack_audio.py", "steps/illustrate.py"],
    "utils/audio/channels.py": [
        "local/prepare_folder.py",
        "steps/compute_vad.py",
        "steps/pack_audio.py",
        "steps/make_feats.py",
        "steps/illustrate.py",
    ],
    "utils/augmentation/copies.py": ["steps/augment_copies.py"],
    "utils/data_dir/derive.py": ["steps/compute_vad.py", "steps/pack_audio.py", "steps/extract.py"],
    "utils/data_dir/directory.py": [],  # utils.data_dir validate --audio
    "utils/embeddings/inputs.py": [],  # utils.data_dir subset, which it names in two pieces
    "steps/api.py": ["steps/verify.py", "steps/embed.py", "steps/identify.py"],
    "utils/galleries/identification.py": ["steps/identify.py"],
    "utils/scoring/thresholds/recordings.py": [
        "steps/fit_threshold.py",
        "steps/compare_models.py",
    ],
    "utils/trials/checked.py": ["steps/score.py"],
    "utils/embeddings/kaldi_folders.py": ["steps/import_kaldi.py"],
    "utils/embeddings/protocols.py": ["steps/extract.py"],
    "utils/metrics/operating_points.py": [
        "steps/compare.py",
        "steps/evaluate.py",
        "steps/evaluate_scores.py",
    ],
    "utils/packed/packer.py": ["steps/pack_audio.py", "steps/augment.py"],
    "utils/evaluation/rows.py": [
        "steps/compare.py",
        "steps/compare_models.py",
        "steps/compare_runs.py",
        "steps/evaluate.py",
        "steps/evaluate_scores.py",
    ],
    "utils/torch_device.py": [
        "steps/extract.py",
        "steps/make_feats.py",
        "steps/normalise_scores.py",
        "steps/train.py",
    ],
    "utils/config/override.py": ["steps/train.py", "steps/illustrate.py"],
    "utils/config/sections.py": ["steps/train.py", "steps/illustrate.py"],
    "utils/training/phases.py": ["steps/train.py", "steps/illustrate.py"],
    "utils/training/settings.py": ["steps/train.py"],
    "utils/trials/voxceleb_names.py": ["steps/import_embeddings.py"],
    # Pipes are in lists of others; the lists of a recipe's own preparation have none, and steps
    # without the option run none.
    "utils/audio/pipes.py": [
        "local/prepare_folder.py",
        "steps/compute_vad.py",
        "steps/pack_audio.py",
        "steps/make_feats.py",
    ],
    "utils/data_dir/rules.py": [
        "local/prepare_folder.py",
        "steps/compute_vad.py",
        "steps/pack_audio.py",
        "steps/make_feats.py",
    ],
    # Of utterances of trials; preparations without trials, or with an option of their own, lack it.
    "utils/data_dir/ledger.py": [
        "local/prepare_folder.py",
        "steps/compute_vad.py",
        "steps/collect_vad.py",
        "steps/pack_audio.py",
        "steps/collect_packed.py",
    ],
}
# Options of a recipe, behind which the message says how the command calls it.
RECIPES_OWN = {"local/prepare_voices.py": {"set"}}
# In a recipe nobody can come to these: what they are about is fixed by run.sh, or checked before.
FIXED_IN_RECIPES = {
    "steps/augment.py": {"noise", "rirs"},  # a bank is made where there is one of them
    "steps/augment_copies.py": {"allow-trials", "seed"},  # of training sets
    "steps/extract_channel_stats.py": {"margin-seconds"},
    "steps/draw_utterances.py": {"count", "seed"},
    "steps/train.py": {"seed"},
    "steps/train_backend.py": {"backend", "subtract-mean"},  # never beside a YAML
    "steps/make_trials.py": {"enrol-sessions", "random"},
    "local/prepare_mini.py": {"jobs"},
    "local/prepare_folder.py": {"features"},  # given for Kaldi directories only
    "local/prepare_speechocean762.py": {"folds"},
    "local/simulate_rooms.py": {"rooms", "responses-per-room", "rt60-seconds", "distance-metres"},
    "utils/augmentation/copies.py": {"copies", "suffix", "one-copy-per-transform"},
    "utils/data_dir/derive.py": {"job"},
    "utils/embeddings/protocols.py": {"protocol"},  # --test-protocols are looked up by stages.sh
    "utils/evaluation/rows.py": {"replicates"},
    "utils/trials/checked.py": {"enroll-spk2utt"},  # given wherever trials are of models
    "utils/scoring/cohort.py": {"cohort-utt2spk"},  # cohorts are of speakers
    "steps/normalise_scores.py": {"cohort-of", "cohort-list", "cohort-utt2spk"},  # the same
    "steps/extract.py": {"checkpoint"},  # of a baseline, which is no model folder
    "utils/audio/pipes.py": {"allow-pipes"},
    "utils/data_dir/rules.py": {"allow-pipes"},
}


def messages_of(path: Path) -> list[tuple[int, str]]:
    """Line and text of each string that is no documentation; what is filled in is {}."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(
            node
        ):
            skipped.add(id(node.body[0].value))
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(value) for value in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [
                value.value if isinstance(value, ast.Constant) else "{}" for value in node.values
            ]
            found.append((node.lineno, "".join(map(str, parts))))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in skipped
        ):
            found.append((node.lineno, node.value))
    return found


@cache
def named_in(path: Path) -> list[tuple[int, str, str]]:
    """Line, option and text of each option that a module's messages name, of no other command."""
    named = []
    for line, text in messages_of(path):
        owners = [options_of(owner) for owner in owners_in(text)]
        named += [
            (line, option.replace("_", "-"), text)
            for option in OPTION.findall(text)
            if not any(option.replace("-", "_") in options for options in owners)
        ]
    return named


def owners_in(text: str) -> list[Path]:
    """Modules of commands that a text names."""
    found = [ROOT / f"{name.split()[0].replace('.', '/')}.py" for name in OWNER.findall(text)]
    packages = [
        ROOT / name.split()[0].replace(".", "/") / "__main__.py" for name in OWNER.findall(text)
    ]
    return [path for path in [*found, *packages] if path.exists()]


@cache
def options_of(path: Path) -> frozenset[str]:
    """Names of the parameters that are not positional, of a command or of all of a package."""
    options = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and (
            node.name == path.stem or path.stem == "__main__"
        ):
            arguments = node.args
            with_default = arguments.args[len(arguments.args) - len(arguments.defaults) :]
            options |= {argument.arg for argument in with_default}
            # an option whose name is a word of Python: from_ for --from
            options |= {argument.arg.removesuffix("_") for argument in arguments.kwonlyargs}
    return frozenset(options)


@cache
def imported_by(path: Path) -> frozenset[Path]:
    """Modules of ours that a module imports, in functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
    places = [ROOT / name.replace(".", "/") for name in names]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return frozenset(file for file in files if file.exists() and file.is_relative_to(ROOT))


@cache
def reached_from(path: Path) -> frozenset[Path]:
    """A module and all that it imports, at any remove."""
    found, pending = {path}, [path]
    while pending:
        new = imported_by(pending.pop()) - found
        found |= new
        pending += new
    return frozenset(found)


COMMANDS = [
    path
    for path in [*sorted((ROOT / "steps").glob("*.py")), *sorted((ROOT / "local").glob("*.py"))]
    if "__main__" in path.read_text()
]
assert len(COMMANDS) > 30


def said_by(command: Path) -> list[tuple[Path, int, str]]:
    """Module, line and option of each message that a command may give."""
    said = []
    for module in sorted(reached_from(command)):
        name = label(module)
        speakers = next((SPOKEN_BY[key] for key in SPOKEN_BY if name.startswith(key)), None)
        if OF_OTHERS.search(name) or (speakers is not None and label(command) not in speakers):
            continue
        said += [(module, line, option) for line, option, _ in named_in(module)]
    return said


@pytest.mark.parametrize("command", COMMANDS, ids=label)
def test_a_command_has_the_options_that_its_messages_name(command):
    has = {option.replace("_", "-") for option in options_of(command)} | EVERYWHERE
    has |= {option.removeprefix("--") for option in OF_RECIPES}  # the line says whose they are
    has |= RECIPES_OWN.get(label(command), set())
    positional = {argument.arg.replace("_", "-") for argument in arguments_of(command)}
    lacking = [
        f"{label(module)}:{line}: --{option}"
        for module, line, option in said_by(command)
        if option not in has and option not in positional
    ]
    assert not lacking


def arguments_of(command: Path) -> list[ast.arg]:
    """Parameters without a default: the recipes call them by an option of the same name."""
    (function,) = (
        node
        for node in ast.parse(command.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == command.stem
    )
    number = len(function.args.args) - len(function.args.defaults)
    return function.args.args[:number]


def options_of_recipe(recipe: Path) -> set[str]:
    """What a recipe takes: its own block and that of every recipe."""
    own = recipe.read_text().partition("# Options")[2].partition(". utils/stages.sh")[0]
    every = (ROOT / "utils" / "stages.sh").read_text()
    every = every.partition("# Options of every recipe")[2].partition("# End of options")[0]
    return {
        name.replace("_", "-") for name in re.findall(r"^([a-z0-9_]+)=", own + every, re.MULTILINE)
    }


def commands_of(recipe: Path) -> str:
    """The script of a recipe, with those that hold the commands of its stages."""
    shared = [ROOT / "utils" / name for name in ("audio_stages.sh", "scoring.sh")]
    return "".join(path.read_text() for path in (recipe, *shared))


@pytest.mark.parametrize("recipe", RECIPES, ids=label)
def test_a_recipe_has_the_options_that_messages_of_its_commands_name(recipe):
    text = commands_of(recipe)
    has = options_of_recipe(recipe) | EVERYWHERE
    lacking = set()
    for module_name in set(re.findall(r"-m ((?:steps|local)\.\w+)", text)):
        command = ROOT / f"{module_name.replace('.', '/')}.py"
        for module, line, option in said_by(command):
            if option not in has | FIXED_IN_RECIPES.get(label(module), set()):
                lacking.add(f"{label(module)}:{line}: --{option}")
    assert not sorted(lacking)


@pytest.mark.parametrize(
    "command", [path for path in COMMANDS if "check_limits(" in path.read_text()], ids=label
)
def test_a_limit_that_is_exceeded_can_be_raised(command):
    """The ledger puts the name of such an option together."""
    calls = re.findall(r"check_limits\((.*?)\)", command.read_text(), re.DOTALL)
    if all("has_options=False" in call for call in calls):
        return
    assert "max_unreadable_fraction" in options_of(command)
    kinds = {"steps/collect_vad.py"}  # drops nobody by policy
    assert label(command) in kinds or "max_policy_fraction" in options_of(command)
    recipes = [
        path
        for path in RECIPES
        if f"-m {label(command)[:-3].replace('/', '.')} " in commands_of(path)
    ]
    for recipe in recipes:
        assert {"max-unreadable-fraction", "max-policy-fraction"} <= options_of_recipe(recipe)
    module = label(command)[:-3].replace("/", ".")
    stages = (ROOT / "utils" / "stages.sh").read_text()
    handed_on = stages.partition("loss_limits() {")[2].partition("\n}")[0]
    assert not recipes or module in handed_on


def test_commands_that_messages_name_are_there():
    """`python -m utils.data_dir fix`, ...: modules that can be run, with their subcommands."""
    wrong, number = [], 0
    for module in [
        path for top in ("steps", "local", "utils") for path in (ROOT / top).rglob("*.py")
    ]:
        for line, text in messages_of(module):
            for package, name, word in re.findall(
                r"(?<![\w.])python3? -m (steps|local|utils)\.(\w+)(?: ([a-z]+)\b)?", text
            ):
                place = ROOT / package / name
                files = [place.with_suffix(".py"), place / "__main__.py"]
                code = next((file.read_text() for file in files if file.exists()), "")
                number += 1
                if "__main__" not in code and "run(" not in code and "main(" not in code:
                    wrong.append(f"{label(module)}:{line}: python -m {package}.{name}")
                elif word and "run_subcommands" in code and f'"{word}"' not in code:
                    wrong.append(f"{label(module)}:{line}: python -m {package}.{name} {word}")
    assert number > 3
    assert not wrong


def test_what_is_listed_here_is_still_said():
    for name, options in FIXED_IN_RECIPES.items():
        said = {option for _, option, _ in named_in(ROOT / name)}
        assert options <= said, f"{name} no longer names {sorted(options - said)}"


def test_a_step_by_hand_says_that_an_option_is_one_of_recipes(monkeypatch):
    monkeypatch.delenv("SV_STAGED", raising=False)
    monkeypatch.setattr("utils.cli.program", lambda: "steps.train")
    assert recipe_option_hint("choose another --name") == (
        " (--name is an option of recipes; by hand, give another folder)"
    )
    assert recipe_option_hint("--accept STAGE keeps it") == " (--accept is an option of recipes)"
    assert recipe_option_hint("give --names") == recipe_option_hint("give --config") == ""
    monkeypatch.setenv("SV_STAGED", "1")
    assert recipe_option_hint("choose another --name") == ""
