"""The criterion that decides where a request brings none."""

from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import DeploymentCriterion
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings


class Deployment:
    """That of the settings, until another one is used in its place. For the event loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self.of_settings = DeploymentCriterion(settings.threshold, settings.max_false_alarm_rate)
        self.use(None)

    def use(self, criterion: DeploymentCriterion | None) -> None:
        """Decide by another criterion from now on, or again by that of the settings."""
        self.criterion = criterion or self.of_settings
        self._metrics.model.decides_by(
            self.criterion.score_threshold, self.criterion.max_false_alarm_rate
        )

    def check(self, contract: Contract) -> None:
        """Raise UnpromisedRate where a version cannot hold the criterion."""
        self.criterion.check(contract)

    @property
    def saved(self) -> bool:
        """Whether it is another one than that of the settings."""
        return self.criterion is not self.of_settings
