"""Export an experiment to Kaldi: embeddings, back end, trials and scores in its folder layout.

python -m steps.export_kaldi exp/x data/full/packed kaldi --sets "[train, test]" --backend plda
python -m steps.export_kaldi models/mine data/full/packed kaldi --embeddings exp/mine/embeddings
cd kaldi && export KALDI_ROOT=...   # Kaldi's folder, which has src/ and egs/
bash score.sh                      # the same scores by Kaldi's own programs
. ./path.sh                        # Kaldi's own scripts:
utils/validate_data_dir.sh --no-wav --no-feats --no-text data/test
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from utils.archive.relocate import Relocation, relocate_scp
from utils.cli import run
from utils.embeddings.enrolment import Averaging, read_averaging
from utils.errors import UserError
from utils.files import atomic_write
from utils.pretrained import is_model
from utils.receipts import MODE, Task
from utils.scoring.model_backend import scoring_input
from utils.scoring.score_files import averaging_in_scores, score_receipt

if TYPE_CHECKING:
    import numpy as np

    from utils.archive import ArchiveWriter

FORMAT = 3
LISTS = ("utt2spk", "spk2utt", "trials", "enroll.spk2utt")
IN_KALDI = ("cosine", "plda")  # back ends that Kaldi has programs for
SOUND = ("wav.scp", "feats.scp", "vad.scp")  # their entries name files that are not exported
BESIDE_SOUND = (
    "segments",
    "reco2dur",
    "utt2dur",
    "utt2num_frames",
    "frame_shift",
    "spk2gender",
    "text",
)
PATH_SH = """\
# For Kaldi's scripts, which start in this folder:  export KALDI_ROOT=...; . ./path.sh
: "${KALDI_ROOT:?is not set; export KALDI_ROOT=FOLDER, the one that has src/ and egs/ of Kaldi}"
KALDI_ROOT=$(cd "$KALDI_ROOT" && pwd) && export KALDI_ROOT
for script in wsj/s5/utils wsj/s5/steps sre08/v1/sid; do
    ln -sfn "$KALDI_ROOT/egs/$script" "$(basename "$script")"
done
if [ -f "$KALDI_ROOT/tools/config/common_path.sh" ]; then \
. "$KALDI_ROOT/tools/config/common_path.sh"; fi
export PATH=$PWD/utils:$PWD:$PATH LC_ALL=C
"""


def export_kaldi(
    experiment: Path,
    data: Path,
    output: Path,
    *,
    sets: list[str] | None = None,
    protocol: str | None = None,
    backend: str | None = None,
    train_set: str = "train",
    paths: Literal["relative", "absolute"] = "relative",
    root: Path | None = None,
    sound: bool = False,
    embeddings: Path | None = None,
) -> dict:
    """Write embeddings, back end, data directories, scores, and ``score.sh`` with Kaldi's commands.

    Folders and files: ``xvectors_<set>/``, ``data/<set>/``, ``scores_<set>``.

    Kaldi's scripts (``utils/``, ``steps/``, ``sid/``) run in the output folder once ``path.sh`` is
    sourced, which links to those of ``KALDI_ROOT``.  It is not written if ``root`` is given.

    ``xvectors_<set>``: ``xvector.{ark,scp}``, ``spk_xvector.{ark,scp}``, ``num_utts.ark``; of the
    training set also ``mean.vec``, ``transform.mat`` and ``plda``, as egs/voxceleb/v2 has them: a
    back end of the links mean, lda, length_norm and PLDA is that recipe's.  ``data/<set>``:
    ``utt2spk``, ``spk2utt``, ``trials``.  Vectors are float32; the rest is copied byte by byte.

    Parameters
    ----------
    experiment : path
        With ``embeddings/<set>``, ``backend/<backend>``, ``scores/<set>/<backend>.scores``; or a
        model folder, whose back end (or plain cosine) is exported.
    data : path
        Folder of the data directories of the sets.
    output : path
        New folder; it can be moved or copied, unless ``paths`` is absolute.
    sets : list of str or None
        Names of sets; None: all that have embeddings.
    protocol : str or None
        Test protocol, with embeddings in ``embeddings/<set>/<protocol>``; None: whole utterances.
    backend : str or None
        Name of a trained back end, ``cosine`` or ``plda`` with any links; None: only embeddings.
    train_set : str
        The set in whose folder the back end is written; need not be one of ``sets``.
    paths : str
        In scp files: ``relative`` to ``root``, or ``absolute``.
    root : path or None
        Folder where Kaldi's programs will run; None: the output folder itself.
    sound : bool
        ``data/<set>`` gets ``wav.scp``, ``feats.scp`` and ``vad.scp`` as well, with absolute paths
        to the original files, and the lists that belong to them; for scripts that read audio or
        features.
    embeddings : path or None
        Folder of the sets' embeddings; None: that of the experiment.  A model folder has none.

    Returns
    -------
    dict
        Number of ``utterances`` of each set, and sets with ``scores``.

    Raises
    ------
    UserError
        No such set or back end, one that Kaldi has no program for, or embeddings that are matrices.
    """
    source = find_source(experiment, embeddings, backend)
    folders: dict[str, Path] = {}
    lists: dict[str, dict[str, Path]] = {}
    entries: dict[str, dict[str, Path]] = {}
    scores: dict[str, Path] = {}
    for name in sets or find_sets(source.embeddings, protocol):
        folders[name] = source.embeddings / name / (protocol or "")
        lists[name] = _existing(data / name, LISTS)
        entries[name] = {}
        if sound:
            lists[name] |= _existing(data / name, BESIDE_SOUND)
            entries[name] = _existing(data / name, SOUND)
        path = experiment / "scores" / name / (protocol or "") / f"{backend}.scores"
        if path.exists():
            scores[name] = path
    options: dict[str, object] = {
        "paths": paths,
        "root": root,
        "protocol": protocol,
        "train_set": train_set,
        "backend": backend,
    }
    if sound:
        options["sound"] = True
    files = {name: lists[name] | entries[name] for name in folders}
    inputs = _inputs(folders, files, source.backend, scores)
    task = Task(output, "export_kaldi", format=FORMAT, inputs=inputs, options=options)
    if task.is_done():
        return task.counts
    export = _Export(output, train_set, _start(output, paths, root))
    counts: dict[str, int] = {}
    written = []
    for name, folder in folders.items():
        written += write_set(export, name, folder, counts)
        enrolled = lists[name].get("enroll.spk2utt")
        if enrolled:
            averaging = read_averaging(folder)
            if name in scores:
                averaging = averaging_in_scores(scores[name], folder)
            written += write_models(export, name, folder, enrolled, averaging)
        data_out = output / "data" / name
        written += copy_files({data_out / file: path for file, path in lists[name].items()})
        for file, path in entries[name].items():
            relocate_scp(path, data_out / file, Relocation("absolute"))
            written.append(data_out / file)
    if root is None:
        with atomic_write(output / "path.sh") as script:
            script.write(PATH_SH)
        written.append(output / "path.sh")
    written += copy_files({output / f"scores_{name}": path for name, path in scores.items()})
    if source.backend:
        written += write_back_end(source.backend, export, folders)
    summary = ", ".join(f"{count:,} embeddings of {name}" for name, count in counts.items())
    if source.backend:
        scored = ", ".join(scores) or "no set"
        name = source.backend.name
        summary += f"; back end {name} in xvectors_{train_set}, scores of {scored}"
    print(f"{output}: {summary}")
    return task.finish(written, {"utterances": counts, "scores": list(scores)})


@dataclass(frozen=True)
class _Export:
    """The exported folder, the set with the back end, and the prefix of its paths for Kaldi.

    ``start``: the exported folder as seen from the folder where Kaldi's programs run; empty if it
    is the same.
    """

    output: Path
    train_set: str
    start: str


def _start(output: Path, paths: str, root: Path | None) -> str:
    """The exported folder as seen from the folder where Kaldi's programs run."""
    if paths == "absolute":
        return os.path.abspath(output)
    return "" if root is None else os.path.relpath(output, root)


def _existing(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The named files that exist in a folder."""
    return {name: folder / name for name in names if (folder / name).exists()}


def _inputs(
    embeddings: Mapping[str, Path],
    lists: Mapping[str, Mapping[str, Path]],
    trained: Path | None,
    scores: Mapping[str, Path],
) -> dict[str, Path]:
    """The files that the export depends on, by name."""
    inputs = {
        f"embeddings {name}": folder / "receipts" / "collect_embeddings.json"
        for name, folder in embeddings.items()
    }
    for name, files in lists.items():
        inputs |= {f"{file} {name}": path for file, path in files.items()}
    if trained:
        inputs["backend"] = scoring_input(trained)
    for name, path in scores.items():
        receipt = score_receipt(path)
        inputs[f"scores {name}"] = receipt if receipt.exists() else path
    return inputs


@dataclass(frozen=True)
class _Source:
    """Where embeddings are, and what scores them: a trained back end, a model, or nothing."""

    embeddings: Path
    backend: Path | None


def find_source(experiment: Path, embeddings: Path | None, backend: str | None) -> _Source:
    """What is exported of an experiment or a model; UserError for options that do not fit it."""
    if is_model(experiment):
        if backend:
            raise UserError(
                f"--backend {backend}: {experiment} is a model folder, whose own back end is "
                "exported; leave the option out"
            )
        if embeddings is None:
            raise UserError(
                f"{experiment}: a model folder, which has no embeddings; give --embeddings FOLDER, "
                "with a folder of embeddings of this network for each set"
            )
        return _Source(embeddings, experiment)
    trained = None
    if backend:
        trained = experiment / "backend" / backend
    return _Source(embeddings or experiment / "embeddings", trained)


def find_sets(embeddings: Path, protocol: str | None) -> list[str]:
    """Names of the sets that have embeddings."""
    scp = os.path.join(protocol or "", "xvector.scp")
    folders = embeddings.glob("*")
    names = sorted(folder.name for folder in folders if (folder / scp).exists())
    if not names and not MODE.checking:
        raise UserError(f"{embeddings}: no set with {scp}; extract embeddings first")
    return names


def copy_files(sources: Mapping[Path, Path]) -> list[Path]:
    """Copy files: copy -> original; returns the copies."""
    for copy, original in sources.items():
        with atomic_write(copy, "wb") as file, open(original, "rb") as content:
            shutil.copyfileobj(content, file)
    return list(sources)


def write_set(export: _Export, name: str, folder: Path, counts: dict[str, int]) -> list:
    """Write the vectors of one set; sets ``counts[name]`` and returns outputs for the receipt."""
    from utils.embeddings.kaldi_folders import own_vectors

    written: list = []
    for kind in ("xvector", "spk_xvector"):
        source = folder / f"{kind}.scp"
        if source.exists():
            number, *outputs = write_vectors(export, name, kind, own_vectors(source))
            counts.setdefault(name, number)
            written += outputs
    counted = folder / "num_utts.ark"
    if counted.exists():
        written += copy_files({export.output / f"xvectors_{name}" / "num_utts.ark": counted})
    return written


def write_models(
    export: _Export, name: str, folder: Path, spk2utt: Path, averaging: Averaging
) -> list:
    """Write a vector of each model of several utterances, averaged as for our scores."""
    from utils.archive import write_text_vectors
    from utils.data_dir.lists import read_spk2utt
    from utils.embeddings.enrolment import SpeakerModels
    from utils.embeddings.folders import read_model_vectors

    models = read_spk2utt(spk2utt)
    vectors = read_model_vectors(folder, SpeakerModels(models, averaging))
    _, *written = write_vectors(export, name, "enroll", vectors)
    counts = export.output / f"xvectors_{name}" / "enroll_num_utts.ark"
    write_text_vectors(counts, {model: len(utterances) for model, utterances in models.items()})
    return [*written, counts]


def write_vectors(
    export: _Export, name: str, kind: str, vectors: "Iterable[tuple[str, np.ndarray]]"
) -> tuple[int, "ArchiveWriter", Path]:
    """Write an archive of a set, whose scp names it as Kaldi's programs will find it.

    Returns the number of vectors, and the outputs for the receipt.
    """
    from utils.embeddings.kaldi_folders import copy_vectors

    output = export.output / f"xvectors_{name}"
    scp, listed = output / f"{kind}.scp", os.path.join(export.start, f"xvectors_{name}")
    writer, _, keys = copy_vectors(vectors, scp)
    lines = scp.read_bytes().decode().replace(f" {output}/", f" {listed}/")
    with atomic_write(scp) as file:
        file.write(lines)
    del writer.outputs[str(scp)]  # changed since
    return len(keys), writer, scp


def write_back_end(source: Path, export: _Export, sets: Mapping[str, Path]) -> list[Path]:
    """Copy mean.vec, transform.mat and plda, and write ``score.sh``.

    ``sets``: name -> folder of embeddings.
    """
    from steps.backends import FAMILIES, Cosine, Plda
    from utils.data_dir.lists import read_trial_list
    from utils.scoring.model_backend import open_backend, read_declared_source

    output = export.output
    trained, declared = read_declared_source(source)
    options, folder = declared["options"], output / f"xvectors_{export.train_set}"
    if options["name"] not in IN_KALDI:
        raise UserError(
            f"{trained}: Kaldi has no program for back end '{options['name']}', "
            f"expected {' or '.join(IN_KALDI)}"
        )
    scorer = open_backend(source, list(sets.values()), FAMILIES, 0).scorer  # refuses damaged files
    assert isinstance(scorer, Cosine | Plda)  # those of IN_KALDI
    stages = [name for name, _ in scorer.chain.stages]
    written = copy_files({folder / name: trained / name for name in declared["parts"]})
    lines = [
        "#!/usr/bin/env bash",
        "# Kaldi's own programs score these trials; scores_<set> holds what was scored before.",
        "set -euo pipefail",
    ]
    if not export.start:
        lines += ['cd "$(dirname "$0")"', 'if [ -n "${KALDI_ROOT:-}" ]; then . ./path.sh; fi']
    for name in sets:
        trials = output / "data" / name / "trials"
        if trials.exists():
            enrol = set(read_trial_list(trials).enrol)
            lines += ["", trials_command(export, name, enrol, options, stages)]
    with atomic_write(output / "score.sh") as file:
        file.write("\n".join(lines) + "\n")
    return [*written, output / "score.sh"]


def trials_command(
    export: _Export, name: str, enrol: set[str], options: Mapping, stages: list[str]
) -> str:
    """Kaldi's command for the trials of a set."""
    from utils.archive import read_scp
    from utils.scoring.kaldi_commands import TrialFiles, scoring_command

    output, start = export.output, export.start
    folder, lists = os.path.join(start, f"xvectors_{name}"), os.path.join(start, "data", name)
    test = f"scp:{folder}/xvector.scp"
    enrolment, num_utts = test, None
    if (output / "data" / name / "enroll.spk2utt").exists():
        enrolment, num_utts = f"scp:{folder}/enroll.scp", f"ark:{folder}/enroll_num_utts.ark"
    elif not enrol <= read_scp(output / f"xvectors_{name}" / "xvector.scp").keys():
        enrolment, num_utts = f"scp:{folder}/spk_xvector.scp", f"ark:{folder}/num_utts.ark"
    backend = os.path.join(start, f"xvectors_{export.train_set}")
    files = TrialFiles(
        enrol=enrolment,
        test=test,
        num_utts=num_utts,
        trials=f"{lists}/trials",
        scores=os.path.join(start, f"kaldi_scores_{name}"),
    )
    return scoring_command(options, stages, backend, files)


if __name__ == "__main__":
    run(export_kaldi)
