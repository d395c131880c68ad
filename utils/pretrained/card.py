"""The card of a model: README.md of its folder, made from facts and never written by hand."""

from collections.abc import Mapping, Sequence

SPOOFING = (
    "Replayed and synthetic speech is not detected: a recording of a person, or an imitation by "
    "a machine, may be accepted as that person."
)
OTHER_SPEECH = (
    "Error rates hold for speech like that of the test. Other languages, microphones, noise, "
    "ages and lengths give others: measure on recordings of your own."
)
PERSONAL = "Embeddings identify persons: they are personal data."
MAY_HAVE_HEARD = {
    "voxceleb": "Its speakers are not known by name: those of VoxCeleb may be among them.",
    "public": "Its speakers are not known by name: those of any public corpus may be among them.",
}
NOT_MEASURED = "None is recorded: this network was not tested before it was packaged."
NOT_STATED = "not stated"


def make_card(
    title: str,
    provenance: Mapping,
    *,
    facts: Mapping[str, str] | None = None,
    figures: str = "",
    calibration_domain: str = "",
    limits: Sequence[str] = (),
) -> str:
    """The card of a model as Markdown.

    ``provenance`` is the content of its provenance.json.  ``facts`` are further rows of the table
    of what it is, ``figures`` Markdown of error rates with their intervals and how they were
    measured, ``calibration_domain`` the speech that its calibration was trained on, ``limits``
    sentences beside those that hold for every network.
    """
    sections = {
        "What it is": _describe(provenance, facts or {}),
        "Training data": _describe_training(provenance.get("training_data") or {}),
        "Error rates": figures.strip() or NOT_MEASURED,
        "Calibration": _describe_calibration(calibration_domain),
        "Limits": "\n".join(f"- {line}" for line in (SPOOFING, OTHER_SPEECH, PERSONAL, *limits)),
        "Licence": _describe_licences(provenance.get("licence") or {}),
    }
    parts = [f"# {title}"]
    for heading, text in sections.items():
        parts.append(f"## {heading}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _describe(provenance: Mapping, facts: Mapping[str, str]) -> str:
    """A table of what the network is."""
    rows = {
        "network": provenance.get("network", NOT_STATED),
        "front end": provenance.get("front_end", NOT_STATED),
        "sample rate": f"{provenance['sample_rate_hz']:,} Hz",
        **facts,
        "SHA-256 of the weights": provenance.get("model", NOT_STATED),
    }
    lines = ["| | |", "|---|---|"]
    for name, value in rows.items():
        lines.append(f"| {name} | {_cell(str(value))} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A text as a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _describe_training(data: Mapping) -> str:
    """What the network was trained on, and who may have been heard."""
    sentences = [data.get("description") or "Not known."]
    if data.get("num_speakers"):
        sentences.append(f"{data['num_speakers']:,} speakers.")
    if data.get("speakers"):
        sentences.append(
            "Digests of the speakers' names are in provenance.json: a test that has one of them "
            "is refused."
        )
    sentences += [MAY_HAVE_HEARD[name] for name in data.get("may_have_heard") or ()]
    text = " ".join(sentences)
    for label, digest in (data.get("lists") or {}).items():
        text += f"\n- {label}: SHA-256 {digest}"
    return text.replace("\n", "\n\n", 1)


def _describe_calibration(domain: str) -> str:
    """What scores mean."""
    if not domain:
        return (
            "There is none: a score is no probability, and says only which of two trials is more "
            "likely one of the same speaker."
        )
    return (
        f"Scores become log-likelihood ratios: {domain}. For other speech the ratios are off, "
        "and have to be calibrated again."
    )


def _describe_licences(licence: Mapping) -> str:
    """Licences of weights and training data."""
    weights, data = licence.get("weights") or NOT_STATED, licence.get("data") or NOT_STATED
    return f"Weights: {weights}.\nTraining data: {data}."
