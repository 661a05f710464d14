from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc.model_config_pb2 import ModelConfig

from onegauge.service.errors import ContractError
from onegauge.service.model.contract import Contract, parse_config


@pytest.fixture
def config(gauge_repository: Path) -> ModelConfig:
    return parse_config((gauge_repository / "onegauge" / "config.pbtxt").read_text())


def test_reads_sizes_and_provenance(config):
    contract = Contract.from_config(config, "7")
    assert (contract.name, contract.version, contract.backend) == ("onegauge", "7", "onnxruntime")
    assert (contract.height, contract.width) == (32, 48)
    assert (contract.map_height, contract.map_width) == (8, 12)
    assert contract.max_batch_size == 4
    assert contract.parameters["detector"] == "brightness"
    assert contract.calibration_images == 99


def test_a_model_explains_if_it_has_all_outputs_for_that(config):
    assert not Contract.from_config(config, "1").explains
    for name in ("neighbours", "weights"):
        config.output.add(name=name)
    assert not Contract.from_config(config, "1").explains
    config.output.add(name="points")
    assert Contract.from_config(config, "1").explains


@pytest.mark.parametrize("text", [None, "", "many"])
def test_calibration_images_may_be_unknown(config, text):
    del config.parameters["calibration_images"]
    if text is not None:
        config.parameters["calibration_images"].string_value = text
    contract = Contract.from_config(config, "1")
    assert contract.calibration_images is None
    assert ("calibration_images" in contract.parameters) == (text is not None)


def test_inspected_part_is_a_bit_for_each_pixel_of_a_map(config):
    part = np.random.default_rng(0).random((8, 12)) < 0.5
    bits = b64encode(np.packbits(part).tobytes()).decode()
    config.parameters["inspected"].string_value = bits
    contract = Contract.from_config(config, "1")
    assert np.array_equal(contract.inspected, part)
    assert not {"inspected", "calibration_scores"} & set(contract.told)
    assert contract.told["detector"] == "brightness"


@pytest.mark.parametrize("text", ["", "oA==", "no base64"])
def test_inspected_part_of_another_size_is_not_told(config, text):
    config.parameters["inspected"].string_value = text
    assert Contract.from_config(config, "1").inspected is None


@pytest.mark.parametrize("pixels", ["", "0", "-1", "97", "many"])
def test_a_score_is_of_no_more_pixels_than_a_map_has(config, pixels):
    assert Contract.from_config(config, "1").rescoring is not None
    config.parameters["score_pixels"].string_value = pixels
    assert Contract.from_config(config, "1").rescoring is None


def no_batches(config: ModelConfig) -> None:
    config.max_batch_size = 0


def no_input(config: ModelConfig) -> None:
    del config.input[:]


def planar_input(config: ModelConfig) -> None:
    config.input[0].dims[:] = [3, 32, 48]


def float_input(config: ModelConfig) -> None:
    config.input[0].data_type = config.output[0].data_type


def open_input(config: ModelConfig) -> None:
    config.input[0].dims[:] = [-1, 48, 3]


def wide_score(config: ModelConfig) -> None:
    next(o for o in config.output if o.name == "score").dims[:] = [2]


def no_novelty(config: ModelConfig) -> None:
    kept = [o for o in config.output if o.name != "novelty"]
    del config.output[:]
    config.output.extend(kept)


def flat_map(config: ModelConfig) -> None:
    next(o for o in config.output if o.name == "anomaly_map").dims[:] = [96]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (no_batches, "max_batch_size"),
        (no_input, "image"),
        (planar_input, "image"),
        (float_input, "image"),
        (open_input, "image"),
        (wide_score, "score"),
        (no_novelty, "novelty"),
        (flat_map, "anomaly_map"),
    ],
)
def test_foreign_model_is_named_with_what_is_wrong(config, spoil, named):
    spoil(config)
    with pytest.raises(ContractError, match=rf"'onegauge' is not a gauge model: .*{named}"):
        Contract.from_config(config, "1")


def test_text_that_is_no_configuration_is_refused():
    with pytest.raises(ContractError, match="config.pbtxt"):
        parse_config("nonsense: 1")


def test_who_changes_a_configuration_changes_no_other_of_the_same_text(config):
    text = str(config)
    parse_config(text).name = "another"
    assert parse_config(text) == config
