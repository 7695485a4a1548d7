"""The settings of sla."""

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What every service has; sla needs nothing more."""
