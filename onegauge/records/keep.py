"""Which pictures are kept beside their records: all are too many for a year of a line."""

from dataclasses import dataclass
from typing import Self

from onegauge.records.errors import InvalidPolicy
from onegauge.records.record import Record

NEAR = 0.1  # margin of a score that could as well have been on the other side of the threshold


@dataclass(frozen=True)
class Keep:
    """A policy: pictures of what is anomalous, of what is near the threshold, and of a share."""

    anomalous: bool = False
    near: bool = False
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `none`, `all`, or some of `anomalous`, `near` and `sample:SHARE` with commas.

        Raises InvalidPolicy.
        """
        words = [word.strip() for word in text.split(",")]
        if words in (["none"], ["all"]):
            return cls(share=float(words == ["all"]))
        shares = [_share(text, word) for word in words if word not in ("anomalous", "near")]
        if len(shares) > 1:
            raise InvalidPolicy(f"{text!r} has several shares: name one")
        return cls("anomalous" in words, "near" in words, sum(shares))

    def wants(self, record: Record) -> bool:
        """Whether the picture is kept; of a share the id decides, so that all gateways agree."""
        flagged = record.decision == "anomalous" or record.unknown_product
        chosen = int(record.id[-8:], 16) / 16**8 < self.share
        return chosen or (self.anomalous and flagged) or (self.near and record.margin <= NEAR)


def _share(text: str, word: str) -> float:
    name, _, number = word.partition(":")
    try:
        share = float(number) if name == "sample" else -1.0
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InvalidPolicy(
            f"{text!r} is no policy: none, all, or some of anomalous, near and sample:0.01"
        )
    return share
