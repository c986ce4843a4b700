"""The real models of other projects, which lie outside the repository: $TINYML_CORPUS, default ../shared/models."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models"))

MLPERF_TINY = ("mlperf_tiny/kws", "mlperf_tiny/ad", "mlperf_tiny/ic", "mlperf_tiny/vww")
TFLM = ("tflm/hello_world_int8", "tflm/micro_speech_quantized", "tflm/mnist_lstm_int8")

without_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: set TINYML_CORPUS to a folder of models")


def corpus_model(name: str) -> Path:
    """The file of a model such as `mlperf_tiny/kws`."""
    return CORPUS / f"{name}.tflite"
