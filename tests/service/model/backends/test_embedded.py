"""Both embedded backends, ONNX Runtime and OpenVINO, by the same tests."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from threading import Barrier, Event
from typing import TypeVar

import numpy as np
import openvino
import pytest

from onegauge.export.publish import publish, rollback
from onegauge.service.errors import BackendTimeout, ContractError, UnpromisedRate
from onegauge.service.imaging.tiles import Tiling
from onegauge.service.model.backends import load_backend
from onegauge.service.model.backends.embedded import Compile, Compiled, EmbeddedBackend, Run
from onegauge.service.model.backends.openvino import compile_model as compile_by_openvino
from onegauge.service.model.contract import EXPLAINING, parse_config
from onegauge.service.model.model import Backend, Infer, Model
from onegauge.service.model.outputs import EXPLAINED, OUTPUTS, Outputs
from onegauge.service.model.repository import StoredVersion, Verification
from onegauge.service.settings import Settings

T = TypeVar("T")


@pytest.fixture(params=["onnx", "openvino"])
def settings(request: pytest.FixtureRequest, gauge_repository: Path) -> Settings:
    return Settings(
        backend=request.param,
        repository=gauge_repository,
        inference_threads=1,
        inference_workers=3,
    )


def running(backend: Backend, use: Callable[[Backend], Awaitable[T]]) -> T:
    """Use a backend between its start and its stop."""

    async def session() -> T:
        await backend.start()
        try:
            return await use(backend)
        finally:
            await backend.stop()

    return asyncio.run(session())


async def infer(backend: Backend, images: np.ndarray, timeout: float = 10) -> Outputs:
    """What the served version says."""
    model = await backend.load(await backend.served())
    return await ask(model, images, timeout)


async def ask(
    model: Model, images: np.ndarray, timeout: float = 10, *, explain: bool = False
) -> Outputs:
    """What a version says, asked by a job."""
    deadline = asyncio.get_running_loop().time() + timeout
    return await model.work(lambda infer: infer(images), deadline, explain=explain)


def compiling(alone: Run, beside: Run | None = None, *, batching: bool = True) -> Compile:
    """A library that makes these of any model."""
    return lambda *_: Compiled(alone, beside or alone, batching)


def levels(*greys: int) -> np.ndarray:
    """Images of uniform grey (B, 32, 48, 3)."""
    return np.array(greys, np.uint8)[:, None, None, None].repeat(32, 1).repeat(48, 2).repeat(3, 3)


def test_where_not_all_cores_may_be_used_the_library_is_told(gauge_repository, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {5})
    told = []

    def compile_model(_file: Path, threads: int) -> Compiled:
        told.append(threads)
        raise ContractError("enough")

    for wanted in (0, 7):
        with pytest.raises(ContractError, match="enough"):
            EmbeddedBackend(
                Settings(repository=gauge_repository, inference_threads=wanted), compile_model
            )
    assert told == [1, 7]


def test_runs_the_graph(settings):
    outputs = running(load_backend(settings), lambda b: infer(b, levels(0, 128, 192)))
    np.testing.assert_allclose(outputs.score, [0, 1, 1.5], atol=1e-6)
    np.testing.assert_allclose(outputs.p_value, [1.01, 0.01, 0.01], atol=1e-6)
    np.testing.assert_allclose(outputs.raw_score, [0, 2, 3], atol=1e-6)
    np.testing.assert_allclose(outputs.normal_location, 0)
    np.testing.assert_allclose(outputs.normal_scale, 2)
    np.testing.assert_allclose(outputs.novelty, 0)
    assert outputs.anomaly_map.shape == (3, 8, 12)
    np.testing.assert_allclose(outputs.anomaly_map[2], 1.5, atol=1e-6)


def test_explains_where_that_is_asked_for(settings, trained_repository):
    async def both(backend: Backend) -> tuple[Outputs, Outputs]:
        model = await backend.load(await backend.served())
        verification = StoredVersion(model.contract, folder).verification()
        image = verification.images[:1]
        return await ask(model, image), await ask(model, image, explain=True)

    folder = trained_repository / "onegauge" / "1"
    chosen = settings.model_copy(update={"repository": trained_repository})
    bare, told = running(load_backend(chosen), both)
    assert bare.insight is None
    assert told.score == pytest.approx(bare.score)
    assert told.insight.neighbours.dtype == np.int32
    assert told.insight.neighbours.shape == told.insight.weights.shape == (1, 40)
    assert told.insight.weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(told.insight.weights[0]) <= 0).all()
    assert told.insight.points.shape[:3] == told.anomaly_map.shape


@pytest.mark.parametrize("batching", [True, False])
@pytest.mark.parametrize("explain", [True, False])
def test_what_explains_is_computed_only_where_it_is_asked_for(gauge_repository, batching, explain):
    asked: list[tuple[str, ...]] = []

    def run(images: np.ndarray, names: tuple[str, ...] = OUTPUTS) -> dict[str, np.ndarray]:
        asked.append(names)
        told = {name: np.zeros((len(images), 2), np.float32) for name in EXPLAINING}
        return zeros(len(images)) | (told if names == EXPLAINED else {})

    async def once(backend: Backend) -> Outputs:
        model = await backend.load(await backend.served())
        asked.clear()
        return await ask(model, levels(9), explain=explain)

    compile_model = compiling(run, batching=batching)
    outputs = running(EmbeddedBackend(Settings(repository=gauge_repository), compile_model), once)
    assert asked == [EXPLAINED if explain else OUTPUTS]
    assert (outputs.insight is not None) == explain


def test_outputs_stay_when_the_next_batch_runs(settings):
    async def two(backend: Backend) -> tuple[Outputs, Outputs]:
        return await infer(backend, levels(128)), await infer(backend, levels(0))

    first, second = running(load_backend(settings), two)
    assert (first.score[0], second.score[0]) == (1.0, 0.0)


@pytest.fixture
def repository(gauge_repository: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(gauge_repository / "onegauge", tmp_path / "onegauge")
    return tmp_path


def test_the_version_that_the_configuration_names_is_served(settings, repository):
    for version in ("2", "10"):
        shutil.copytree(repository / "onegauge" / "1", repository / "onegauge" / version)
    changed = settings.model_copy(update={"repository": repository})

    async def served(backend: Backend) -> list[str]:
        versions = [(await backend.served()).version]
        publish(repository, "onegauge", 10)
        versions.append((await backend.served()).version)
        rollback(repository, "onegauge")
        return [*versions, (await backend.served()).version]

    assert running(load_backend(changed), served) == ["1", "10", "2"]


def test_a_model_that_answers_otherwise_than_torch_is_refused(settings, repository):
    score, zero = np.array([1.5], np.float32), np.zeros(1, np.float32)
    file = repository / "onegauge" / "1" / "verification.npz"
    changed = settings.model_copy(update={"repository": repository})
    Verification(levels(192), score, zero).save(file)
    load_backend(changed)
    for wrong in (
        Verification(levels(192), score + 0.02, zero),
        Verification(levels(192), score, zero + 1),
    ):
        wrong.save(file)
        with pytest.raises(ContractError, match="as it did when it was exported"):
            load_backend(changed)


def test_a_file_that_is_not_the_published_one_is_refused(settings, repository):
    folder = repository / "onegauge"
    digest = sha256((folder / "1" / "model.onnx").read_bytes()).hexdigest()
    config = folder / "config.pbtxt"
    parameter = 'parameters {{ key: "model_digest" value {{ string_value: "{}" }} }}\n'
    text = config.read_text()
    changed = settings.model_copy(update={"repository": repository})
    config.write_text(text + parameter.format(digest))
    load_backend(changed)
    (folder / "1" / "model.onnx.data").write_bytes(b"others")
    with pytest.raises(ContractError, match=r"onegauge/1/model.onnx is not the file"):
        load_backend(changed)
    (folder / "1" / "model.onnx.data").unlink()
    config.write_text(text + parameter.format("0" * 64))
    with pytest.raises(ContractError, match=r"onegauge/1/model.onnx is not the file"):
        load_backend(changed)


def test_missing_model_is_named(settings, tmp_path):
    with pytest.raises(ContractError, match=r"onegauge/config\.pbtxt cannot be read: No such file"):
        load_backend(settings.model_copy(update={"repository": tmp_path}))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, r"onegauge/1/model\.onnx cannot be read: No such file"),
        (lambda file: file.write_bytes(b"no graph"), "cannot load the model"),
    ],
    ids=["missing", "damaged"],
)
def test_graph_that_cannot_be_loaded_is_named_without_its_place(settings, repository, damage, told):
    damage(repository / "onegauge" / "1" / "model.onnx")
    with pytest.raises(ContractError, match=told) as raised:
        load_backend(settings.model_copy(update={"repository": repository}))
    assert str(repository) not in str(raised.value)


def test_model_that_cannot_hold_the_rate_of_the_settings_is_not_served(settings):
    load_backend(settings.model_copy(update={"max_false_alarm_rate": 0.01}))
    with pytest.raises(UnpromisedRate, match="ONEGAUGE_MAX_FALSE_ALARM_RATE"):
        load_backend(settings.model_copy(update={"max_false_alarm_rate": 0.001}))


def test_loading_runs_the_smallest_and_the_largest_batch(gauge_repository):
    ran: list[int] = []

    def note(images: np.ndarray) -> dict[str, np.ndarray]:
        ran.append(len(images))
        return zeros(len(images))

    EmbeddedBackend(Settings(repository=gauge_repository), compiling(note))
    assert ran == [1, 4]
    ran.clear()
    EmbeddedBackend(Settings(repository=gauge_repository), compiling(note, batching=False))
    assert ran == [1]


def test_no_answer_in_time_is_a_timeout(gauge_repository):
    release = Event()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if images.any():
            release.wait(20)
        return zeros(len(images))

    backend = EmbeddedBackend(Settings(repository=gauge_repository), compiling(run))
    with pytest.raises(BackendTimeout, match="before the deadline"):
        running(backend, lambda b: infer(b, levels(9), timeout=0.05))
    release.set()


def test_error_of_a_batch_whose_request_has_gone_is_logged(gauge_repository, caplog):
    begun, release = Event(), Event()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if images.any():
            begun.set()
            release.wait(20)
            raise RuntimeError("a bug")
        return zeros(len(images))

    async def give_up(backend: Backend) -> None:
        request = asyncio.create_task(infer(backend, levels(9)))
        await asyncio.to_thread(begun.wait, 20)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        release.set()
        await infer(backend, levels(0))  # by the only worker, which is done with the other

    settings = Settings(repository=gauge_repository, inference_workers=1)
    running(EmbeddedBackend(settings, compiling(run)), give_up)
    assert [str(record.exc_info[1]) for record in caplog.records] == ["a bug"]


def test_batches_run_beside_each_other(gauge_repository):
    both = Barrier(2, timeout=20)

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if images.any():
            both.wait()  # for the other one
        return zeros(len(images))

    async def two(backend: Backend) -> None:
        model = await backend.load(await backend.served())
        await asyncio.gather(*(ask(model, levels(9)) for _ in range(2)))

    settings = Settings(repository=gauge_repository, inference_workers=2)
    running(EmbeddedBackend(settings, compiling(run)), two)


@pytest.mark.parametrize(("cores", "second"), [(2, "one"), (4, "all")])
def test_a_batch_takes_all_cores_only_while_half_of_them_idle(
    gauge_repository, monkeypatch, cores, second
):
    monkeypatch.setattr("onegauge.service.model.backends.embedded.cores", lambda: cores)
    both, ran = Barrier(2, timeout=20), []

    def on(cores: str) -> Run:
        def run(images: np.ndarray) -> dict[str, np.ndarray]:
            if images.any():
                ran.append(cores)
            if images.max() > 1:
                both.wait()
            return zeros(len(images))

        return run

    async def one_then_two(backend: Backend) -> None:
        model = await backend.load(await backend.served())
        await ask(model, levels(1))
        await ask(model, levels(1))
        await asyncio.gather(*(ask(model, levels(9)) for _ in range(2)))

    settings = Settings(repository=gauge_repository, inference_workers=2)
    running(EmbeddedBackend(settings, compiling(on("all"), on("one"))), one_then_two)
    assert sorted(ran) == ["all", "all", "all", second]


def test_tiles_of_a_picture_run_beside_each_other_where_that_is_faster(gauge_repository, tmp_path):
    repository = shutil.copytree(gauge_repository, tmp_path / "repository")
    file = repository / "onegauge" / "config.pbtxt"
    config = parse_config(file.read_text())
    for name, value in Tiling(64, 16).parameters().items():
        config.parameters[name].string_value = value
    file.write_text(str(config))
    both = Barrier(2, timeout=20)

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        assert len(images) == 1
        if images.any():
            both.wait()
        return zeros(1) | {"score": images[:, 0, 0, 0].astype(np.float32)}

    settings = Settings(repository=repository, inference_workers=2)
    backend = EmbeddedBackend(settings, compiling(run, batching=False))
    outputs = running(backend, lambda b: infer(b, levels(3, 1, 4, 1)))
    assert outputs.score.tolist() == [3, 1, 4, 1]
    assert outputs.anomaly_map.shape == (4, 8, 12)


@pytest.mark.parametrize("batching", [True, False], ids=["beside a worker", "in a worker"])
def test_a_job_that_was_given_up_infers_no_more(gauge_repository, batching):
    given_up, ended = Event(), Event()
    ran: list[int] = []

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        ran.append(int(images.max()))
        return zeros(len(images))

    def job(infer: Infer) -> None:
        try:
            infer(levels(1))
            given_up.wait(20)
            infer(levels(2))
        finally:
            ended.set()

    async def give_up(backend: Backend) -> None:
        model = await backend.load(await backend.served())
        with pytest.raises(BackendTimeout):
            await model.work(job, asyncio.get_running_loop().time() + 0.5)
        given_up.set()
        await asyncio.to_thread(ended.wait, 20)

    settings = Settings(repository=gauge_repository, inference_workers=1)
    backend = EmbeddedBackend(settings, compiling(run, batching=batching))
    ran.clear()
    running(backend, give_up)
    assert 1 in ran
    assert 2 not in ran


def test_many_batches_at_once_get_their_own_answers(settings):
    async def many(backend: Backend) -> list[float]:
        model = await backend.load(await backend.served())
        greys = [40, 200] * 20
        found = await asyncio.gather(*(ask(model, levels(g), 20) for g in greys))
        return [float(outputs.score[0]) for outputs in found]

    scores = running(load_backend(settings), many)
    assert scores == scores[:2] * 20
    assert scores[0] < 1 <= scores[1]


def test_not_ready_while_a_batch_runs_longer_than_any_request_may(gauge_repository):
    release = Event()
    ran: list[int] = []

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        if images.any():
            release.wait(20)
        ran.append(len(images))
        return zeros(len(images))

    async def hang_and_recover(backend: Backend) -> None:
        model = await backend.load(await backend.served())
        for images in (levels(9), levels(9, 9)):  # the second batch never leaves the queue
            with pytest.raises(BackendTimeout):
                await ask(model, images, 0.6)
            with pytest.raises(BackendTimeout, match="more than 0.2 s"):
                await backend.ready()
        release.set()
        await ask(model, levels(0, 0, 0))
        await backend.ready()

    settings = Settings(repository=gauge_repository, request_timeout_s=0.2, inference_workers=1)
    running(EmbeddedBackend(settings, compiling(run)), hang_and_recover)
    assert ran == [1, 4, 1, 3], "two for warmth, the late batch, and the one after"


def test_images_beside_each_other_do_not_take_turns_in_openvino(gauge_model, monkeypatch):
    streams: list[int] = []
    compile_model = openvino.Core.compile_model

    def note(core, graph, device, options) -> openvino.CompiledModel:
        streams.append(options["NUM_STREAMS"])
        return compile_model(core, graph, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", note)
    monkeypatch.setattr("onegauge.service.model.backends.openvino.cores", lambda: 3)
    compile_by_openvino(gauge_model, 0)
    assert streams == [1, 3], "alone, and beside each other"


SIGNAL_AFTER_MODELS = """
import faulthandler, gc, signal, sys
from pathlib import Path
from onegauge.service.model.backends.openvino import compile_model
faulthandler.enable()  # has a stack for signals of its own
models = [compile_model(Path(sys.argv[1]), 1) for _ in range(3)]
while models:
    models.pop(0)
    gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGTERM)
"""


def test_signals_are_handled_after_models_of_openvino_have_come_and_gone(gauge_model):
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_AFTER_MODELS, str(gauge_model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


def zeros(batch_size: int) -> dict[str, np.ndarray]:
    scalars = ("score", "p_value", "raw_score", "normal_location", "normal_scale", "novelty")
    flat = {name: np.zeros(batch_size, np.float32) for name in scalars}
    return flat | {"anomaly_map": np.zeros((batch_size, 8, 12), np.float32)}


@pytest.mark.parametrize(
    "module",
    [
        "onegauge.service.model.backends.onnx",
        "onegauge.export.verify",
        "onegauge.training.data.dataset",
    ],
)
def test_nvidia_computes_in_full_precision_what_is_calibrated_so(module):
    here = {k: v for k, v in os.environ.items() if k != "NVIDIA_TF32_OVERRIDE"}
    code = f"import {module}, os; print(os.environ['NVIDIA_TF32_OVERRIDE'])"
    done = subprocess.run([sys.executable, "-c", code], env=here, capture_output=True, check=True)
    assert done.stdout.strip() == b"0"


@pytest.mark.parametrize(
    "load",
    [
        "from onegauge.service.model.backends.onnx import compile_model as load; load(model, 1)",
        "from onegauge.export.session import Session; Session(model)",
    ],
)
def test_onnx_runtime_reports_to_nobody(gauge_repository, tmp_path, load):
    """Where it does, it leaves an identifier of the machine in the home folder."""
    model = gauge_repository / "onegauge" / "1" / "model.onnx"
    quiet = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    home = quiet | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    code = f"import sys; model = sys.argv[1]; {load}"
    subprocess.run([sys.executable, "-c", code, model], env=home, check=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
