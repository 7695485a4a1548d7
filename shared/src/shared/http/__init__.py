"""The HTTP edge of a service: application, identity, problems, limits, paging, health."""
