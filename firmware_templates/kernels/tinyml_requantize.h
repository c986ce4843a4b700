/* From accumulators to int8 outputs: what convolutions and fully connected layers end with. */
#ifndef TINYML_REQUANTIZE_H
#define TINYML_REQUANTIZE_H

#include "tinyml_arithmetic.h"

/* How far a layer's accumulators and shifts go, which the host has proved; less needs less work. */
enum {
  TINYML_SCALE_ANY,  /* some shift is positive */
  TINYML_SCALE_DOWN, /* no shift is positive */
  TINYML_SCALE_SMALL /* all shifts are negative, and all accumulators within 30 bits */
};

/* What is the same for all channels of a layer. */
typedef struct {
  int8_t output_zero_point;
  int8_t activation_min;
  int8_t activation_max;
  int8_t channel_step; /* 1: a multiplier and shift for each channel; 0: one for all */
  int8_t scaling;      /* TINYML_SCALE_… */
} tinyml_requantization;

/* The layer's constants, in flash. */
typedef struct {
  const int32_t *multiplier;
  const int8_t *shift;
} tinyml_multipliers;

/* tinyml_scale_down for |value| < 2^30 and shift < 0. The doubling comes before the product, so
 * that its rounded high half is a register; adding the sign before the shift rounds ties away from
 * 0. */
TINYML_INLINE int32_t tinyml_scale_small(int32_t value, int32_t multiplier, int32_t shift) {
  const int32_t high = (int32_t)(((int64_t)(value * 2) * multiplier + (INT64_C(1) << 31)) >> 32);
  const int32_t half = (int32_t)(UINT32_C(1) << (-shift - 1));
  return (high + (high >> 31) + half) >> -shift;
}

TINYML_STEP int8_t tinyml_requantize_by(const tinyml_requantization *p, int32_t multiplier,
                                        int32_t shift, int32_t accumulator) {
  const int32_t scaled =
      p->scaling == TINYML_SCALE_SMALL  ? tinyml_scale_small(accumulator, multiplier, shift)
      : p->scaling == TINYML_SCALE_DOWN ? tinyml_scale_down(accumulator, multiplier, shift)
                                        : tinyml_scale(accumulator, multiplier, shift);
  /* The zero point comes last, as a sum that is scaled up may have no room for it. */
  const int32_t low = p->activation_min - p->output_zero_point;
  const int32_t high = p->activation_max - p->output_zero_point;
  return (int8_t)(tinyml_clamp(scaled, low, high) + p->output_zero_point);
}

TINYML_INLINE int8_t tinyml_requantize(const tinyml_requantization *p, tinyml_multipliers scale,
                                       int32_t channel, int32_t accumulator) {
  const int32_t index = channel * p->channel_step;
  return tinyml_requantize_by(p, scale.multiplier[index], scale.shift[index], accumulator);
}

#endif
