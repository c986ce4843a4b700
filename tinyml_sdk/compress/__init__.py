"""Smaller Keras models: pruning, low rank, distillation and quantization-aware training. Keras in, Keras out."""
