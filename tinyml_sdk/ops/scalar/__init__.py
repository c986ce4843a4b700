"""Kernels for cores without SIMD instructions (M0+, M3, RV32, Xtensa): when they apply, their constants and costs.

The C is in `firmware_templates/kernels/scalar`.
"""
