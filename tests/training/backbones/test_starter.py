import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open

from onegauge.training.backbones.distill import (
    MARGIN,
    Recipe,
    distance,
    distil,
    explained_variance,
    measure_scale,
    render,
)
from onegauge.training.backbones.starter import WEIGHTS, Starter, load_starter
from onegauge.training.backbones.textures import procedural_image
from onegauge.training.progress import Progress


class RandomTeacher(torch.nn.Module):
    """Three stages of one random convolution each, with the starter's channels and strides."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = torch.nn.ModuleList(
            torch.nn.Conv2d(3, channels, 2 * stride + 1, stride, padding=stride)
            for channels, stride in zip(Starter.channels, Starter.strides, strict=True)
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.relu(stage(x)) for stage in self.stages]


def images(count: int, size: int) -> np.ndarray:
    return np.stack([procedural_image(np.random.default_rng(i), size) for i in range(count)])


def test_starter_stays_small():
    assert sum(p.numel() for p in Starter().parameters()) <= 1_500_000
    assert WEIGHTS.stat().st_size <= 4_000_000


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_maps_have_the_declared_channels_and_strides(height, width):
    maps = Starter()(torch.zeros(2, 3, height, width))
    expected = [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(Starter.channels, Starter.strides, strict=True)
    ]
    assert [tuple(m.shape) for m in maps] == expected


def test_loaded_weights_are_those_of_the_file():
    network = load_starter()
    with safe_open(WEIGHTS, "pt") as file:
        stored = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    assert not network.training
    assert stored.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name])


def test_features_change_where_the_image_changes():
    clean = torch.zeros(1, 3, 256, 256)
    spotted = clean.clone()
    spotted[:, :, 120:136, 120:136] = 2.0
    with torch.inference_mode():
        pairs = zip(load_starter()(clean), load_starter()(spotted), strict=True)
        for before, after in pairs:
            change = (before - after).norm(dim=1)[0]  # (h, w)
            middle = change[change.shape[0] // 2, change.shape[1] // 2]
            assert middle > 1
            assert middle > 20 * change[0, 0]


def test_exported_graph_equals_torch(tmp_path):
    network, path = load_starter(), tmp_path / "starter.onnx"
    x = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 4 - 2
    batch = torch.export.Dim("batch", min=1, max=16)
    torch.onnx.export(
        network, (x,), path, input_names=["x"], dynamic_shapes=({0: batch},), verbose=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for inputs in (x, x[:1]):
        with torch.inference_mode():
            expected = network(inputs)
        for got, want in zip(session.run(None, {"x": inputs.numpy()}), expected, strict=True):
            np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


def test_rendered_images_follow_from_seed_and_number(tmp_path):
    recipe = Recipe(images=3, held_out=1, size=16, seed=5)
    pool = render(recipe, tmp_path, Progress())
    side = 16 + MARGIN
    expected = [procedural_image(np.random.default_rng((5, i)), side) for i in range(4)]
    assert np.array_equal(pool, np.stack(expected))


def test_distillation_explains_a_random_teacher():
    torch.manual_seed(0)
    teacher = RandomTeacher()
    recipe = Recipe(images=24, held_out=8, steps=20, batch_size=8, size=32)
    student = distil(teacher, images(32, 64), recipe, Progress())
    unseen = torch.from_numpy(images(48, 32)[32:]).permute(0, 3, 1, 2)  # (16, 3, 32, 32)
    fit = explained_variance(student, teacher, iter([(unseen / 255 - 0.45) / 0.23]))
    assert min(fit) > 0.1


def test_distillation_repeats_from_its_seed():
    torch.manual_seed(0)
    teacher = RandomTeacher()
    recipe = Recipe(images=8, held_out=4, steps=3, batch_size=4, size=32)
    first, second = (distil(teacher, images(12, 64), recipe, Progress()) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_distance_is_zero_for_the_teacher_itself_and_blind_to_its_units():
    maps = [torch.rand(2, 5, 4, 4), torch.rand(2, 7, 2, 2)]
    scale = measure_scale(lambda _: maps, iter([torch.zeros(1)]))
    assert distance(maps, maps, scale) == pytest.approx(0, abs=1e-6)
    other = [torch.rand_like(m) for m in maps]
    tenfold = measure_scale(lambda _: [10 * m for m in maps], iter([torch.zeros(1)]))
    scaled = distance([10 * m for m in other], [10 * m for m in maps], tenfold)
    assert distance(other, maps, scale) == pytest.approx(float(scaled), rel=1e-4)
