"""Tests of sla's rules."""
