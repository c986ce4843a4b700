"""Which channels of a Keras model can be removed, and which must go together.

Every filter or unit is a channel. Those that meet in an addition, a product or a shared layer share a fate: removing
one means removing all. Fates that the same layers share make a `Group`: any of its channels may be removed, as long as
one is left. Channels that reach a model's output, come from its input, or go through a layer that cannot be followed
are locked, by name and reason. What is not known to be safe is locked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..replay import Call, calls, flattened, is_graph
from .flow import PRODUCERS, RECURRENT, CannotFollow, Channels, Flow, follow, kind_of

__all__ = ["Analysis", "Group", "Kept", "LayerChannels", "Locked", "analyze_channels"]


@dataclass(frozen=True)
class Group:
    """Channels that can be removed, whichever of them, from the same layers.

    Attributes:
        index: Its place in `Analysis.groups`.
        layers: Names of the layers that make the channels, in the model's order.
        size: How many there are. A channel is one filter of each layer, or several where a layer's filters share a
            fate among themselves (a Dense layer reshaped to an image has one for each position).
    """

    index: int
    layers: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class Locked:
    """A layer with channels that cannot be removed, and why: a sentence whose subject is the layer."""

    layer: str
    reason: str


@dataclass(frozen=True, eq=False)
class LayerChannels:
    """The channels of a layer whose shape depends on them, as numbers of `Analysis.group_of`.

    Attributes:
        inputs: int64 (input channels,), in the order of the input's last axis.
        outputs: int64 (output channels,).
    """

    inputs: Channels
    outputs: Channels


Kept: TypeAlias = "Mapping[Group, npt.ArrayLike]"
"""For each group the places, 0 to size - 1, of the channels to keep. Groups left out stay whole."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What can be removed from a model.

    Layers of inner models go by the names that `filters_replay.flattened` gives them.

    Attributes:
        groups: In the model's order.
        locked: Layers with channels that stay, in the model's order.
        layers: By name, every layer whose weights or settings depend on a number of channels.
        group_of: int64: for each channel number the index of its group, or -1 if it is locked.
        place_of: int64: for each channel number its place within its group.
    """

    groups: tuple[Group, ...]
    locked: tuple[Locked, ...]
    layers: Mapping[str, LayerChannels]
    group_of: npt.NDArray[np.int64]
    place_of: npt.NDArray[np.int64]

    def places(self, group: Group, layer: str) -> npt.NDArray[np.int64]:
        """For each filter of a layer its place in the group, or -1: int64 (filters,)."""
        channels = self.layers[layer].outputs
        places: npt.NDArray[np.int64] = np.where(self.group_of[channels] == group.index, self.place_of[channels], -1)
        return places

    def stays(self, kept: Kept) -> npt.NDArray[np.bool_]:
        """For each channel number whether it stays: bool (channel numbers,).

        Raises:
            InputError: a group is another model's; its places are empty, repeated or beyond its size.
        """
        stays = np.ones(len(self.group_of), dtype=bool)
        for group, places in kept.items():
            chosen = np.asarray(places)
            self._check(group, chosen)
            stays &= (self.group_of != group.index) | np.isin(self.place_of, chosen)
        return stays

    def _check(self, group: Group, chosen: npt.NDArray[Any]) -> None:
        where = f"layers {', '.join(group.layers)}"
        if group.index >= len(self.groups) or self.groups[group.index] != group:
            raise InputError("is no group of this model", where=where, hint="take groups from its own analysis")
        if chosen.ndim != 1 or not chosen.size:
            raise InputError(
                "no channel would be left", where=where, hint="keep at least one; a layer without filters has no output"
            )
        if not np.issubdtype(chosen.dtype, np.integer) or len(np.unique(chosen)) != len(chosen):
            raise InputError("the places to keep are not distinct integers", where=where, hint="give each place once")
        if chosen.min() < 0 or chosen.max() >= group.size:
            raise InputError(f"has {group.size} channels, 0 to {group.size - 1}", where=where, hint="keep only those")


def analyze_channels(model: Any) -> Analysis:
    """Find the channels of a model that can be removed.

    Args:
        model: Functional or Sequential Keras model. Models used as layers are looked into.

    Raises:
        InputError: the model has no graph, as it is subclassed or was never given an input shape.
    """
    flat = flattened(checked(model))
    flow = Flow()
    carried = {id(tensor): _input_channels(flow, tensor) for tensor in flat.inputs}
    strangers: dict[str, str] = {}
    order = list(calls(flat))
    for call in order:
        for tensor, channels in zip(call.outputs, _outputs(flow, call, carried, strangers), strict=True):
            carried[id(tensor)] = channels
    for name, stranger in strangers.items():  # it may have been followed in another of its calls
        for seen in (flow.taken, flow.made):
            if name in seen:
                flow.lock(seen[name], f"its channels meet layer {name!r}, which {stranger}")
    # First the reason that no change of the model would lift.
    outputs = [(carried[id(tensor)], "it makes an output of the model") for tensor in flat.outputs]
    names = list(dict.fromkeys(call.layer.name for call in order))
    producers = {call.layer.name for call in order if kind_of(call.layer) in PRODUCERS | RECURRENT}
    return _grouped(flow, [*outputs, *flow.locks], names, producers, strangers)


def checked(model: Any) -> Any:
    """The model, if it has a graph. Raises InputError if not."""
    import keras

    if not is_graph(model):
        raise InputError(
            f"is a {type(model).__name__}, whose layers cannot be followed",
            where=str(getattr(model, "name", "model")),
            hint="build the model with the functional API: keras.Model(inputs, outputs)",
        )
    if isinstance(model, keras.Sequential) and getattr(model, "_functional", None) is None:
        raise InputError("has no input shape", where=model.name, hint="start the model with keras.Input(shape)")
    return model


def _input_channels(flow: Flow, tensor: Any) -> Channels:
    width = tensor.shape[-1] if len(tensor.shape) > 1 else None
    channels = flow.new(width or 0)
    flow.lock(channels, f"its channels meet those of the input {tensor._keras_history.operation.name!r}")
    return channels


def _outputs(flow: Flow, call: Call, carried: Mapping[int, Channels], strangers: dict[str, str]) -> Sequence[Channels]:
    inputs = [carried[id(tensor)] for tensor in call.inputs]
    try:
        return [follow(flow, call, inputs)]
    except CannotFollow as stranger:
        strangers[call.layer.name] = str(stranger)
        outputs = [flow.new(tensor.shape[-1] or 0 if len(tensor.shape) > 1 else 0) for tensor in call.outputs]
        for channels in (*inputs, *outputs):
            flow.lock(channels, f"its channels meet layer {call.layer.name!r}, which {stranger}")
        return outputs


def _grouped(
    flow: Flow,
    locks: Sequence[tuple[Channels, str]],
    names: Sequence[str],
    producers: set[str],
    strangers: Mapping[str, str],
) -> Analysis:
    """Number the fates, and group those that are made by the same layers."""
    number: dict[int, int] = {}

    def numbered(channels: Channels) -> Channels:
        roots = [flow.find(channel) for channel in channels.tolist()]
        return np.array([number.setdefault(root, len(number)) for root in roots], dtype=np.int64)

    layers = {
        name: LayerChannels(numbered(flow.taken[name]), numbered(flow.made.get(name, flow.taken[name])))
        for name in names
        if name in flow.taken and name not in strangers
    }
    reasons: dict[int, str] = {}
    for channels, reason in locks:
        for channel in np.unique(numbered(channels)).tolist():
            reasons.setdefault(channel, reason)
    members = _members(layers, producers, reasons)
    group_of = np.full(len(number), -1, dtype=np.int64)
    place_of = np.zeros(len(number), dtype=np.int64)
    for index, together in enumerate(members.values()):
        group_of[together] = index
        place_of[together] = np.arange(len(together))
    groups = tuple(
        Group(index, tuple(name for name, _ in made_by), len(together))
        for index, (made_by, together) in enumerate(members.items())
    )
    locked = tuple(_locked(names, layers, producers, reasons, strangers))
    return Analysis(groups, locked, layers, group_of, place_of)


def _members(
    layers: Mapping[str, LayerChannels], producers: set[str], reasons: Mapping[int, str]
) -> dict[tuple[tuple[str, int], ...], list[int]]:
    """The channels that are not locked, by the layers that make them and how many filters of each that takes."""
    makers: dict[int, Counter[str]] = {}
    for name in filter(producers.__contains__, layers):
        for channel in layers[name].outputs.tolist():
            makers.setdefault(channel, Counter())[name] += 1
    members: dict[tuple[tuple[str, int], ...], list[int]] = {}
    for channel in sorted(makers.keys() - reasons.keys()):
        members.setdefault(tuple(makers[channel].items()), []).append(channel)
    return members


def _locked(
    names: Sequence[str],
    layers: Mapping[str, LayerChannels],
    producers: set[str],
    reasons: Mapping[int, str],
    strangers: Mapping[str, str],
) -> Iterator[Locked]:
    for name in names:
        if name in strangers:
            yield Locked(name, strangers[name])
        elif name in producers:
            reason = next((reasons[one] for one in layers[name].outputs.tolist() if one in reasons), None)
            if reason is not None:
                yield Locked(name, reason)
