"""Keras in, Keras out: models made smaller, one technique a module."""
