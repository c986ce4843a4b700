"""Structured pruning: which filters and units go, and the smaller model without them.

`channels` finds what must go together, by following channels through the graph (`flow`); `importance` scores it, on
`activations` where the score needs data; `budget` decides how much goes; `rebuild` writes the smaller model.
"""
