"""Weights that compress: zeros (`pruning`, by `masks`) and codebooks (`clustering`, by `kmeans`).

`held` keeps both in later training.
"""
