"""Tests of the runner: real servers, real processes, killed for real."""
