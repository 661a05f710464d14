"""`python -m onegauge`, the same as the command `onegauge`."""

from onegauge.cli import main

main()
