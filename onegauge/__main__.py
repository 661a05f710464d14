"""The command `onegauge`, and `python -m onegauge`."""

import sys


def main() -> None:
    """Run the command line, which Ctrl-C ends quietly while it is still imported, too."""
    try:
        from onegauge.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
