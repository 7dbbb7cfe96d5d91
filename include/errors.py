"""What this project raises on purpose; anything else is a bug and surfaces as it is.

* PortraitError
  - ConfigError      a YAML file or a connection says something the code cannot do: fix it
  - InputError       a param or a command's argument cannot be used: give another
  - ContractError    a contract asks for a change that would lose data
  - CopyError        two servers disagree on what was copied; nothing was kept
  - QualityError     data broke a promise: fix the source or the expectation
  - NotFittedError   score() before fit()
  - ResourceError    the machine lacks something: a port, a disk, a server that answers
"""


class PortraitError(Exception):
    """The base of what is raised on purpose; its message says what, where and the next step."""


class ConfigError(PortraitError):
    """A YAML file or a connection says something the code cannot do."""


class InputError(PortraitError):
    """A param or a command's argument cannot be used."""


class ContractError(PortraitError):
    """A contract asks for a change that would lose data."""


class CopyError(PortraitError):
    """Two servers disagree on what was copied; nothing was kept."""


class QualityError(PortraitError):
    """Data broke a promise."""


class NotFittedError(PortraitError):
    """A score was asked of a model that has not been fitted."""


class ResourceError(PortraitError):
    """The machine lacks something."""
