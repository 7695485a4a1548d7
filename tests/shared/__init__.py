"""Tests of the runtime that every service stands on."""
