"""What work on many images is refused or fails at."""


class BulkError(Exception):
    """Source, output or cluster cannot be used; the message says why and what to do."""
