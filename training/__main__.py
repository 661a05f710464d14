"""`python -m training evaluate …`, the same as `onegauge evaluate …`."""

from onegauge.cli import main

main()
