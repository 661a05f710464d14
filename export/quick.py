"""What may be computed in a smaller precision at first: named so, for a runtime to cut the graph.

It is what the networks give, where a detector looks up what it remembers in the end, and what it
compares that with; distances, alignment, calibration and novelty, which decide, begin there.
"""

from __future__ import annotations

from onnx import GraphProto, NodeProto

from onegauge.export.precision import is_of, network_nodes
from onegauge.service.model.contract import QUICK

LOOK_UP = {"Gather", "GatherND"}


def name_quick_part(graph: GraphProto) -> None:
    """Name the tensors at the end of a traced graph's quick part QUICK and a number, in place."""
    networks = network_nodes(graph)
    inside = {node.name for node in networks}
    others = [node for node in graph.node if node.name not in inside]
    made = {name for node in networks for name in node.output}
    used = {name for node in others for name in node.input}
    remembered = _constants(graph)
    look_ups = [
        node
        for node in others
        if node.op_type in LOOK_UP
        and node.input[0] in remembered
        and is_of(node, "onegauge.training.detectors.")
    ]
    look_ups = _last_of(look_ups, graph)
    places, memories = {node.input[1] for node in look_ups}, {node.output[0] for node in look_ups}
    compared = {name for node in others if memories & {*node.input} for name in node.input}
    ends = sorted(made & used | places | compared - memories)
    names = {name: f"{QUICK}{number}" for number, name in enumerate(ends)}
    for node in graph.node:
        for tensors in (node.input, node.output):
            for index, name in enumerate(tensors):
                tensors[index] = names.get(name, name)
    for value in graph.value_info:
        value.name = names.get(value.name, value.name)


def _last_of(nodes: list[NodeProto], graph: GraphProto) -> list[NodeProto]:
    """Those of the nodes on which none of the others depends."""
    needed = {name for node in nodes for name in node.input}
    for node in reversed(graph.node):  # which are in the order in which they can be computed
        if needed & {*node.output}:
            needed.update(node.input)
    return [node for node in nodes if not needed & {*node.output}]


def _constants(graph: GraphProto) -> set[str]:
    """The tensors that no image changes."""
    found = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if all(name in found for name in node.input):
            found.update(node.output)
    return found
