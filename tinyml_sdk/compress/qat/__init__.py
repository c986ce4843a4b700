"""Quantization-aware training: a Keras model learns with the rounding that int8 will bring, and keeps what it learnt.

    training = prepare(model, calibration=[images[:200]])
    training.compile("adam", "sparse_categorical_crossentropy")
    training.fit(images, labels, epochs=5)
    quantize_model(bake(training), images[:200], output="model.tflite")

`fold_affine` merges batch norms and constants into the layers beside them, as the converter would; `prepare` puts fake
quantization into a model; `bake` gives it back with its weights on the int8 grid and its activations' ranges in
`ActivationRange` layers, which `quantize_model` turns into scales, exactly.
"""

from .baking import bake
from .folding import fold_affine
from .preparing import check_trainable, prepare, quantize_aware

__all__ = ["bake", "check_trainable", "fold_affine", "prepare", "quantize_aware"]
