"""The published language: schemas, examples, compatibility, and an independent reader of our messages."""
