"""`python -m training …` in a checkout, the same as `onegauge …`."""

from onegauge.cli import main

main()
