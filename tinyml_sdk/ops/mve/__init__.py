"""Kernels for Arm's vector extension MVE (Cortex-M55): when they apply, their constants and costs.

The C is in `firmware_templates/kernels/mve`.
"""
