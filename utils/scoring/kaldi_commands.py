"""Kaldi's own command lines for what a trained back end does, as egs/voxceleb/v2 and egs/sre16/v2
have them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TrialFiles:
    """What a list of trials is scored from, and where the scores go.

    Attributes
    ----------
    enrol, test : str
        Rspecifiers of the sides.
    num_utts : str or None
        Rspecifier of the numbers of utterances behind the enrolment sides, where that counts.
    trials : str
        File ``<enrol> <test> ...``.
    scores : str
        Output.
    """

    enrol: str
    test: str
    num_utts: str | None
    trials: str
    scores: str


def chain_of(source: str, stages: Sequence[str], folder: str, scaleups: Sequence[bool]) -> str:
    """An rspecifier of vectors behind the links of a back end.

    Parameters
    ----------
    source : str
        Rspecifier of the embeddings.
    stages : sequence of str
        ``mean.vec``, names of matrices, and an empty one for each length normalisation, as of `steps.backends.chain.Chain`.
    folder : str
        Where these files are.
    scaleups : sequence of bool
        Of the length normalisations, in their order.
    """
    programs: list[str] = []
    lengths = iter(scaleups)
    for name in stages:
        if name == "mean.vec":
            programs.append(f"ivector-subtract-global-mean {folder}/mean.vec")
        elif name:
            programs.append(f"transform-vec {folder}/{name}")
        else:
            flag = "" if next(lengths) else " --scaleup=false"
            programs.append(f"ivector-normalize-length{flag}")
    if not programs:
        return source
    first, *others = programs
    piped = [f"{first} {source} ark:-", *(f"{program} ark:- ark:-" for program in others)]
    return f"ark:{' | '.join(piped)} |"


def scoring_command(
    options: Mapping, stages: Sequence[str], backend: str, files: TrialFiles
) -> str:
    """The command that scores a list of trials.

    Parameters
    ----------
    options : mapping
        Of the back end, with its defaults: name ``plda`` or ``cosine``.
    stages : sequence of str
        As of `chain_of`.
    backend : str
        Folder of mean.vec, transform.mat and plda.
    files : TrialFiles
        The trials.
    """
    lengths = [
        bool(link.get("scaleup", True))
        for link in options.get("links") or ()
        if link["name"] == "length_norm"
    ]
    is_plda = options["name"] == "plda"
    if not is_plda:
        stages, lengths = [*stages, ""], [*lengths, False]
    enrol = chain_of(files.enrol, stages, backend, lengths)
    test = chain_of(files.test, stages, backend, lengths)
    sides = f"\\\n  '{enrol}' \\\n  '{test}' \\\n "
    pairs = f"\"awk '{{print \\$1, \\$2}}' {files.trials} |\""
    if not is_plda:
        return f"ivector-compute-dot-products {pairs} {sides} {files.scores}"
    flags = [f"--normalize-length={str(bool(options['normalize_length'])).lower()}"]
    if options["simple_length_normalization"]:
        flags.append("--simple-length-normalization=true")
    if files.num_utts and options["multi_session"] == "by_the_book":
        flags.append(f"--num-utts={files.num_utts}")
    return f"ivector-plda-scoring {' '.join(flags)} {backend}/plda {sides} {pairs} {files.scores}"
