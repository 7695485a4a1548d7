"""Tests of the rules of devlink: no database, no broker."""
