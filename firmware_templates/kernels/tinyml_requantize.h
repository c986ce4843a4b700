/* From accumulators to int8 outputs: what convolutions and fully connected layers end with. */
#ifndef TINYML_REQUANTIZE_H
#define TINYML_REQUANTIZE_H

#include "tinyml_arithmetic.h"

/* What is the same for all channels of a layer. */
typedef struct {
  int32_t output_zero_point;
  int32_t activation_min;
  int32_t activation_max;
  int32_t channel_step; /* 1: a multiplier and shift for each channel; 0: one for all */
  int32_t scales_up;    /* whether any shift is positive */
} tinyml_requantization;

/* The layer's constants, in flash. */
typedef struct {
  const int32_t *multiplier;
  const int8_t *shift;
} tinyml_multipliers;

TINYML_INLINE int8_t tinyml_requantize(const tinyml_requantization *p, tinyml_multipliers scale,
                                       int32_t channel, int32_t accumulator) {
  const int32_t multiplier = scale.multiplier[channel * p->channel_step];
  const int32_t shift = scale.shift[channel * p->channel_step];
  const int32_t scaled = p->scales_up ? tinyml_scale(accumulator, multiplier, shift)
                                      : tinyml_scale_down(accumulator, multiplier, shift);
  return (int8_t)tinyml_clamp(scaled + p->output_zero_point, p->activation_min, p->activation_max);
}

#endif
