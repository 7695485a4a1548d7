"""The system in containers, really built and run by `make verify-containers`."""
