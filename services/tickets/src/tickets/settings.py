"""The settings of the tickets service: those that every service has."""

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Tickets needs nothing of its own yet."""
