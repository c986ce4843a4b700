/* Averages, sums and maxima of a whole image, some rows at a time, int8, for cores with the DSP
 * extension: four channels in one or two registers. Equals global_pool.h to the bit.
 */
#ifndef TINYML_GLOBAL_POOL_DSP_H
#define TINYML_GLOBAL_POOL_DSP_H

#include "../global_pool.h"
#include "tinyml_dsp.h"

/* Elements whose sum fits 16 bits. */
#define TINYML_SHORT_RUN 255

/* 4 instructions for a pixel's four channels. */
TINYML_INLINE void tinyml_add_four_dsp(const tinyml_image_rows *rows, const int8_t *input,
                                       int32_t *sums) {
  for (int32_t left = rows->pixels; left > 0; left -= TINYML_SHORT_RUN) {
    uint32_t even = 0, odd = 0;
    for (int32_t pixel = tinyml_min(left, TINYML_SHORT_RUN); pixel > 0; --pixel) {
      const uint32_t word = tinyml_load_word(input);
      even = tinyml_sxtab16(even, word);
      odd = tinyml_sxtab16_odd(odd, word);
      input += rows->channels;
    }
    const uint32_t pairs[4] = {even, odd, even >> 16, odd >> 16};
    for (int32_t i = 0; i < 4; ++i) {
      sums[i] += (int16_t)(pairs[i] & 0xffffu);
    }
  }
}

/* 4 instructions for a pixel's four channels. */
TINYML_INLINE void tinyml_raise_four_dsp(const tinyml_image_rows *rows, const int8_t *input,
                                         int8_t *largest) {
  uint32_t values = tinyml_load_word(largest);
  for (int32_t pixel = 0; pixel < rows->pixels; ++pixel) {
    values = tinyml_max_of_bytes(values, tinyml_load_word(input));
    input += rows->channels;
  }
  __builtin_memcpy(largest, &values, 4);
}

TINYML_KERNEL void tinyml_global_average_dsp(const tinyml_global_average_params *p,
                                             const int8_t *input, int8_t *output, int8_t *scratch) {
  tinyml_global_average_of(p, tinyml_add_four_dsp, input, output, scratch);
}

TINYML_KERNEL void tinyml_global_sum_dsp(const tinyml_global_sum_params *p, const int8_t *input,
                                         int8_t *output, int8_t *scratch) {
  tinyml_global_sum_of(p, tinyml_add_four_dsp, input, output, scratch);
}

TINYML_KERNEL void tinyml_global_max_dsp(const tinyml_global_max_params *p, const int8_t *input,
                                         int8_t *output, int8_t *scratch) {
  tinyml_global_max_of(p, tinyml_raise_four_dsp, input, output, scratch);
}

#endif
