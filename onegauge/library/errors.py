"""What can go wrong with a library of normal images."""


class LibraryError(Exception):
    """A library cannot be read, or not be what is asked of it; its text is for the user."""
