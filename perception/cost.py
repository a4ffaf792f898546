"""What a network costs: parameters, and multiply-accumulates by the rule of papers and by an honest one.

Nothing is calculated: the network is built and run on torch's device ``meta``, which knows shapes alone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from perception.mamba import Mamba

_Formula = Callable[..., int]

#: torch's counter counts two operations for a multiply-accumulate.
_OPERATIONS_PER_MAC = 2


@dataclass(frozen=True)
class PartCost:
    """One part of a network.

    Attributes:
        name: The part.
        parameters: Of the part.
        trainable: Those of them that are trained.
        macs: Multiply-accumulates by the honest rule.
    """

    name: str
    parameters: int
    trainable: int
    macs: int


@dataclass(frozen=True)
class NetworkCost:
    """A whole network.

    Attributes:
        parameters: In all.
        trainable: Those of them that are trained.
        image_size: Height and width for which operations were counted, pixels.
        macs_by_papers_rule: As fvcore counts and papers print: convolutions and linear layers, norms at five
            per value, bilinear resizing at four, pooling at one. Neither the matrix products of attention nor
            what a fused Mamba kernel hides, which is all but its first projection.
        macs: Every product of convolutions, linear layers and attention, and 4.5 for every cell of a
            selective scan (Mamba's own count of 9 operations). No norms, no resizing.
        attention_macs: Those of attention among them.
        scan_macs: Those of selective scans among them.
        parts: The same by part.
    """

    parameters: int
    trainable: int
    image_size: tuple[int, int]
    macs_by_papers_rule: int
    macs: int
    attention_macs: int
    scan_macs: int
    parts: tuple[PartCost, ...]


def network_cost(
    network: nn.Module, image_size: tuple[int, int], part_of: Callable[[str], str]
) -> NetworkCost:
    """Count the parameters of a network and its operations on one image, in eval mode.

    Args:
        network: On the device ``meta``; takes images float [1, 3, H, W].
        image_size: Height and width.
        part_of: From the name of a parameter or a module to the part it belongs to.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    with torch.no_grad(), counter:
        network.eval()(torch.empty(1, 3, *image_size, device="meta"))
    counts = counter.get_flop_counts()
    everything = counts["Global"]
    attention = _total(everything, _ATTENTION)
    scan = _total(everything, _SCAN)
    unseen = sum(_hidden_in_a_kernel(counts, name) for name in _modules(network, Mamba))
    exact = sum(everything.values()) - _total(everything, _BESIDE_PRODUCTS)
    return NetworkCost(
        *_parameters(network.parameters()),
        image_size=image_size,
        macs_by_papers_rule=(sum(everything.values()) - attention - unseen) // _OPERATIONS_PER_MAC,
        macs=exact // _OPERATIONS_PER_MAC,
        attention_macs=attention // _OPERATIONS_PER_MAC,
        scan_macs=scan // _OPERATIONS_PER_MAC,
        parts=_parts(network, counts, part_of),
    )


def _parts(
    network: nn.Module, counts: Mapping[str, Mapping[Any, int]], part_of: Callable[[str], str]
) -> tuple[PartCost, ...]:
    parameters: dict[str, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        parameters.setdefault(part_of(name), []).append(parameter)
    operations = dict.fromkeys(parameters, 0)
    for name, exact in _own_operations(network, counts).items():
        operations[part_of(name)] = operations.get(part_of(name), 0) + exact
    return tuple(
        PartCost(part, *_parameters(parameters.get(part, ())), macs=exact // _OPERATIONS_PER_MAC)
        for part, exact in operations.items()
    )


def _own_operations(network: nn.Module, counts: Mapping[str, Mapping[Any, int]]) -> dict[str, int]:
    """Operations of every module less those of the modules in it."""
    totals = {}
    for name, _ in network.named_modules():
        of_module = counts.get(_key(network, name), {})
        totals[name] = sum(of_module.values()) - _total(of_module, _BESIDE_PRODUCTS)
    own = dict(totals)
    for name, total in totals.items():
        if name:
            parent = name.rpartition(".")[0]
            # A list of modules is none that runs: its members belong to what holds it.
            while parent and not counts.get(_key(network, parent)):
                parent = parent.rpartition(".")[0]
            own[parent] -= total
    return {name: count for name, count in own.items() if count}


def _hidden_in_a_kernel(counts: Mapping[str, Mapping[Any, int]], key: str) -> int:
    return sum(counts[key].values()) - sum(counts[f"{key}.in_proj"].values())


def _modules(network: nn.Module, kind: type[nn.Module]) -> list[str]:
    return [_key(network, name) for name, module in network.named_modules() if isinstance(module, kind)]


def _key(network: nn.Module, name: str) -> str:
    """What torch's counter calls a module."""
    return f"{type(network).__name__}.{name}" if name else type(network).__name__


def _total(counts: Mapping[Any, int], operators: Iterable[Any]) -> int:
    return sum(counts.get(operator, 0) for operator in operators)


def _parameters(parameters: Iterable[nn.Parameter]) -> tuple[int, int]:
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in parameters]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


def _per_input_value(count: int) -> _Formula:
    return lambda shape, *_, **__: count * prod(shape) * _OPERATIONS_PER_MAC


def _per_output_value(count: int) -> _Formula:
    return lambda *_, out_shape, **__: count * prod(out_shape) * _OPERATIONS_PER_MAC


def _per_value_of_first_output(count: int) -> _Formula:
    return lambda *_, out_shape, **__: count * prod(out_shape[0]) * _OPERATIONS_PER_MAC


def _scan_operations(x: Iterable[int], dt: Any, rates: tuple[int, int], *_: Any, **__: Any) -> int:
    return 9 * prod(x) * rates[1]


_ATEN = torch.ops.aten
_SCAN = (torch.ops.slam_harness.chunked_scan,)
#: On the device meta attention is taken apart into products of batches of matrices; there are no others.
_ATTENTION = (_ATEN.bmm,)
_BESIDE_PRODUCTS = (
    _ATEN.native_layer_norm,
    _ATEN.native_group_norm,
    _ATEN.upsample_bilinear2d,
    _ATEN.mean,
)
_FORMULAS: dict[Any, _Formula] = {
    _ATEN.native_layer_norm: _per_value_of_first_output(5),
    _ATEN.native_group_norm: _per_value_of_first_output(5),
    _ATEN.upsample_bilinear2d: _per_output_value(4),
    _ATEN.mean: _per_input_value(1),
    _SCAN[0]: _scan_operations,
}
