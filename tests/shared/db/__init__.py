"""Tests of the database edge on a real PostgreSQL."""
