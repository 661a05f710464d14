import numpy as np
import pytest

from onegauge.training.evaluation.metrics import all_metrics
from onegauge.training.report.headline import headline, interval, percent, promised, score


def figures(alarms: int, normal: int, missed: int, anomalous: int, alpha: float = 0.05):
    """Of two products, `nut` with all the errors and `bolt` with none."""
    wrong = (
        [2.0] * alarms + [0.0] * (normal - alarms),
        [0.0] * missed + [2.0] * (anomalous - missed),
    )
    scores = np.array([*wrong[0], *wrong[1], 0.0, 2.0])
    labels = np.array([False] * normal + [True] * anomalous + [False, True])
    products = ["nut"] * (normal + anomalous) + ["bolt"] * 2
    return all_metrics(scores, labels, products, threshold=1.0, alpha=alpha)


@pytest.mark.parametrize(
    ("alarms", "status", "words"),
    [
        (4, "kept", "The promise is kept: 4.0 % false alarms, at most 5 % promised"),
        (7, "open", "7.0 % false alarms, which still agrees with the promised 5 %"),
        (20, "broken", "The promise is broken: 20.0 % false alarms, at most 5 % promised"),
    ],
)
def test_the_headline_says_whether_the_promise_is_kept(alarms, status, words):
    found = headline(figures(alarms, normal=99, missed=0, anomalous=9))
    assert found.status == status
    assert found.text.replace("\N{NO-BREAK SPACE}", " ") == words


def test_the_sentences_count_errors_and_name_the_worst_products():
    text = " ".join(headline(figures(1, normal=19, missed=3, anomalous=9)).sentences)
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    assert "1 of 20 normal images is flagged (95 % interval 0.1–24.9 %)." in text
    assert "3 of 10 anomalous images are missed: 30.0 % (6.7–65.2 %)." in text
    assert "Most misses: nut (33.3 %), most false alarms: nut (5.3 %)." in text
    assert "Pooled over 2 products, image AUROC is" in text


def test_without_errors_no_product_is_the_worst():
    text = " ".join(headline(figures(0, normal=5, missed=0, anomalous=5)).sentences)
    assert "None of 6 normal images are flagged" in text
    assert "ost misses" not in text


def test_what_cannot_be_known_is_not_claimed():
    normal = np.array([0.1, 0.2])
    no_anomalies = all_metrics(normal, np.zeros(2, bool), "ab", threshold=1.0, alpha=0.05)
    assert "nothing is known about misses" in " ".join(headline(no_anomalies).sentences)
    no_normals = all_metrics(normal, np.ones(2, bool), "ab", threshold=1.0, alpha=0.05)
    assert headline(no_normals).status == "unknown"
    assert "cannot be checked" in headline(no_normals).text


def test_numbers_are_written_for_people():
    assert percent(0.03944) == "3.9\N{NO-BREAK SPACE}%"
    assert (percent(None), interval(None)) == ("–", "–")
    assert interval((0.0232, 0.0621)) == "2.3–6.2\N{NO-BREAK SPACE}%"
    assert promised(0.001) == "0.1\N{NO-BREAK SPACE}%"
    assert [score(x) for x in (1.234, -0.456, 1.0)] == ["1.23", "\N{MINUS SIGN}0.46", "1.00"]


def test_a_score_is_never_rounded_to_the_other_side_of_the_threshold():
    assert score(0.99996) == "0.99996"
    assert score(0.9949) == "0.99"
    assert score(1.0004) == "1.00"
