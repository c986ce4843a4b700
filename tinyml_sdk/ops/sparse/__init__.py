"""Kernels for weights of less than a byte each, on any core: when they apply, their constants and costs.

The C is in `firmware_templates/kernels/sparse`.
"""
