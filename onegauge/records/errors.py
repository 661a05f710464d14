"""What can go wrong with records."""


class RecordsError(Exception):
    """Records cannot be kept, or not be what is asked of them; its text is for the user."""


class RecordsUnavailable(RecordsError):
    """The database or the disk does not answer; it may be back later."""


class NewerSchema(RecordsError):
    """A newer onegauge has changed the database."""


class UnknownInspection(RecordsError):
    """There is no inspection of this id."""


class InvalidCursor(RecordsError):
    """A cursor that no page gave, or that a page in another order gave."""


class InvalidPolicy(RecordsError):
    """What is to be kept is told in words that say nothing."""


class RefusedRecord(RecordsError):
    """The database does not take a record as it is."""


class PictureGone(RecordsError):
    """A picture was not kept, or is not kept any longer."""


class WrongState(RecordsError):
    """A proposal is not in the state that a step begins with, or another one is under way."""
