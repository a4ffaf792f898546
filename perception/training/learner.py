"""What changes in a training: network, loss, moving average and optimiser; and how a step changes them."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from perception.inference.device import Placement
from perception.inference.options import Precision
from perception.m2hmx.network import M2HMX
from perception.m2hmx.weights import load_network, read_info
from perception.training.averaging import averaged_network
from perception.training.checkpoint import save_whole
from perception.training.configuration import TrainingConfig
from perception.training.failures import NotFiniteError, TrainingError
from perception.training.losses import LossReport, MultiTaskLoss
from perception.training.optimisation import learning_rate, parameter_groups
from perception.training.processes import Processes
from perception.training.seams import TrainingBatch
from perception.training.targets import Targets


@dataclass(frozen=True)
class StepReport:
    """What a step was like.

    Attributes:
        loss: Mean over its batches.
        gradient_norm: Of the network, before it was clipped; infinite in a step that float16 has to repeat
            with a smaller scale.
        learning_rate: It was taken with.
        terms: Of the loss, means over the batches that have them.
    """

    loss: float
    gradient_norm: float
    learning_rate: float
    terms: dict[str, float]


class _NetworkWithLoss(nn.Module):
    """Both in one, since both are trained and their gradients travel between processes together."""

    def __init__(self, network: M2HMX, loss: MultiTaskLoss):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, images: Tensor, targets: Targets, intrinsics: Tensor) -> LossReport:
        return self.loss(self.network(images), targets, intrinsics)


class Learner:
    """Network, loss, moving average and optimiser of a training.

    Chance in a step (dropped paths, dropout, scaled coordinates) is drawn from torch's generators, which are
    seeded anew for every batch, from seed, process and the batch's number. So no state of a generator needs
    to be kept, on any device or in any process, and an evaluation in between changes nothing.

    Attributes:
        network: In train mode, channels last.
        averaged: Its moving average, in eval mode.
    """

    def __init__(self, config: TrainingConfig, placement: Placement, processes: Processes, directory: Path):
        """Build all with the weights that training starts from; ``directory`` takes what a failure leaves.

        Raises:
            PerceptionError: The network cannot be built, or weights to start from are of another.
        """
        self._config, self._placement, self._processes = config, placement, processes
        self._directory = directory
        torch.manual_seed(config.seed)
        network = M2HMX(config.network)
        if config.start_from is not None:
            network.load_state_dict(_starting_weights(config).state_dict())
        device = placement.device
        # As in perception.m2hmx.module: convolutions are faster, only rounding differs.
        network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: M2HMX = network.train()
        self._average = averaged_network(self.network, config.ema_decay)
        self.averaged: M2HMX = self._average.module  # type: ignore[assignment]
        self._loss = MultiTaskLoss(config.network, config.losses).to(device).train()
        groups = parameter_groups([self.network, self._loss], config.optimiser.weight_decay)
        optimiser = config.optimiser
        self._optimiser = torch.optim.AdamW(groups, lr=optimiser.lr, betas=optimiser.betas, fused=True)
        self._scaler = torch.amp.GradScaler(device.type, enabled=placement.precision is Precision.FLOAT16)
        self._forward: nn.Module = _NetworkWithLoss(self.network, self._loss)
        if processes.count > 1:
            # Of a frozen or partly fused network not every parameter has a gradient.
            self._forward = DistributedDataParallel(self._forward, find_unused_parameters=True)

    def step(self, step: int, batches: Sequence[TrainingBatch]) -> StepReport:
        """Change the weights once.

        Args:
            step: Its number, the first one being 1.
            batches: As many as are accumulated.

        Raises:
            NotFiniteError: Loss or gradient is not finite; the weights are as they were.
        """
        rate = learning_rate(step, self._config)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        reports = [
            self._gradients(step, number, batch, last=number == len(batches) - 1)
            for number, batch in enumerate(batches)
        ]
        terms = _means([report.terms for report in reports])
        self._scaler.unscale_(self._optimiser)
        trained = [parameter for parameter in self.network.parameters() if parameter.grad is not None]
        norm = float(nn.utils.clip_grad_norm_(trained, self._config.clip_norm or torch.inf))
        # With float16 a gradient that is too great is the scale's fault; the step is left out and it halves.
        if not self._scaler.is_enabled() and not torch.isfinite(torch.tensor(norm)):
            self._fail("the gradient", step, batches, terms)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._average.update_parameters(self.network)
        loss = float(torch.stack([report.total.detach() for report in reports]).mean())
        return StepReport(loss, norm, rate, terms)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, but for its number."""
        return {
            "network": self.network.state_dict(),
            "average": self._average.state_dict(),
            "loss": self._loss.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state.

        Raises:
            TrainingError: It is of another network.
        """
        try:
            self.network.load_state_dict(state["network"])
            self._average.load_state_dict(state["average"])
            self._loss.load_state_dict(state["loss"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._scaler.load_state_dict(state["scaler"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the checkpoint does not fit this version of the network: {error}"
            ) from error

    def _gradients(self, step: int, number: int, batch: TrainingBatch, last: bool) -> LossReport:
        """Add the gradients of a batch to those that are there."""
        device = self._placement.device
        count = self._config.accumulation
        torch.manual_seed(self._processes.seed_of_chance(self._config.seed, step * count + number))
        images = batch.images.to(device).contiguous(memory_format=torch.channels_last)
        targets = Targets(
            **{name: None if x is None else x.to(device) for name, x in vars(batch.targets).items()}
        )
        forward = self._forward
        # Gradients travel between processes once for every step.
        alone = isinstance(forward, DistributedDataParallel) and not last
        with forward.no_sync() if alone else nullcontext():  # type: ignore[operator]
            with self._placement.autocast():
                report: LossReport = forward(images, targets, batch.intrinsics.to(device))
            if not torch.isfinite(report.total):
                self._fail("the loss", step, [batch], _means([report.terms]))
            self._scaler.scale(report.total / count).backward()
        return report

    def _fail(self, what: str, step: int, batches: Sequence[TrainingBatch], terms: dict[str, float]) -> None:
        """Keep what is needed to look at it, and stop."""
        suffix = f"-process-{self._processes.rank}" if self._processes.count > 1 else ""
        saved = self._directory / f"failed-step-{step:08d}{suffix}.pt"
        content = {
            "step": step,
            "terms": terms,
            "network": self.network.state_dict(),
            "loss": self._loss.state_dict(),
            "batches": [
                {
                    "names": list(batch.names),
                    "images": batch.images,
                    "intrinsics": batch.intrinsics,
                    **vars(batch.targets),
                }
                for batch in batches
            ],
        }
        save_whole(saved, content)
        names = [name for batch in batches for name in batch.names]
        raise NotFiniteError(what, step, terms, names, saved)


def _starting_weights(config: TrainingConfig) -> M2HMX:
    info, network_config = read_info(Path(config.start_from or ""))
    if network_config != config.network:
        raise TrainingError(f"start_from: {info.path} holds weights of another network than 'network' says")
    return load_network(info, network_config)


def _means(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: float(torch.stack([row[name].float() for row in rows if name in row]).mean()) for name in names
    }
