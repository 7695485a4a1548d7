"""The HTTP edge of a service: application, identity and permissions, keys and conditions, problems, limits, health."""
