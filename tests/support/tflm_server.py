"""Runs models in TFLM's interpreter, one after the other, until the pipe closes or a model ends the process.

Started as a script by `tflm.py`. Requests and replies are pickles on stdin and stdout: this is test code talking to
itself. Request: (model, [inference: [input arrays]], whether variables are reset before each inference). Reply:
[inference: [output arrays]], or a string: the refusal.
"""

import os
import pickle
import sys

from tflite_micro.python.tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

ARENA_BYTES = 1 << 20


def run(model, inferences, anew):
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA_BYTES)
    outputs = schema.Model.GetRootAs(model, 0).Subgraphs(0).OutputsLength()
    results = []
    for inputs in inferences:
        if anew:
            interpreter.reset()
        for index, array in enumerate(inputs):
            interpreter.set_input(array, index)
        interpreter.invoke()
        results.append([interpreter.get_output(index).copy() for index in range(outputs)])
    return results


def main():
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else gets printed does not belong on the pipe
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply = run(*request)
        except Exception as error:
            reply = f"{type(error).__name__}: {error}"
        pickle.dump(reply, replies)
        replies.flush()


if __name__ == "__main__":
    main()
