"""Measurements of speed, memory and agreement, and records of real runs. Not part of the tests."""
