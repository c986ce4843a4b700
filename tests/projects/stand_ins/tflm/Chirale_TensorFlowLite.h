// A stand-in for the header of the Arduino library Chirale_TensorFLowLite, which only makes the builder find the others.
