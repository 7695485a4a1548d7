"""The settings of the inventory service."""

from __future__ import annotations

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """Inventory needs nothing beyond what every service has."""
