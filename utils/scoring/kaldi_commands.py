"""Kaldi's own command lines for what a trained back end does, as egs/voxceleb/v2 and egs/sre16/v2 have them."""

from collections.abc import Mapping, Sequence


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
    programs, lengths = [], iter(scaleups)
    for name in stages:
        if name == "mean.vec":
            programs.append(f"ivector-subtract-global-mean {folder}/mean.vec")
        elif name:
            programs.append(f"transform-vec {folder}/{name}")
        else:
            programs.append(
                "ivector-normalize-length" + ("" if next(lengths) else " --scaleup=false")
            )
    if not programs:
        return source
    first, *others = programs
    return (
        "ark:"
        + " | ".join([f"{first} {source} ark:-", *(f"{program} ark:- ark:-" for program in others)])
        + " |"
    )


def scoring_command(
    options: Mapping,
    stages: Sequence[str],
    backend: str,
    enrol: str,
    num_utts: str | None,
    test: str,
    trials: str,
    scores: str,
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
    enrol : str
        Rspecifier of the enrolment sides.
    num_utts : str or None
        Rspecifier of the numbers of utterances behind them, where that counts.
    test : str
        Rspecifier of the test sides.
    trials : str
        File ``<enrol> <test> ...``.
    scores : str
        Output.
    """
    is_plda = options["name"] == "plda"
    lengths = [
        bool(link.get("scaleup", True))
        for link in options.get("links") or ()
        if link["name"] == "length_norm"
    ]
    stages, lengths = (stages, lengths) if is_plda else ([*stages, ""], [*lengths, False])
    sides = [chain_of(source, stages, backend, lengths) for source in (enrol, test)]
    pairs = f"awk '{{print \\$1, \\$2}}' {trials} |"
    if not is_plda:
        return f"""ivector-compute-dot-products "{pairs}" \\\n  '{sides[0]}' \\\n  '{sides[1]}' \\\n  {scores}"""
    flags = [f"--normalize-length={str(bool(options['normalize_length'])).lower()}"]
    flags += (
        ["--simple-length-normalization=true"] if options["simple_length_normalization"] else []
    )
    flags += (
        [f"--num-utts={num_utts}"] if num_utts and options["multi_session"] == "by_the_book" else []
    )
    return f"""ivector-plda-scoring {" ".join(flags)} {backend}/plda \\\n  '{sides[0]}' \\\n  '{sides[1]}' \\\n  "{pairs}" {scores}"""
