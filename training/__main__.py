"""`python -m training train` and `python -m training evaluate`, the same as with `onegauge`."""

from onegauge import main

main()
