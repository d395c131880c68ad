"""Started by torchrun in a test: trains as steps.train does, and notes each rank's data."""

import hashlib
import json
import sys
from pathlib import Path

from steps import train
from utils.cli import run
from utils.training.checkpoints import weights_digest
from utils.training.sampling import CropDataset
from utils.training.trainer import Trainer

NOTES = Path(sys.argv.pop(1))
crops = {}


def noting_crop(plain):
    def get(self, draw):
        crop, label, seed = plain(self, draw)
        crops[draw] = [hashlib.sha256(crop.tobytes()).hexdigest(), label, seed]
        return crop, label, seed

    return get


def noting_end(plain):
    def run_and_note(self):
        counts = plain(self)
        (NOTES / f"rank{self.rank}.json").write_text(
            json.dumps(
                {"crops": crops, "weights": weights_digest(dict(self.objective.named_parameters()))}
            )
        )
        return counts

    return run_and_note


CropDataset.__getitem__ = noting_crop(CropDataset.__getitem__)
Trainer.run = noting_end(Trainer.run)

if __name__ == "__main__":
    run(train.train)
