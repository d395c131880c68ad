"""Kaldi's command lines for scoring with a back end, as in egs/voxceleb/v2 and egs/sre16/v2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TrialFiles:
    """Files that a list of trials is scored from, and the file of the scores.

    ``enrol`` and ``test`` are rspecifiers of the sides, ``num_utts`` that of the numbers of
    utterances of the enrolment sides, if they count, and ``trials`` a file ``<enrol> <test> ...``.
    """

    enrol: str
    test: str
    num_utts: str | None
    trials: str
    scores: str


def links_rspecifier(
    source: str, stages: Sequence[str], folder: str, scaleups: Sequence[bool]
) -> str:
    """An rspecifier of the vectors of ``source`` after the links of a back end.

    ``stages`` are ``mean.vec``, names of matrices, and an empty name for each length normalisation
    (as of `steps.backends.chain.Chain`), all in ``folder``; ``scaleups`` are flags of the length
    normalisations, in their order.
    """
    programs: list[str] = []
    lengths = iter(scaleups)
    for name in stages:
        if name == "mean.vec":
            programs.append(f"ivector-subtract-global-mean {folder}/mean.vec")
        elif name:
            programs.append(f"transform-vec {folder}/{name}")
        else:
            program = "ivector-normalize-length"
            if not next(lengths):
                program += " --scaleup=false"
            programs.append(program)
    if not programs:
        return source
    first, *others = programs
    commands = [f"{first} {source} ark:-"]
    commands += [f"{program} ark:- ark:-" for program in others]
    return f"ark:{' | '.join(commands)} |"


def scoring_command(
    options: Mapping, stages: Sequence[str], backend: str, files: TrialFiles
) -> str:
    """The command that scores a list of trials with a ``plda`` or ``cosine`` back end.

    ``options`` are those of the back end with its defaults, ``backend`` is the folder of mean.vec,
    transform.mat and plda.
    """
    links = options.get("links") or ()
    lengths = [bool(link.get("scaleup", True)) for link in links if link["name"] == "length_norm"]
    is_plda = options["name"] == "plda"
    if not is_plda:
        stages, lengths = [*stages, ""], [*lengths, False]
    enrol = links_rspecifier(files.enrol, stages, backend, lengths)
    test = links_rspecifier(files.test, stages, backend, lengths)
    sides = f"\\\n  '{enrol}' \\\n  '{test}' \\\n "
    pairs = f"\"awk '{{print \\$1, \\$2}}' {files.trials} |\""
    if not is_plda:
        return f"ivector-compute-dot-products {pairs} {sides} {files.scores}"
    flags = ["--normalize-length=false"]
    if options["normalize_length"]:
        flags = ["--normalize-length=true"]
    if options["simple_length_normalization"]:
        flags.append("--simple-length-normalization=true")
    if files.num_utts and options["multi_session"] == "by_the_book":
        flags.append(f"--num-utts={files.num_utts}")
    return f"ivector-plda-scoring {' '.join(flags)} {backend}/plda {sides} {pairs} {files.scores}"
