"""What can go wrong in export, as a tree.

ExportError
├── VerificationError   the exported file does not give what torch gives
└── RepositoryError     the model repository cannot take it
"""


class ExportError(Exception):
    """Base of all errors of export; nothing has been published."""


class VerificationError(ExportError):
    """The exported file disagrees with torch."""


class RepositoryError(ExportError):
    """A model cannot be published; the repository is as it was."""
