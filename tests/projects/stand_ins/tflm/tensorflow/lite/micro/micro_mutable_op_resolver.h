// A stand-in for TFLM's resolver: see micro_interpreter.h.
#ifndef STAND_IN_MICRO_MUTABLE_OP_RESOLVER_H
#define STAND_IN_MICRO_MUTABLE_OP_RESOLVER_H

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {

inline TfLiteStatus PrepareLayer(TfLiteContext *, TfLiteNode *) {
  return kTfLiteOk;
}

// Fails unless the layers run in their order.
inline TfLiteStatus RunLayer(TfLiteContext *context, TfLiteNode *node) {
  if (node->index != context->layers_run) {
    return kTfLiteError;
  }
  ++context->layers_run;
  for (int i = 0; i < STAND_IN_BYTES; ++i) {
    context->tensor[i] = static_cast<int8_t>(context->tensor[i] + 1);
  }
  return kTfLiteOk;
}

#define REGISTRATION(function)                                                                                         \
  inline TFLMRegistration function() {                                                                                 \
    return {PrepareLayer, RunLayer};                                                                                   \
  }
REGISTRATION(Register_CONV_2D)
REGISTRATION(Register_CONV_2D_INT8)
REGISTRATION(Register_DEPTHWISE_CONV_2D)
REGISTRATION(Register_DEPTHWISE_CONV_2D_INT8)
REGISTRATION(Register_MAX_POOL_2D)
REGISTRATION(Register_MAX_POOL_2D_INT8)
REGISTRATION(Register_RESHAPE)
REGISTRATION(Register_FULLY_CONNECTED)
REGISTRATION(Register_FULLY_CONNECTED_INT8)
REGISTRATION(Register_SOFTMAX)
REGISTRATION(Register_SOFTMAX_INT8)

template <unsigned int tOpCount> class MicroMutableOpResolver : public MicroOpResolver {
public:
  TfLiteStatus AddConv2D(const TFLMRegistration &registration = Register_CONV_2D()) {
    return Add(registration);
  }
  TfLiteStatus AddDepthwiseConv2D(const TFLMRegistration &registration = Register_DEPTHWISE_CONV_2D()) {
    return Add(registration);
  }
  TfLiteStatus AddMaxPool2D(const TFLMRegistration &registration = Register_MAX_POOL_2D()) {
    return Add(registration);
  }
  TfLiteStatus AddReshape(const TFLMRegistration &registration = Register_RESHAPE()) {
    return Add(registration);
  }
  TfLiteStatus AddFullyConnected(const TFLMRegistration &registration = Register_FULLY_CONNECTED()) {
    return Add(registration);
  }
  TfLiteStatus AddSoftmax(const TFLMRegistration &registration = Register_SOFTMAX()) {
    return Add(registration);
  }
  const TFLMRegistration *at(int index) const override {
    return &registrations_[static_cast<unsigned>(index) % tOpCount];
  }

private:
  TfLiteStatus Add(const TFLMRegistration &registration) {
    if (count_ == tOpCount) {
      return kTfLiteError;
    }
    registrations_[count_++] = registration;
    return kTfLiteOk;
  }
  TFLMRegistration registrations_[tOpCount];
  unsigned int count_ = 0;
};

} // namespace tflite

#endif
