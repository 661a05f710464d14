"""`python -m service [--repository DIR] [--port PORT]`, the same as `onegauge serve`."""

import sys

from onegauge import main

main(["serve", *sys.argv[1:]])
