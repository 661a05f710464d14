"""A decision on one image, where it does not matter how it came about."""

from onegauge.schemas import Decision, Normal


def decision(score: float = 0.5, *, unknown: bool = False) -> Decision:
    """Anomalous from a score of 1.0 on; `unknown` of a product that training has not seen."""
    return Decision(
        index=0,
        filename=None,
        decision="anomalous" if score >= 1 else "normal",
        score=score,
        threshold=1.0,
        max_false_alarm_rate=None,
        p_value=0.5,
        novelty=float(unknown),
        unknown_product=unknown,
        raw_score=0.0,
        normal=Normal(location=0.0, scale=1.0),
        regions=[],
        anomaly_map=None,
        timing_ms={},
    )
