"""Keras in, Keras out: smaller models that are still as accurate."""
