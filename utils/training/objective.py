"""What training optimises: network and loss as one module.

`Objective` is the two, `TaughtObjective` the two with a teacher beside them, which `load_teacher`
reads; `distributed` averages the gradients over several processes.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from utils.augmentation.augmenter import Augmenter
from utils.config import build, make, read_yaml
from utils.errors import UserError
from utils.training.checkpoints import trained_weights, weights_digest
from utils.training.settings import TeacherOptions

if TYPE_CHECKING:
    from steps.models.network import EmbeddingNetwork


class Objective(nn.Module):
    """Network and loss as one module, so that gradients of both are averaged over the processes.

    Parameters
    ----------
    network, loss : torch.nn.Module
        Waveforms to embeddings; embeddings and labels to loss and number of right answers.
    """

    def __init__(self, network: "EmbeddingNetwork", loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        lengths_B: torch.Tensor,
        labels_B: torch.Tensor,
        seeds_B: torch.Tensor,
    ) -> tuple:
        """Loss (mean over the batch) and number of utterances whose speaker has the highest score."""
        return self.loss(self.network(waveforms_BS, lengths_B, seeds_B), labels_B)

    def scaled_gradients(self) -> list[tuple[nn.Parameter, float]]:
        """Parameters whose gradients network and loss want multiplied after clipping (``gradient_scales``), with the factors.

        Raises
        ------
        ValueError
            A parameter of that name does not exist.
        """
        found = []
        for part in (self.network, self.loss):
            own = dict(part.named_parameters())
            for name, factor in getattr(part, "gradient_scales", {}).items():
                if name not in own:
                    raise ValueError(
                        f"{type(part).__name__} scales the gradient of {name}, which is none of its parameters"
                    )
                if own[name].requires_grad:
                    found.append((own[name], factor))
        return found


class TaughtObjective(Objective):
    """Network and loss in training, and a teacher that is no part of its state: what it says is no more than a target.

    Parameters
    ----------
    network, loss : torch.nn.Module
        The student's.
    teacher : Objective
        Network and loss of a finished training; both on the CPU as yet.
    options : TeacherOptions
        Weights and part.
    student_samples : int
        Length of the part.

    Raises
    ------
    ValueError
        The two have other embeddings or other speakers, or a loss has no scores of speakers, and these are compared.
    """

    def __init__(
        self,
        network: "EmbeddingNetwork",
        loss: nn.Module,
        teacher: Objective,
        options: TeacherOptions,
        student_samples: int,
    ):
        super().__init__(network, loss)
        self.options, self.student_samples = options, student_samples
        # in a tuple: no submodule, so that it is neither trained nor saved
        self._teacher = (teacher.eval(),)
        if options.embedding_weight:
            own, shown = network.embedding_dim, teacher.network.embedding_dim
            if own != shown:
                raise ValueError(
                    f"embedding_weight: embeddings of {own} numbers, the teacher's have {shown}; "
                    "set it to 0, or embedding_dim"
                )
        if options.output_weight:
            own, shown = _num_speakers(self), _num_speakers(teacher)
            if own != shown:
                raise ValueError(
                    f"output_weight: {own} speakers, the teacher has {shown}; "
                    "train both on the same data, or set it to 0"
                )
        elif not options.label_weight:
            loss.requires_grad_(False)  # nothing reaches it

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        lengths_B: torch.Tensor,
        labels_B: torch.Tensor,
        seeds_B: torch.Tensor,
    ) -> tuple:
        """The weighted sum, and the number of utterances whose speaker has the student's highest score.

        Parameters
        ----------
        waveforms_BS : (B, S) float tensor, or (B, S, features)
            Whole crops.
        lengths_B : (B,) int tensor
            All S.
        labels_B, seeds_B : (B,) int tensors
            Classes; what is drawn follows from the seeds.
        """
        (teacher,), options = self._teacher, self.options
        with torch.no_grad():
            shown_BE = teacher.network(waveforms_BS, lengths_B).float()
        part_BS = self._part(waveforms_BS, int(seeds_B[0]))
        part_lengths_B = torch.full_like(lengths_B, self.student_samples)
        embedding_BE = self.network(part_BS, part_lengths_B, seeds_B).float()
        loss, num_correct = self.loss(embedding_BE, labels_B)
        loss = options.label_weight * loss
        if options.embedding_weight:
            distance = (1 - F.cosine_similarity(embedding_BE, shown_BE)).mean()
            loss = loss + options.embedding_weight * distance
        if options.output_weight:
            with torch.no_grad():
                target_BN = speaker_logits(teacher.loss, shown_BE).log_softmax(dim=1)
            said_BN = speaker_logits(self.loss, embedding_BE).log_softmax(dim=1)
            divergence = F.kl_div(said_BN, target_BN, reduction="batchmean", log_target=True)
            loss = loss + options.output_weight * divergence
        return loss, num_correct

    def _part(self, waveforms_BS: torch.Tensor, seed: int) -> torch.Tensor:
        """The part of the crops that the student hears."""
        slack = waveforms_BS.shape[1] - self.student_samples
        start = slack // 2 if self.options.part == "centre" else seed % (slack + 1)
        return waveforms_BS[:, start : start + self.student_samples]


def _num_speakers(objective: Objective) -> int:
    """Speakers that a loss has scores of."""
    embedding_1E = torch.zeros(1, objective.network.embedding_dim)
    return speaker_logits(objective.loss, embedding_1E).shape[1]


def speaker_logits(loss: nn.Module, embedding_BE: torch.Tensor) -> torch.Tensor:
    """What a classification loss takes the softmax of, without its margin, (B, N).

    Parameters
    ----------
    loss : torch.nn.Module
        One with ``scores``, or a sum whose first such part counts.
    embedding_BE : (B, E) float32 tensor
        Embeddings.

    Raises
    ------
    ValueError
        It compares embeddings only.
    """
    candidates = (loss, *getattr(loss, "parts", ()))
    head = next((part for part in candidates if hasattr(part, "scores")), None)
    if head is None:
        raise ValueError(
            f"output_weight: {type(loss).__name__} has no scores of speakers; set it to 0, or choose a classification loss"
        )
    with torch.autocast(embedding_BE.device.type, enabled=False):
        return getattr(head, "scale", 1.0) * head.scores(embedding_BE)


def load_teacher(
    folder: Path,
    checkpoint: str,
    models: Mapping[str, Callable],
    losses: Mapping[str, Callable],
) -> tuple[Objective, str]:
    """Network and loss of a finished training, and the digest of the network's weights.

    Parameters
    ----------
    folder : path
        Its experiment.
    checkpoint : str
        Without ``.pt``.
    models, losses : mapping
        The registries.

    Raises
    ------
    UserError
        It is not finished, or does not fit its configuration.
    """
    config, where = read_yaml(folder / "config.yaml"), f"{folder}/config.yaml"
    network = build(models, config["model"], f"{where}: model")
    augmenter = make(Augmenter, config["augmentation"], f"{where}: augmentation")
    loss = build(
        losses,
        config["loss"],
        f"{where}: loss",
        embedding_dim=network.embedding_dim,
        num_speakers=config["num_speakers"] * augmenter.classes_per_speaker,
    )
    weights, loss_weights = trained_weights(folder, checkpoint)
    try:
        network.load_state_dict(weights)
        loss.load_state_dict(loss_weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder}/checkpoints: does not fit {where}: {str(error).splitlines()[1].strip()}"
        ) from None
    return Objective(network, loss).requires_grad_(False), weights_digest(weights)


def normalises_batches(module: nn.Module) -> bool:
    """Whether a network or a loss has BatchNorm, whose statistics are of the rows that one process has.

    Parameters
    ----------
    module : nn.Module
        Network or loss.
    """
    norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
    return any(isinstance(part, norms) for part in module.modules())


def distributed(objective: Objective) -> DistributedDataParallel:
    """The objective with gradients averaged over the processes.

    Parameters
    ----------
    objective : Objective
        Its network names the weights that no loss reaches in ``without_gradient``; looking for them costs time in every step.
    """
    network = objective.network
    dead = any(
        parameter.requires_grad and name in network.without_gradient
        for name, parameter in network.named_parameters()
    )
    return DistributedDataParallel(objective, find_unused_parameters=dead)
