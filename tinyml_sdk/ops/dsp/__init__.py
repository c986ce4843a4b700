"""Kernels for Arm's DSP extension (Cortex-M4, M7, M33): when they apply, their constants and costs.

The C is in `firmware_templates/kernels/dsp`.
"""
