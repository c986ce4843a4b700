"""Low rank: a layer as a chain of smaller ones.

`factors` has the decompositions and how a rank is chosen, `layers` the chain, `factorizing` walks a model.
"""
