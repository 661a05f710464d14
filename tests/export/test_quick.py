import numpy as np
import onnx
import openvino
import pytest

from onegauge.export.precision import classes_of
from onegauge.service.errors import BackendUnavailable, ContractError
from onegauge.service.model.backends.openvino import compile_model as compile_by_openvino
from onegauge.service.model.backends.openvino import cut
from onegauge.service.model.contract import QUICK

BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def before(graph: onnx.GraphProto, ends: set[str]) -> list[onnx.NodeProto]:
    """The nodes that some tensors need."""
    needed, found = set(ends), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            found.append(node)
    return found


def test_the_quick_part_is_networks_and_the_search_for_memories(graph, gauge):
    traced = onnx.load(graph).graph
    ends = {name for node in traced.node for name in node.output if name.startswith(QUICK)}
    stages = len(gauge.backbone.channels)
    assert len(ends) == stages + 1 + 4, "stages, patches, and candidates for the nearest memory"
    modules = {classes_of(node)[1] for node in before(traced, ends) if len(classes_of(node)) > 1}
    assert {name.rpartition(".")[2] for name in modules} == {"Backbone", "PatchCore"}
    quick = {node.name for node in before(traced, ends)}
    squares = [node for node in traced.node if node.op_type == "Sqrt"]
    assert squares
    assert not any(node.name in quick for node in squares), "distances are for the second part"


def test_both_parts_of_a_graph_together_say_what_it_says_whole(graph, images):
    core, whole = openvino.Core(), openvino.Core().read_model(graph)
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = core.compile_model(whole, "CPU", exactly)([images[:3].numpy()])
    first, second = (core.compile_model(part, "CPU", exactly) for part in cut(whole))
    found = second(list(first([images[:3].numpy()]).values()))
    for output in expected:
        name = output.any_name
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-3, err_msg=name)


def test_a_graph_without_names_has_no_quick_part(gauge_model):
    with pytest.raises(ContractError, match="export it anew"):
        cut(openvino.Core().read_model(gauge_model))


@pytest.mark.skipif(not BFLOAT16, reason="the processor has no bfloat16")
def test_a_quick_look_errs_little_near_the_threshold(graph, images):
    compiled = compile_by_openvino(graph, 1, quick=True)
    for image in images.numpy():
        exact, quick = (look.alone(image[np.newaxis]) for look in (compiled.exact, compiled.quick))
        for name in ("score", "novelty"):
            error = abs(float(quick[name][0] - exact[name][0]))
            assert error < 0.1 * max(1, abs(float(exact[name][0])))


@pytest.mark.skipif(not BFLOAT16, reason="the processor has no bfloat16")
def test_notes_are_for_one_stream_alone(graph, monkeypatch):
    """Where several streams read them at once, OpenVINO ends the process now and then."""
    noted: dict[int, bool] = {}
    compile_model = openvino.Core.compile_model

    def note(core, part, device, options) -> openvino.CompiledModel:
        notes = any("enforceBF16" in key for node in part.get_ops() for key in node.get_rt_info())
        streams = options["NUM_STREAMS"]
        noted[streams] = noted.get(streams, False) or notes
        return compile_model(core, part, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", note)
    monkeypatch.setattr("onegauge.service.model.backends.openvino.cores", lambda: 3)
    compile_by_openvino(graph, 1, quick=True)
    assert noted == {1: True, 3: False}


@pytest.mark.skipif(BFLOAT16, reason="the processor has bfloat16")
def test_a_quick_look_needs_a_processor_that_has_it(graph):
    with pytest.raises(BackendUnavailable, match="ONEGAUGE_QUICK_LOOK"):
        compile_by_openvino(graph, 1, quick=True)
