"""Keras in, smaller Keras out: pruning, low rank, clustering, distillation, quantization-aware training."""
