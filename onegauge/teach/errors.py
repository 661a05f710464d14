"""What can go wrong in teaching."""


class TeachingError(Exception):
    """A gauge cannot be taught this; it is as it was. The text is for the user."""
