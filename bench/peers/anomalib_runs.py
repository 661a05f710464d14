"""anomalib's PatchCore or Reverse Distillation, trained, exported and asked by its own inferencers.

    python anomalib_runs.py train DETECTOR IMAGES WEIGHTS OUT BANK EPOCHS
    python anomalib_runs.py infer OUT RUNTIME FILES

IMAGES has normal images in its folder `normal`, a few of them in `few`; FILES is a JSON list of
images. Prints one JSON object.
"""

import json
import logging
import os
import sys
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path

os.environ["TRUST_REMOTE_CODE"] = "1"
warnings.simplefilter("ignore")
logging.disable(logging.WARNING)

SIZE = (256, 256)
PATCHES = 32 * 32


def train(detector: str, images: str, weights: str, out: str, bank: str, epochs: str) -> dict:
    """Seconds of training, as of anomalib's engine, and images a second of an epoch alone."""
    from anomalib.data import Folder
    from anomalib.deploy import ExportType
    from anomalib.engine import Engine
    from anomalib.models import Patchcore, ReverseDistillation
    from anomalib.post_processing import PostProcessor
    from lightning.pytorch.callbacks import Callback
    from safetensors.torch import load_file

    class Clock(Callback):
        def on_train_epoch_start(self, *_: object) -> None:
            self.start = time.perf_counter()

        def on_train_batch_end(self, *_: object) -> None:  # before PatchCore chooses its coreset
            self.epoch_s = time.perf_counter() - self.start

    count = len(list(Path(images, "normal").iterdir()))
    data = Folder(
        name="line",
        root=images,
        normal_dir="normal",
        normal_test_dir="few",  # its engine validates, which is to take no time
        num_workers=0,
        train_batch_size=16,
        val_split_mode="same_as_test",
    )
    # scores as they are: normalised ones are cut off at 0 and 1
    scores = PostProcessor(enable_normalization=False)
    quiet = {"evaluator": False, "visualizer": False, "post_processor": scores}
    if detector == "patchcore":
        model = Patchcore(
            backbone="resnet18",
            pre_trained=False,
            pre_processor=Patchcore.configure_pre_processor(SIZE),
            coreset_sampling_ratio=int(bank) / (count * PATCHES),
            **quiet,
        )
        network = model.model.feature_extractor
    else:
        model = ReverseDistillation(
            backbone="resnet18",
            pre_trained=False,
            pre_processor=ReverseDistillation.configure_pre_processor(SIZE),
            **quiet,
        )
        network = model.model.encoder
    missing = network.feature_extractor.load_state_dict(load_file(weights), strict=False)
    assert not missing.unexpected_keys
    assert all("num_batches" in key for key in missing.missing_keys), missing.missing_keys
    clock = Clock()
    engine = Engine(
        callbacks=[clock],
        accelerator="cpu",
        devices=1,
        max_epochs=int(epochs),
        logger=False,
        default_root_dir=out,
        enable_progress_bar=False,
    )
    start = time.perf_counter()
    engine.fit(model, datamodule=data)
    seconds = time.perf_counter() - start
    engine.export(model, ExportType.TORCH, out)
    fixed = {"dynamic_shapes": None}  # its default bakes the two images of its example in
    engine.export(model, ExportType.OPENVINO, out, input_size=SIZE, onnx_kwargs=fixed)
    return {"seconds": seconds, "epoch_images_per_s": count / clock.epoch_s}


def infer(out: str, runtime: str, files: str) -> dict:
    """Scores of all files and seconds of each, its reading included."""
    from anomalib.deploy import OpenVINOInferencer, TorchInferencer
    from PIL import Image

    if runtime == "torch":
        inferencer = TorchInferencer(next(Path(out).rglob("model.pt")), device="cpu")
    else:
        inferencer = OpenVINOInferencer(next(Path(out).rglob("model.xml")), device="CPU")
    scores, seconds = [], []
    for file in json.loads(Path(files).read_text()):
        start = time.perf_counter()
        if runtime == "torch":
            found = inferencer.predict(file)
        else:  # whose graph takes this size alone
            found = inferencer.predict(Image.open(file).convert("RGB").resize(SIZE))
        seconds.append(time.perf_counter() - start)
        scores.append(float(found.pred_score.reshape(-1)[0]))
    return {"scores": scores, "seconds": seconds}


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        answer = {"train": train, "infer": infer}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write(json.dumps(answer) + "\n")
