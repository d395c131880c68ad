"""What training optimises: network and loss as one module.

`StudentObjective` adds a teacher, read by `load_teacher`; `distributed` averages the gradients
over several processes.
"""

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

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


BATCH_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class Objective(nn.Module):
    """Network and loss as one module, so that gradients of both are averaged over processes.

    The loss takes embeddings and labels; returns its mean and the number of correct decisions.
    """

    def __init__(self, network: "EmbeddingNetwork", loss: nn.Module):
        super().__init__()
        self.network, self.loss = network, loss
        self._frozen_norms: tuple[nn.Module, ...] = ()  # in a tuple they keep their names

    def freeze(self, patterns: Sequence[str]) -> int:
        """Keep parameters whose names match, and statistics of their batch norms, as they are.

        ``*`` in a pattern stands for any letters.  Returns how many numbers are frozen; ValueError
        if a pattern matches no name, or nothing is left to train.
        """
        self.refuse_unknown(patterns)
        parameters = dict(self.named_parameters())
        frozen = [name for name in parameters if _matches(name, patterns)]
        for name in frozen:
            parameters[name].requires_grad_(False)
        if not any(parameter.requires_grad for parameter in parameters.values()):
            raise ValueError("every parameter's name matches, and nothing is left to train")
        self._frozen_norms = tuple(_norms_of(self, patterns))
        return sum(parameters[name].numel() for name in frozen)

    def refuse_unknown(self, patterns: Sequence[str]) -> None:
        """ValueError if a pattern matches no name of a parameter or a statistic."""
        parameters = [name for name, _ in self.named_parameters()]
        names = [*parameters, *(name for name, _ in self.named_buffers())]
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise ValueError(
                    f"no parameter's name matches '{pattern}'; names are like {names[0]} and "
                    f"{parameters[-1]}"
                )

    def trains_network(self) -> bool:
        """Whether the network changes, and not the loss alone."""
        return any(parameter.requires_grad for parameter in self.network.parameters())

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for frozen batch norms, whose statistics stay."""
        super().train(mode)
        for norm in self._frozen_norms:
            norm.eval()
        return self

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        lengths_B: torch.Tensor,
        labels_B: torch.Tensor,
        seeds_B: torch.Tensor,
    ) -> tuple:
        """Mean loss of the batch, and number of utterances whose speaker scores highest."""
        return self.loss(self.network(waveforms_BS, lengths_B, seeds_B), labels_B)

    def scaled_gradients(self) -> list[tuple[nn.Parameter, float]]:
        """Parameters whose gradients are multiplied after clipping, with the factors.

        Network and loss name them in ``gradient_scales``; ValueError for an unknown name.
        """
        scaled = []
        for part in (self.network, self.loss):
            own = dict(part.named_parameters())
            for name, factor in getattr(part, "gradient_scales", {}).items():
                if name not in own:
                    raise ValueError(
                        f"{type(part).__name__} scales the gradient of {name}, "
                        "which is not one of its parameters"
                    )
                if own[name].requires_grad:
                    scaled.append((own[name], factor))
        return scaled


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name matches one of some patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _norms_of(objective: Objective, patterns: Sequence[str]) -> Iterator[nn.Module]:
    """The batch norms that have a parameter or a statistic whose name matches."""
    for path, module in objective.named_modules():
        if not isinstance(module, BATCH_NORMS):
            continue
        tensors = module.state_dict(prefix=f"{path}.")
        if any(_matches(name, patterns) for name in tensors):
            yield module


class StudentObjective(Objective):
    """Network and loss of a student, with a teacher (on the CPU at first) that gives targets.

    The teacher sees whole crops, the student ``student_samples`` of them.  ValueError if the
    options compare embeddings of different sizes, outputs for different numbers of speakers, or
    outputs of a loss that has none.
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
        # in a tuple it is not a submodule: neither trained nor saved
        self._teacher = (teacher.eval(),)
        if options.embedding_weight:
            own, teachers = network.embedding_dim, teacher.network.embedding_dim
            if own != teachers:
                raise ValueError(
                    f"embedding_weight: embeddings of {own} numbers, "
                    f"the teacher's have {teachers}; set it to 0, or embedding_dim"
                )
        if options.output_weight:
            own, teachers = _count_speakers(self), _count_speakers(teacher)
            if own != teachers:
                raise ValueError(
                    f"output_weight: {own} speakers, the teacher has {teachers}; "
                    "train both on the same data, or set it to 0"
                )
        elif not options.label_weight:
            loss.requires_grad_(False)  # it gets no gradient

    def forward(
        self,
        waveforms_BS: torch.Tensor,
        lengths_B: torch.Tensor,
        labels_B: torch.Tensor,
        seeds_B: torch.Tensor,
    ) -> tuple:
        """The weighted sum of the losses, and the number of correct decisions of the student.

        ``waveforms_BS`` are whole crops, (B, S) or (B, S, features); every length is S.
        """
        (teacher,), options = self._teacher, self.options
        with torch.no_grad():
            teacher_BE = teacher.network(waveforms_BS, lengths_B).float()
        part_BS = self._part(waveforms_BS, int(seeds_B[0]))
        part_lengths_B = torch.full_like(lengths_B, self.student_samples)
        embedding_BE = self.network(part_BS, part_lengths_B, seeds_B).float()
        loss, num_correct = self.loss(embedding_BE, labels_B)
        loss = options.label_weight * loss
        if options.embedding_weight:
            distance = (1 - F.cosine_similarity(embedding_BE, teacher_BE)).mean()
            loss = loss + options.embedding_weight * distance
        if options.output_weight:
            with torch.no_grad():
                target_BN = speaker_logits(teacher.loss, teacher_BE).log_softmax(dim=1)
            output_BN = speaker_logits(self.loss, embedding_BE).log_softmax(dim=1)
            divergence = F.kl_div(output_BN, target_BN, reduction="batchmean", log_target=True)
            loss = loss + options.output_weight * divergence
        return loss, num_correct

    def _part(self, waveforms_BS: torch.Tensor, seed: int) -> torch.Tensor:
        """The part of the crops that the student sees."""
        slack = waveforms_BS.shape[1] - self.student_samples
        start = slack // 2
        if self.options.part == "random":
            start = seed % (slack + 1)
        return waveforms_BS[:, start : start + self.student_samples]


def _count_speakers(objective: Objective) -> int:
    """Number of speakers that a loss has scores for."""
    embedding_1E = torch.zeros(1, objective.network.embedding_dim)
    return speaker_logits(objective.loss, embedding_1E).shape[1]


def speaker_logits(loss: nn.Module, embedding_BE: torch.Tensor) -> torch.Tensor:
    """Logits (B, N) of a classification loss, without its margin.

    Of a sum of losses, those of the first part with ``scores``.  ValueError if there is none.
    """
    for part in (loss, *getattr(loss, "parts", ())):
        if hasattr(part, "scores"):
            with torch.autocast(embedding_BE.device.type, enabled=False):
                return getattr(part, "scale", 1.0) * part.scores(embedding_BE)
    raise ValueError(
        f"output_weight: {type(loss).__name__} has no scores of speakers; "
        "set it to 0, or choose a classification loss"
    )


def load_teacher(
    folder: Path,
    checkpoint: str,
    models: Mapping[str, Callable],
    losses: Mapping[str, Callable],
) -> tuple[Objective, str]:
    """Network and loss of a finished training, and the digest of the network's weights.

    UserError if it is not finished, or its weights do not fit its configuration.
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
    """Whether a module has BatchNorm, whose statistics come from the rows of one process."""
    return any(isinstance(part, BATCH_NORMS) for part in module.modules())


def distributed(objective: Objective) -> DistributedDataParallel:
    """The objective with gradients averaged over the processes.

    Weights without a gradient are searched for, at a cost in every step, only if the network
    names some in ``without_gradient``.
    """
    network = objective.network
    has_unused = any(
        parameter.requires_grad and name in network.without_gradient
        for name, parameter in network.named_parameters()
    )
    return DistributedDataParallel(objective, find_unused_parameters=has_unused)
