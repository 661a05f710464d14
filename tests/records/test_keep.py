"""Which pictures a policy keeps."""

import pytest

from onegauge.records.errors import InvalidPolicy
from onegauge.records.keep import Keep
from tests.records.made import record

OF_A_SAMPLE = "0" * 32  # would be in any
NEVER = "f" * 32


@pytest.mark.parametrize(
    ("policy", "fields", "kept"),
    [
        ("all", {}, True),
        ("none", {"decision": "anomalous", "id": OF_A_SAMPLE}, False),
        ("anomalous", {"decision": "anomalous"}, True),
        ("anomalous", {"unknown_product": True}, True),
        ("anomalous", {"score": 0.95}, False),
        ("near", {"score": 0.95}, True),
        ("near", {"score": 1.05, "decision": "anomalous"}, True),
        ("near", {"score": 1.5, "decision": "anomalous"}, False),
        ("sample:0.01", {"id": OF_A_SAMPLE}, True),
        ("sample:0", {"id": OF_A_SAMPLE}, False),
        ("sample:0.01", {"decision": "anomalous"}, False),
        ("anomalous,near,sample:0.01", {"decision": "anomalous"}, True),
        ("anomalous,near,sample:0.01", {"score": 0.95}, True),
        ("anomalous,near,sample:0.01", {"id": OF_A_SAMPLE}, True),
        ("anomalous,near,sample:0.01", {}, False),
        (" near , anomalous ", {"decision": "anomalous"}, True),
    ],
)
def test_a_policy_keeps_what_it_names(policy, fields, kept):
    assert Keep.parse(policy).wants(record(**{"id": NEVER, **fields})) is kept


def test_a_sample_is_as_large_as_it_says_and_the_same_for_all():
    records = [record(n) for n in range(2000)]
    chosen = [Keep.parse("sample:0.1").wants(one) for one in records]
    assert 140 < sum(chosen) < 260  # 200 ± 4.5 standard deviations
    assert chosen == [Keep.parse("near,sample:0.1").wants(one) for one in records]


@pytest.mark.parametrize(
    "policy",
    ["", "some", "none,near", "all,near", "sample", "sample:", "sample:2", "sample:-1"]
    + ["sample:nan", "sample:a", "near:0.1", "sample:0.1,sample:0.2", "anomalous;near"],
)
def test_other_policies_are_refused(policy):
    with pytest.raises(InvalidPolicy):
        Keep.parse(policy)
