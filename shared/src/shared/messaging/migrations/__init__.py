"""The history of the runtime's own tables."""
