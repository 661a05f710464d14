"""What can go wrong in training, as a tree.

TrainingError
├── ConfigError        an option has a value that cannot work
├── DataError          the folder, or an image in it, cannot be used
├── BackboneError      the pretrained network or its weights cannot be had
└── CheckpointError    a run cannot be read or resumed
"""


class TrainingError(Exception):
    """Base of all errors of training and evaluation; its text is for the user."""


class ConfigError(TrainingError):
    """An option has a value that cannot work."""


class DataError(TrainingError):
    """The data folder cannot be trained or evaluated on."""


class BackboneError(TrainingError):
    """The backbone or its weights are not available or do not fit."""


class CheckpointError(TrainingError):
    """A run's files are missing, damaged, or belong to another configuration."""
