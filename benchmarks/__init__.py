"""Measured speed of the parts and of the whole. Never part of the tests."""
