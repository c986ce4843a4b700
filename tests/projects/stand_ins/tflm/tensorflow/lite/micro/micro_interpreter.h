// A stand-in for TensorFlow Lite Micro's headers: as much of their interface as the generated glue uses. Not TFLM.
// Its interpreter runs nothing: each layer adds one to every byte of the single input, which is the output too.
//
// STAND_IN_LAYERS, STAND_IN_BYTES   what the model has: layers, and bytes of its input and output
// $STAND_IN_NEEDS, $STAND_IN_USES   bytes of arena that setting up needs, and that are taken in the end
#ifndef STAND_IN_MICRO_INTERPRETER_H
#define STAND_IN_MICRO_INTERPRETER_H

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define TFLITE_SCHEMA_VERSION (3)

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

#define TF_LITE_ENSURE_STATUS(a)                                                                                       \
  do {                                                                                                                 \
    const TfLiteStatus s = (a);                                                                                        \
    if (s != kTfLiteOk) {                                                                                              \
      return s;                                                                                                        \
    }                                                                                                                  \
  } while (0)

struct TfLiteContext {
  int8_t *tensor;
  int layers_run;
};
struct TfLiteNode {
  int index;
};
struct TFLMRegistration {
  TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node);
  TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node);
};
struct TfLiteTensor {
  union {
    int8_t *int8;
  } data;
};

namespace tflite {

inline size_t FromEnvironment(const char *name) {
  return static_cast<size_t>(std::atoi(std::getenv(name)));
}

struct Model {
  uint32_t version() const {
    return TFLITE_SCHEMA_VERSION;
  }
};

struct NodeAndRegistration {
  TfLiteNode node;
  const TFLMRegistration *registration;
};

class MicroOpResolver {
public:
  virtual ~MicroOpResolver() {
  }
  virtual const TFLMRegistration *at(int index) const = 0;
};

class MicroAllocator {
public:
  static MicroAllocator *Create(uint8_t *arena, size_t bytes) {
    static MicroAllocator only;
    only.arena = arena;
    only.bytes = bytes;
    return &only;
  }
  TfLiteStatus ResetTempAllocations() {
    return kTfLiteOk;
  }
  uint8_t *arena;
  size_t bytes;
};

class MicroInterpreter {
public:
  MicroInterpreter(const Model *, const MicroOpResolver &resolver, MicroAllocator *allocator)
      : resolver_(resolver), allocator_(allocator) {
  }

  // As the real one, it leaves nothing of what was in the arena.
  TfLiteStatus AllocateTensors() {
    if (allocator_->bytes < FromEnvironment("STAND_IN_NEEDS")) {
      return kTfLiteError;
    }
    std::memset(allocator_->arena, 0, arena_used_bytes());
    context_ = {reinterpret_cast<int8_t *>(allocator_->arena), 0};
    tensor_.data.int8 = context_.tensor;
    for (int i = 0; i < STAND_IN_LAYERS; ++i) {
      layers_[i] = {{i}, resolver_.at(i)};
      TF_LITE_ENSURE_STATUS(layers_[i].registration->prepare(&context_, &layers_[i].node));
    }
    return Reset();
  }
  TfLiteStatus Invoke() {
    context_.layers_run = 0;
    for (NodeAndRegistration &layer : layers_) {
      TF_LITE_ENSURE_STATUS(layer.registration->invoke(&context_, &layer.node));
    }
    return kTfLiteOk;
  }
  TfLiteStatus Reset() {
    context_.layers_run = 0;
    return kTfLiteOk;
  }
  TfLiteTensor *input(size_t) {
    return &tensor_;
  }
  TfLiteTensor *output(size_t) {
    return &tensor_;
  }
  size_t arena_used_bytes() const {
    return FromEnvironment("STAND_IN_USES");
  }

private:
  const MicroOpResolver &resolver_;
  MicroAllocator *allocator_;
  TfLiteContext context_;
  TfLiteTensor tensor_;
  NodeAndRegistration layers_[STAND_IN_LAYERS];
};

} // namespace tflite

#endif
