/* What depthwise kernels for the DSP extension have in common: where their input lies, and how sums
 * become outputs.
 *
 * A channel's weights and bias are scaled by a power of two, 2^k, as far as int16 goes, so that all
 * channels' sums need the same last shift; tinyml_sdk/ops/dsp/depthwise.py proves where that is
 * exact. Else they are doubled, which makes the rounded high half of the product with the
 * multiplier the one that TFLM computes (tinyml_scale_small).
 */
#ifndef TINYML_DSP_DEPTHWISE_OUTPUTS_H
#define TINYML_DSP_DEPTHWISE_OUTPUTS_H

#include "../tinyml_bytes.h"
#include "tinyml_dsp.h"

/* Fractional bits of a scaled output just before it is saturated, but for TINYML_DSP_CLAMP. */
#define TINYML_DSP_DEPTHWISE_FRACTION 10

/* How sums become outputs: the host names the cheapest form that is exact. */
enum {
  TINYML_DSP_RELU,   /* zero point -128, no other clamp: below it, rounding shows nowhere */
  TINYML_DSP_SIGNED, /* any zero point, no other clamp */
  TINYML_DSP_CLAMP   /* any */
};

/* What all channels of a layer have in common. */
typedef struct {
  /* With a fraction, all but TINYML_DSP_CLAMP: a channel's shift is k, and the offset is the
   * output's zero point and the half that rounds. Without, k is 1, the shift is that of the
   * outputs to the right, and the offset lacks it. */
  int32_t offset;
  int8_t shift_mask; /* k = shift & shift_mask | shift_base */
  int8_t shift_base;
  int8_t activation_min;
  int8_t activation_max;
} tinyml_dsp_depthwise_scaling;

/* A channel's. The assembler knows the order. */
typedef struct {
  int32_t multiplier;
  int32_t offset; /* the output's zero point and the half that rounds, before the shift */
  int32_t shift;  /* for TINYML_DSP_CLAMP, which has k = 1 */
} tinyml_dsp_depthwise_scale;

/* k of a channel. */
TINYML_INLINE int32_t tinyml_dsp_depthwise_left(const tinyml_dsp_depthwise_scaling *scaling,
                                                int32_t shift) {
  return (shift & scaling->shift_mask) | scaling->shift_base;
}

/* left: k. */
TINYML_INLINE tinyml_dsp_depthwise_scale tinyml_dsp_depthwise_scale_of(
    const tinyml_dsp_depthwise_scaling *scaling, int32_t left, int32_t multiplier, int32_t shift) {
  const tinyml_dsp_depthwise_scale scale = {multiplier, scaling->offset + ((1 << left) >> 2),
                                            shift};
  return scale;
}

/* A value with TINYML_DSP_DEPTHWISE_FRACTION fractional bits as int8: rounded down, saturated. */
TINYML_INLINE int8_t tinyml_dsp_depthwise_saturate(int32_t value) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1, asr #10" : "=r"(result) : "r"(value));
  return (int8_t)result;
#else
  return (int8_t)tinyml_clamp(value >> TINYML_DSP_DEPTHWISE_FRACTION, -128, 127);
#endif
}

TINYML_INLINE int8_t tinyml_dsp_depthwise_output(int32_t form,
                                                 const tinyml_dsp_depthwise_scale *scale,
                                                 int32_t activation_min, int32_t activation_max,
                                                 int32_t sum) {
  if (form == TINYML_DSP_CLAMP) {
    /* The sign rounds ties away from zero. */
    const int32_t high = tinyml_smmlar(sum, scale->multiplier, 0);
    const int32_t offset = scale->offset * (INT32_C(1) << (scale->shift - 1));
    const int32_t scaled = (high + (high >> 31) + offset) >> scale->shift;
    return (int8_t)tinyml_clamp(scaled, activation_min, activation_max);
  }
  int32_t offset = scale->offset;
  if (form == TINYML_DSP_SIGNED) { /* as in tinyml_dsp_requantize */
    offset -= 2 * (offset & (sum >> 31) & ((1 << (TINYML_DSP_DEPTHWISE_FRACTION - 1)) - 1));
  }
  return tinyml_dsp_depthwise_saturate(tinyml_smmla(sum, scale->multiplier, offset));
}

#if TINYML_HAS_DSP

/* The same in assembler, for the forms without a clamp. */

/* A sum to int8: scaled, then saturated, which waits for the product: so all are scaled first. r12:
 * multiplier, lr: offset. NEGATIVE: a register with what ROUND left there, which is taken from the
 * offset twice below zero; TEMP: a free one. */
#define TINYML_DSP_SATURATE(SUM) "ssat " SUM ", #8, " SUM ", asr #10\n"

#define TINYML_DSP_ROUND_RELU(NEGATIVE) ""
#define TINYML_DSP_SCALE_RELU(SUM, NEGATIVE, TEMP) "smmla " SUM ", " SUM ", r12, lr\n"

#define TINYML_DSP_ROUND_SIGNED(NEGATIVE) "ubfx " NEGATIVE ", lr, #0, #9\n"
#define TINYML_DSP_SCALE_SIGNED(SUM, NEGATIVE, TEMP)                                               \
  "and " TEMP ", " NEGATIVE ", " SUM ", asr #31\n"                                                 \
  "sub " TEMP ", lr, " TEMP ", lsl #1\n"                                                           \
  "smmla " SUM ", " SUM ", r12, " TEMP "\n"

#endif

/* The input, a whole number of pixels above the output: an instance for all kernels. */
TINYML_RARE const int8_t *tinyml_dsp_depthwise_input(const int8_t *input, int32_t input_bytes,
                                                     int8_t *output, int32_t output_bytes,
                                                     int32_t pixel) {
  return tinyml_whole_pixels_above(input, input_bytes, output, output_bytes, pixel, tinyml_copy);
}

#endif
