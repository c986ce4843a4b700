/* How the kernels for MVE make outputs of sums, eight channels at a time. */
#ifndef TINYML_MVE_OUTPUTS_H
#define TINYML_MVE_OUTPUTS_H

#include "../tinyml_requantize.h"
#include "tinyml_mve.h"

/* Four channels' multipliers and shifts. */
typedef struct {
  tinyml_int32x4 multiplier;
  tinyml_int32x4 shift;
} tinyml_mve_scale;

TINYML_INLINE tinyml_mve_scale tinyml_mve_load_scale(const int32_t *multiplier,
                                                     const int8_t *shift) {
  const tinyml_mve_scale scale = {tinyml_load_int32x4(multiplier), tinyml_load_widened(shift)};
  return scale;
}

/* Scaled as by tinyml_scale. VQRDMULH is TFLM's first rounding. VRSHL rounds ties up, where the
 * second has them away from zero: one less below zero puts that right, unless nothing is shifted.
 * Where all below zero is clamped it makes no difference. */
TINYML_INLINE tinyml_int32x4 tinyml_mve_rescale(int32_t form, tinyml_int32x4 sums,
                                                tinyml_mve_scale scale) {
  tinyml_int32x4 right = scale.shift;
  if (form == TINYML_MVE_GENERAL) {
    const tinyml_int32x4 zero = tinyml_all_int32x4(0);
    sums = tinyml_shift_left(sums, tinyml_max_int32x4(scale.shift, zero));
    right = tinyml_min_int32x4(scale.shift, zero);
  }
  tinyml_int32x4 value = tinyml_multiply_high(sums, scale.multiplier);
  if (form == TINYML_MVE_SIGNED) {
    value = tinyml_add_int32x4(value, tinyml_sign(value));
  } else if (form == TINYML_MVE_GENERAL) {
    value = tinyml_add_int32x4(value, tinyml_sign(tinyml_and(value, right)));
  }
  return tinyml_shift_right_rounded(value, right);
}

/* Eight channels from the sums of the even ones and those of the odd ones; outputs are the low
 * bytes. */
TINYML_INLINE tinyml_int16x8 tinyml_mve_outputs(int32_t form, tinyml_requantization p,
                                                tinyml_int32x4 even, tinyml_mve_scale even_scale,
                                                tinyml_int32x4 odd, tinyml_mve_scale odd_scale) {
  const tinyml_int16x8 scaled =
      tinyml_add_saturated(tinyml_narrow_int32x4(tinyml_mve_rescale(form, even, even_scale),
                                                 tinyml_mve_rescale(form, odd, odd_scale)),
                           p.output_zero_point);
  return form == TINYML_MVE_GENERAL
             ? tinyml_clamp_int16x8(scaled, p.activation_min, p.activation_max)
             : tinyml_saturate_low_bytes(scaled);
}

#endif
