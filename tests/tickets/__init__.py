"""Tests of the tickets service."""
