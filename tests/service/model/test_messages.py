import subprocess
import sys

from tritonclient.grpc import model_config_pb2

from onegauge.service.model.messages import DataType, ModelConfig, ModelInput, ModelOutput


def test_messages_are_those_of_the_client():
    assert ModelConfig is model_config_pb2.ModelConfig
    assert (ModelInput, ModelOutput) == (model_config_pb2.ModelInput, model_config_pb2.ModelOutput)
    assert DataType.Name(model_config_pb2.TYPE_UINT8) == "TYPE_UINT8"


def test_a_gateway_that_embeds_its_model_loads_no_grpc():
    script = (
        "import sys; import onegauge.service.server, onegauge.service.model.backends.onnx; "
        "sys.exit('grpc' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
