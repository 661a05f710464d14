from concurrent.futures import ThreadPoolExecutor

import pytest

from onegauge.schemas import ProblemDetails, Rejection
from onegauge.service.model.contract import Contract
from onegauge.service.observe.metrics import MANY, MAX_LINES, Metrics
from tests.service.decisions import decision


def contract(version: str) -> Contract:
    provenance = {
        "detector": "revdist",
        "backbone": "resnet18",
        "model_digest": "0123456789abcdef",
        "calibrated_at": "1790000000",
        "calibration_images": "99",
        "false_alarm_rate": "0.05",
    }
    return Contract("gauge", version, 32, 48, 8, 12, 4, "onnxruntime", provenance)


def samples(metrics: Metrics) -> list[str]:
    return metrics.exposition().decode().splitlines()


def test_decisions_are_counted_by_line():
    metrics = Metrics()
    for score, line in [(0.5, "press-3"), (1.5, "press-3"), (1.5, None)]:
        metrics.answered(decision(score), line)
    found = samples(metrics)
    assert 'onegauge_decisions_total{decision="normal",line="press-3"} 1.0' in found
    assert 'onegauge_decisions_total{decision="anomalous",line="press-3"} 1.0' in found
    assert 'onegauge_decisions_total{decision="anomalous",line="none"} 1.0' in found
    assert 'onegauge_image_score_bucket{le="1.0",line="press-3"} 1.0' in found
    assert 'onegauge_image_score_count{line="press-3"} 2.0' in found


def test_threads_that_count_and_show_at_once_count_each_figure_once():
    metrics = Metrics()

    def count() -> None:
        for _ in range(MANY):
            metrics.queued(0.1)
            metrics.rejected("gateway-busy")

    with ThreadPoolExecutor(4) as pool:
        counting = [pool.submit(count) for _ in range(4)]
        showing = [pool.submit(metrics.exposition) for _ in range(20)]
        for done in counting + showing:
            done.result(20)
    found = samples(metrics)
    assert f"onegauge_queue_wait_seconds_count {4 * MANY}.0" in found
    assert f'onegauge_rejected_total{{reason="gateway-busy"}} {4 * MANY}.0' in found


def test_unknown_products_are_counted():
    metrics = Metrics()
    metrics.answered(decision(unknown=True), "a")
    metrics.answered(decision(), "a")
    assert 'onegauge_unknown_products_total{line="a"} 1.0' in samples(metrics)


def test_line_labels_are_bounded():
    metrics = Metrics()
    for index in range(3 * MAX_LINES):
        metrics.answered(decision(), f"line-{index}")
    metrics.answered(decision(), "line-0")
    counted = [s for s in samples(metrics) if s.startswith("onegauge_decisions_total")]
    assert len(counted) == MAX_LINES + 1
    assert 'onegauge_decisions_total{decision="normal",line="line-0"} 2.0' in counted
    assert (
        f'onegauge_decisions_total{{decision="normal",line="other"}} {2 * MAX_LINES}.0' in counted
    )


@pytest.mark.parametrize("line", ["Prüfplatz 3", "工位3", "สถานี:๓", "लाइन-३", "ß" * 64])
def test_letters_and_digits_of_any_script_make_a_label(line):
    metrics = Metrics()
    metrics.answered(decision(), line)
    assert f'onegauge_decisions_total{{decision="normal",line="{line}"}} 1.0' in samples(metrics)


@pytest.mark.parametrize("line", ["", "a\nb", 'a"b', "a\u200b", "a\ufffd", "a\u2028", "x" * 65])
def test_odd_lines_count_as_other(line):
    metrics = Metrics()
    metrics.answered(decision(), line)
    assert 'onegauge_decisions_total{decision="normal",line="other"} 1.0' in samples(metrics)


def test_images_that_got_no_decision_are_counted_by_their_problem():
    metrics = Metrics()
    problem = ProblemDetails(type="/problems/too-many-pixels", title="", status=413, detail="")
    metrics.answered(Rejection(index=0, filename=None, problem=problem), "a")
    assert 'onegauge_rejected_total{reason="too-many-pixels"} 1.0' in samples(metrics)


def test_refused_version_is_told_until_another_one_serves():
    metrics = Metrics()
    for version in ("2", "3"):
        metrics.model.refuses(version)
    refused = [s for s in samples(metrics) if s.startswith("onegauge_model_refused{")]
    assert refused == ['onegauge_model_refused{version="3"} 1.0']
    metrics.model.serves(contract("4"))
    assert not [s for s in samples(metrics) if s.startswith("onegauge_model_refused{")]


def test_model_info_follows_the_version():
    metrics = Metrics()
    for version in ("1", "2", "2"):
        metrics.model.serves(contract(version))
    infos = [s for s in samples(metrics) if s.startswith("onegauge_model_info{")]
    assert len(infos) == 1
    assert 'version="2"' in infos[0]
    assert 'detector="revdist"' in infos[0]
    assert 'digest="0123456789ab"' in infos[0]


def test_stages_are_measured_and_told():
    metrics = Metrics()
    timing_ms: dict[str, float] = {}
    with metrics.stage("decode", timing_ms):
        pass
    assert 0 <= timing_ms["decode"] < 1000
    assert 'onegauge_stage_duration_seconds_count{stage="decode"} 1.0' in samples(metrics)


def test_gateways_count_for_themselves():
    first, second = Metrics(), Metrics()
    first.rejected("x")
    assert not any('reason="x"' in sample for sample in samples(second))


def test_what_normal_images_look_like_is_kept_beside_the_scores():
    metrics = Metrics()
    metrics.answered(decision(unknown=True), "a")
    found = samples(metrics)
    for name in ("p_value", "normal_location", "normal_scale", "novelty"):
        assert f'onegauge_{name}_count{{line="a"}} 1.0' in found
    assert 'onegauge_novelty_bucket{le="0.9",line="a"} 0.0' in found
    assert 'onegauge_novelty_bucket{le="1.0",line="a"} 1.0' in found


def test_drift_is_told_by_line_once_a_model_serves():
    metrics = Metrics()
    metrics.answered(decision(), "a")
    assert not any(s.startswith("onegauge_drift") for s in samples(metrics))
    metrics.model.serves(contract("1"))
    metrics.answered(decision(), "a")
    assert 'onegauge_drift_images{line="a"} 1.0' in samples(metrics)


def test_batches_and_turns_are_timed():
    metrics = Metrics()
    with metrics.batch(4, waited=0.02):
        pass
    metrics.queued(0.02)
    found = samples(metrics)
    assert "onegauge_backend_duration_seconds_count 1.0" in found
    assert "onegauge_backend_batch_images_sum 4.0" in found
    assert 'onegauge_queue_wait_seconds_bucket{le="0.025"} 1.0' in found


def test_age_of_the_calibration_is_known_when_the_model_says_it():
    metrics = Metrics()
    metrics.model.serves(contract("1"))
    assert "onegauge_model_calibrated_timestamp_seconds 1.79e+09" in samples(metrics)


def test_the_process_is_told_about():
    assert any(s.startswith("process_resident_memory_bytes") for s in samples(Metrics()))
