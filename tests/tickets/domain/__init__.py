"""Tests of the rules of tickets: no database, no clock."""
