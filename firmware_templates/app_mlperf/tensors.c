#include "tensors.h"

#include "little_endian.h"
#include "print.h"
#include "small_code.h"

SMALL_CODE_BEGIN

/* The input as the model stores it. */
static int8_t input[APP_MLPERF_INPUT_BYTES];

static float dequantize(int8_t stored) {
  return (float)(stored - APP_MLPERF_OUTPUT_ZERO_POINT) * APP_MLPERF_OUTPUT_SCALE;
}

#if defined(APP_MLPERF_LOADS_FLOATS)

/* Real values, float32 in little-endian order. */
static uint8_t loaded[LOAD_BYTES];

void tensors_load(size_t index, uint8_t byte) {
  loaded[index] = byte;
}

uint8_t tensors_loaded(size_t index) {
  return loaded[index];
}

static float feature(size_t index) {
  const union {
    uint32_t bits;
    float value;
  } same = {.bits = get_u32(loaded + 4u * index)};
  return same.value;
}

/* Rounds half away from zero, and saturates. */
static int8_t quantize(float real) {
  const float scaled = real / APP_MLPERF_INPUT_SCALE;
  if (!(scaled > -1024.0f)) { /* or no number */
    return INT8_MIN;
  }
  if (scaled > 1024.0f) {
    return INT8_MAX;
  }
  const int32_t stored = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f)) + //
                         APP_MLPERF_INPUT_ZERO_POINT;
  return (int8_t)(stored < INT8_MIN ? INT8_MIN : stored > INT8_MAX ? INT8_MAX : stored);
}

void tensors_prepare(void) {
  for (size_t i = 0; i < APP_MLPERF_INPUT_BYTES; ++i) {
    input[i] = quantize(feature(i));
  }
}

#else

/* A pixel of 0 to 255 is stored as -128 to 127: the highest bit is another. */
#if defined(APP_MLPERF_LOADS_PIXELS)
#define FLIPPED 0x80u
#else
#define FLIPPED 0u
#endif

void tensors_load(size_t index, uint8_t byte) {
  input[index] = (int8_t)(byte ^ FLIPPED);
}

uint8_t tensors_loaded(size_t index) {
  return (uint8_t)((uint8_t)input[index] ^ FLIPPED);
}

void tensors_prepare(void) {
}

#endif

void tensors_set_input(void) {
  __builtin_memcpy(APP_MODEL(input)(0), input, sizeof input);
}

#if defined(APP_MLPERF_PRINTS_ERROR)

/* How far an autoencoder's output is from its input: the mean of the squared differences. */
void tensors_print_results(void) {
  const int8_t *output = APP_MODEL(output)(0);
  float sum = 0.0f;
  for (size_t i = 0; i < APP_MLPERF_OUTPUT_BYTES; ++i) {
    const float difference = dequantize(output[i]) - feature(i);
    sum += difference * difference;
  }
  print_thousandths(sum / (float)APP_MLPERF_OUTPUT_BYTES);
}

#else

void tensors_print_results(void) {
  const int8_t *output = APP_MODEL(output)(0);
  for (size_t i = 0; i < APP_MLPERF_OUTPUT_BYTES; ++i) {
    print(i != 0 ? "," : "");
    print_thousandths(dequantize(output[i]));
  }
}

#endif

SMALL_CODE_END
