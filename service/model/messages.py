"""Messages of Triton's model configuration, without Triton's client.

Their package brings gRPC, whose memory only a gateway before a Triton server has a use for. Where
that one is loaded, too, they are the same: protobuf has one class for each.
"""

from importlib.util import find_spec
from runpy import run_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonclient.grpc.model_config_pb2 import DataType as DataType
    from tritonclient.grpc.model_config_pb2 import ModelConfig as ModelConfig
    from tritonclient.grpc.model_config_pb2 import ModelInput as ModelInput
    from tritonclient.grpc.model_config_pb2 import ModelOutput as ModelOutput
else:
    (folder,) = find_spec("tritonclient").submodule_search_locations
    messages = run_path(f"{folder}/grpc/model_config_pb2.py")
    DataType, ModelConfig = messages["DataType"], messages["ModelConfig"]
    ModelInput, ModelOutput = messages["ModelInput"], messages["ModelOutput"]
