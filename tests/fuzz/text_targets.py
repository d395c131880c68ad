"""Targets: settings in YAML, and what steps write as JSON and read again."""

import hashlib
import json
from pathlib import Path

from tests.fuzz.target import Files, Place, Target
from tests.fuzz.worker import MARKER
from utils.config import make, read_yaml, yaml_files
from utils.data_dir.ledger import count_lost_trials, read_dropped
from utils.embeddings.inputs import made_features
from utils.embeddings.protocols import read_protocol
from utils.embeddings.provenance import read_provenance
from utils.errors import UserError
from utils.files import read_entries
from utils.launchers.record import read_record
from utils.packed.facts import COPIES, SOUND, describe_augmentation, describe_cut, vad_when_packed
from utils.receipts.contents import bad_outputs, read_receipt
from utils.scoring.backend_files import read_declared
from utils.scoring.calibration_files import PARTS, read_calibration
from utils.training.crops import CropOptions
from utils.training.settings import read_phases
from utils.trials.enrolment import TrialDesign
from utils.vad.registry import make_vad

ROOT = Path(__file__).parents[2]
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = [
    f"!!python/object/apply:os.system ['touch {MARKER}']",
    f"!!python/object/new:subprocess.Popen [[touch, {MARKER}]]",
    f"!!python/object/apply:builtins.eval [\"open('{MARKER}', 'w')\"]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/tuple [1, 2]",
    f"!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{MARKER}']]",
]


def _yaml_seeds() -> list[Files]:
    chosen = [
        "ghostvlad_cpu",
        "ge2e_td",
        "rawnet",
        "resnet34",
        "ecapa_512_cpu",
        "vad/energy",
        "vad/librosa_trim",
        "feats/fbank80",
        "protocols/crops_10x4s",
    ]
    paths = [ROOT / "conf" / f"{name}.yaml" for name in chosen]
    paths = [path for path in paths if path.exists()]
    paths += [
        path
        for folder in ("augmentation", "protocols")
        for path in sorted((ROOT / "conf" / folder).glob("*.yaml"))[:2]
    ]
    phases = (
        "model: {name: rawnet}\nloss: {name: softmax}\noptimizer: {name: adam}\n"
        "schedule: {name: constant}\ncrops: {}\ntraining: {steps: 10}\n"
        "phases:\n- {name: one, training: {epochs: 2}}\n"
        "- {name: two, weights_from: previous, loss: {name: triplet}}\n"
    )
    texts = [
        "enrol_names: 'a*'\ntest_names: b\n",
        "base: &b {name: x, rate: 1e-3}\nother: {<<: *b, rate: 2}\nlist: [*b, *b]\n",
        LAUGHS,
        phases,
        (
            "when: 2001-12-14 21:59:43.10\nday: 2002-12-14\nbase: 190:20:30\n"
            "octal: 0o14\nhex: 0x1F\nset: !!set {a, b}\n"
            "pairs: !!omap [a: 1]\nbinary: !!binary aGk=\n"
            "text: |\n  two\n  lines\nfolded: >-\n  a\n  b\nnothing: ~\nyes: on\n"
            "? complex\n: value\n"
        ),
        *(f"model:\n  name: {said}\n" for said in HOSTILE),
        *(f"- {said}\n" for said in HOSTILE[:2]),
    ]
    seeds = [{"x.yaml": path.read_bytes()} for path in paths]
    for seed, path in zip(seeds, paths, strict=True):
        seed |= {base.name: base.read_bytes() for base in yaml_files(path)[1:]}
    texts += [f"base: {name}\n" for name in ("x.yaml", "../x.yaml", "[x, y]", "''", "none.yaml")]
    return seeds + [{"x.yaml": text.encode()} for text in texts]


YAML_WORDS = [
    *(said.encode() for said in HOSTILE),
    LAUGHS.encode(),
    b"&a ",
    b"*a",
    b"*a, ",
    b"<<: *a\n",
    b"<<: [*a, *a]\n",
    b"<<: 3",
    b"!!int ",
    b"!!float ",
    b"!!bool ",
    b"!!timestamp ",
    b"!!binary ",
    b"!!set ",
    b"!!omap ",
    b"!!pairs ",
    b"!!map ",
    b"!!seq ",
    b"!!str ",
    b"!!null ",
    b"!!merge ",
    b"!x ",
    b"! ",
    b"%YAML 9.9\n",
    b"%TAG ! tag:yaml.org,2002:\n",
    b"---\n",
    b"...\n",
    b"? ",
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"'",
    b'"',
    b"|\n",
    b">\n",
    b"@",
    b"`",
    b".inf",
    b".nan",
    b"2001-99-99",
    b"2001-12-14t99:99:99Z",
    b"0b2",
    b"0x",
    b"190:99:99",
    b"1" + b":59" * 400,
    b"0b" + b"1" * 20_000,
    b"9" * 5000,
    b"1e99999",
    b"~",
    b"null",
    b"true",
    b"name: ",
    b"\\x",
    b'"\\ud800"',
    b"\xc2\x85",
    b"=",
    b"a: 1\na: 2\n",
    b"a: {b: 1}\n",
    b"[" * 3000,
    b"{a: " * 3000,
    b"- " * 3000,
]


def _refusing_none(found) -> None:
    if found is None:
        raise UserError("nothing there")


YAML = Target(
    "yaml",
    {
        "utils.config.read_yaml": lambda place: read_yaml(place.given / "x.yaml"),
        "utils.training.settings.read_phases": lambda place: read_phases(place.given / "x.yaml"),
        "utils.training.settings.read_phases (--augmentation)": lambda place: read_phases(
            ROOT / "conf/ghostvlad_cpu.yaml", 3, place.given / "x.yaml"
        ),
        "utils.vad.registry.make_vad": lambda place: make_vad(place.given / "x.yaml"),
        "utils.embeddings.protocols.read_protocol": lambda place: read_protocol(
            str(place.given / "x.yaml")
        ),
        "utils.config.make (trial design)": lambda place: make(
            TrialDesign, read_yaml(place.given / "x.yaml"), "x"
        ),
        "utils.config.make (crops)": lambda place: make(
            CropOptions, read_yaml(place.given / "x.yaml").get("crops"), "x"
        ),
    },
    _yaml_seeds,
    YAML_WORDS,
    most_bytes=10_000,
)


def _json_seeds() -> list[Files]:
    receipt = {
        "step": "train",
        "format": 1,
        "command": "x",
        "commit": "",
        "options": {"seed": 1, "name": "a"},
        "inputs": {"data": {"path": "data/x", "content": "0" * 64}},
        "outputs": {"one": {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}},
        "counts": {"utterances": 3},
        "core_seconds": 1.5,
        "seconds": 2.5,
    }
    files = {
        "receipt.json": receipt,
        "backend.json": {"options": {"name": "cosine"}, "dimensions": 3, "parts": ["mean.vec"]},
        "calibration.json": dict.fromkeys(sorted(PARTS), 1.0),
        "provenance.json": {
            "model": "abc",
            "sample_rate_hz": 16000,
            "front_end": {"name": "fbank"},
        },
        "feats.json": {"front_end": {"num_bins": 80}},
        "ledger.json": {"came_in": 3, "went_on": 2, "unreadable": 1, "lost_trials": 4},
        SOUND: {"vad": "none", "augmentation": "none", "cut": ""},
        COPIES: {
            "vad": "none",
            "include_originals": True,
            "copies": ["a", "b"],
            "policy_name": "x",
            "seed": 1,
            "cut": "cut to 2 s",
        },
        "results.json": [
            {"test_set": "x", "eer_percent": 1.0},
            {"test_set": "y", "eer_percent": None},
        ],
        "record.json": {
            "launcher": "slurm",
            "submissions": [{"name": "a", "job": "12", "digest": "0", "tasks": {"1": 2}}],
        },
    }
    written = {name: (json.dumps(value) + "\n").encode() for name, value in files.items()}
    written |= {"one": b"abc", "dropped": b"a unreadable no samples\nb policy:short 0.1 s\n"}
    lines = b'{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2.25}\n'
    outside = {
        **receipt,
        "outputs": receipt["outputs"]
        | {
            "../pipe": {"bytes": 0, "sha256": "0" * 64},
            "/dev/zero": {"bytes": 0, "sha256": "0" * 64},
        },
    }
    copies = {name: content for name, content in written.items() if name != SOUND}
    return [
        written,
        copies,
        {**written, "history.jsonl": lines},
        {**written, "receipt.json": json.dumps(outside).encode()},
        {**written, "receipt.json": b"[" * 5000},
        {**written, "provenance.json": b'{"a": ' * 5000},
    ]


def _receipt(place: Place) -> None:
    receipt = read_receipt(place.given / "receipt.json")
    _refusing_none(receipt)
    for sentence in bad_outputs(place.given, receipt["outputs"]):
        raise UserError(sentence)


JSON_WORDS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b'"\\ud800"',
    b'"../../x"',
    b'"/etc/hostname"',
    b'"outputs": ',
    b'"options": ',
    b'"bytes": ',
    b'"tasks": ',
    b'"a"',
    b",",
    b":",
    b"9" * 5000,
    b"-1",
    b"1.5",
    b"{}",
    b"[]",
    b'""',
    b"[" * 3000,
    b'{"a": ' * 3000,
]

JSON = Target(
    "json",
    {
        "utils.receipts.contents.read_receipt, bad_outputs": _receipt,
        "utils.scoring.backend_files.read_declared": lambda place: read_declared(place.given),
        "utils.scoring.calibration_files.read_calibration": lambda place: read_calibration(
            place.given
        ),
        "utils.embeddings.provenance.read_provenance": lambda place: _refusing_none(
            read_provenance(place.given)
        ),
        "utils.embeddings.inputs.made_features": lambda place: _refusing_none(
            made_features(place.given)
        ),
        "utils.launchers.record.read_record": lambda place: read_record(
            place.given / "record.json"
        ),
        "utils.data_dir.ledger.count_lost_trials, read_dropped": lambda place: [
            count_lost_trials(place.given),
            *read_dropped(place.given / "dropped"),
        ],
        "utils.packed.facts.vad_when_packed, describe_augmentation, describe_cut": lambda place: [
            tell(place.given) for tell in (vad_when_packed, describe_augmentation, describe_cut)
        ],
        "utils.files.read_entries": lambda place: [
            read_entries(place.given / name) for name in ("results.json", "history.jsonl")
        ],
    },
    _json_seeds,
    JSON_WORDS,
    kept_whole=("one",),
)
