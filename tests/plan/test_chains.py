"""The choice of layers that run as streams: the lowest peak there is, by live bytes that add up."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings
from support.chains import chains

from tinyml_sdk.graph import parse_graph
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan.chains import Chain, Chains
from tinyml_sdk.plan.order import LiveBytes
from tinyml_sdk.plan.streaming import LEAST_BYTES, LEAST_GAIN, _Search


def choices(found: Chains, start: int = 0) -> Iterator[tuple[Chain, ...]]:
    """All ways to make streams of the layers from a position on."""
    yield ()
    for first in range(start, len(found.layers)):
        for end in range(first + 2, len(found.layers) + 1):
            chain = Chain(first, end)
            if chain in found.ending_at(end, end) and found.build(chain) is not None:
                for rest in choices(found, end):
                    yield chain, *rest


@given(chains(most=4))
@settings(max_examples=30)
def test_no_other_chains_have_a_lower_peak(model):
    graph = parse_graph(model.model(), "chain.tflite")
    found = Chains(graph, lower_graph(graph), None, "speed")
    peaks = {}
    for choice in choices(found):
        for chain in choice:
            assert Chains(graph, found.layers, None, "speed").least_peak(chain) <= found.peak(chain)
        peaks[choice] = found.peak_of_all(choice)
        assert peaks[choice] == max(LiveBytes(graph, found.apply(choice)).peaks)
    lowest = _Search(found, "speed").lowest(len(found.layers))
    if lowest:
        assert peaks[lowest] == min(peaks.values())
    else:
        assert min(peaks.values()) > min((1 - LEAST_GAIN) * peaks[()], peaks[()] - LEAST_BYTES) - 1
