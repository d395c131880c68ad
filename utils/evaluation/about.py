"""One-line descriptions of systems, for readers of the report who did not run the recipe."""

from pathlib import Path

from utils.embeddings.provenance import read_provenance
from utils.receipts.contents import existing_receipt

FIRST_WEIGHTS = "step-0000000"
BASELINES = {
    "mfcc_stats": "mean and deviation of the MFCC of an utterance, without any training: "
    "what every network has to beat",
    "channel_stats": "hears no speech, but the recording before and after it: at chance (50 %) "
    "unless recordings give their speakers away",
}


def about_system(experiment: Path) -> str:
    """A system in one line, from the provenance of its embeddings; empty if they have none."""
    for path in sorted(experiment.glob("embeddings/*/provenance.json")):
        facts = read_provenance(path.parent) or {}
        if facts.get("model") in BASELINES:
            return BASELINES[facts["model"]]
        if "network" in facts:
            return _about_network(facts["network"], path.parent)
    return ""


def _about_network(network: str, embeddings: Path) -> str:
    """A network in one line: with its first weights, trained, or at a checkpoint."""
    checkpoint = None
    receipts = sorted((embeddings / "receipts").glob("extract.*.json"))
    if receipts:
        checkpoint = existing_receipt(receipts[0])["options"].get("checkpoint")
    if checkpoint == FIRST_WEIGHTS:
        return f"the network {network} with its first weights: what the training has to beat"
    if checkpoint in (None, "average"):
        return f"the network {network}, trained"
    return f"the network {network} at the checkpoint {checkpoint}"
