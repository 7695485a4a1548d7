"""Tests of the devlink service."""
