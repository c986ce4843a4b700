"""Keras in, Keras out: smaller models, and models trained for what int8 will do to them."""
