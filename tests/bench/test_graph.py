"""The graph up to the end of its backbone, which is timed beside the whole."""

import numpy as np

from bench.graph import up_to_backbone
from bench.support.servers import Served
from bench.support.session import session


def test_the_backbone_alone_gives_its_stages(tmp_path):
    model = up_to_backbone(Served().file, tmp_path / "backbone.onnx")
    stages = session(model).run(None, {"image": np.zeros((1, 256, 256, 3), np.uint8)})
    assert [stage.ndim for stage in stages] == [4, 4, 4]
    whole = sum(file.stat().st_size for file in Served().file.parent.glob("model.onnx*"))
    assert model.stat().st_size < whole / 2
