"""`python -m export RUN --repository DIR --name NAME`, the same as `onegauge export`."""

import sys

from onegauge import main

main(["export", *sys.argv[1:]])
