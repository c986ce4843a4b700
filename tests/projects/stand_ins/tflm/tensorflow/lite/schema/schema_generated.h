// A stand-in for TFLM's schema: see micro/micro_interpreter.h.
#ifndef STAND_IN_SCHEMA_GENERATED_H
#define STAND_IN_SCHEMA_GENERATED_H

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {

inline const Model *GetModel(const void *) {
  static const Model model;
  return &model;
}

} // namespace tflite

#endif
