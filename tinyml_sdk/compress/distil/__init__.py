"""Distillation: a student learns from a teacher's outputs, features and attention.

`distillation` says what of both is compared, `graph` where that is in a model, `losses` how, and `training` puts it
into a model that `fit` can train.
"""
