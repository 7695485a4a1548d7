"""Tests of the sla service."""
