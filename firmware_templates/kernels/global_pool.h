/* AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, SUM and REDUCE_MAX of a whole image, int8, portable C: the
 * image's rows come a few at a time. What is known of each channel is kept in between; with the
 * last rows comes the output. Arithmetic: as pool_2d.h, mean.h and reduce_extremum.h.
 *
 * Memory: the output is written when nothing is left to be read.
 */
#ifndef TINYML_GLOBAL_POOL_H
#define TINYML_GLOBAL_POOL_H

#include "pool_2d.h"

/* Bits of `edges`. */
#define TINYML_FIRST_ROWS 1
#define TINYML_LAST_ROWS 2

typedef struct {
  int32_t channels;
  int32_t pixels; /* of these rows */
  int32_t edges;  /* whether they are the image's first ones, its last ones, or both */
} tinyml_image_rows;

typedef struct {
  tinyml_image_rows rows;
  int32_t elements; /* of the image in a channel */
  int32_t activation_min;
  int32_t activation_max;
} tinyml_global_average_params;

typedef struct {
  tinyml_image_rows rows;
  int32_t zero_sum; /* of as many zero points as the image has elements in a channel */
  int32_t multiplier;
  int32_t shift;
  int32_t output_zero_point;
} tinyml_global_sum_params;

typedef struct {
  tinyml_image_rows rows;
  int32_t activation_min;
  int32_t activation_max;
} tinyml_global_max_params;

/* Adds four neighbouring channels of all pixels to their sums: for cores that have better. */
typedef void tinyml_add_four(const tinyml_image_rows *rows, const int8_t *input, int32_t *sums);

TINYML_INLINE void tinyml_add_four_portable(const tinyml_image_rows *rows, const int8_t *input,
                                            int32_t *sums) {
  int32_t sum[4] = {sums[0], sums[1], sums[2], sums[3]};
  for (int32_t pixel = 0; pixel < rows->pixels; ++pixel) {
    for (int32_t i = 0; i < 4; ++i) {
      sum[i] += input[i];
    }
    input += rows->channels;
  }
  for (int32_t i = 0; i < 4; ++i) {
    sums[i] = sum[i];
  }
}

/* All channels. sums: of the rows before, whatever they are where there are none. */
TINYML_INLINE void tinyml_add_rows(const tinyml_image_rows *rows, tinyml_add_four *four,
                                   const int8_t *input, int32_t *sums) {
  const int32_t end_of_blocks = rows->channels / 4 * 4;
  if ((rows->edges & TINYML_FIRST_ROWS) != 0) {
    for (int32_t channel = 0; channel < rows->channels; ++channel) {
      sums[channel] = 0;
    }
  }
  for (int32_t channel = 0; channel < end_of_blocks; channel += 4) {
    four(rows, input + channel, sums + channel);
  }
  for (int32_t channel = end_of_blocks; channel < rows->channels; ++channel) {
    for (int32_t pixel = 0; pixel < rows->pixels; ++pixel) {
      sums[channel] += input[pixel * rows->channels + channel];
    }
  }
}

TINYML_INLINE void tinyml_global_average_of(const tinyml_global_average_params *p,
                                            tinyml_add_four *four, const int8_t *input,
                                            int8_t *output, int8_t *scratch) {
  int32_t *sums = (int32_t *)(void *)scratch;
  tinyml_add_rows(&p->rows, four, input, sums);
  if ((p->rows.edges & TINYML_LAST_ROWS) != 0) {
    const uint32_t count = (uint32_t)p->elements;
    const uint32_t reciprocal = ((UINT32_C(1) << 24) + count - 1u) / count;
    for (int32_t channel = 0; channel < p->rows.channels; ++channel) {
      const int32_t mean = tinyml_pool_2d_mean(p->elements, sums[channel], p->elements, reciprocal);
      output[channel] = (int8_t)tinyml_clamp(mean, p->activation_min, p->activation_max);
    }
  }
}

TINYML_INLINE void tinyml_global_sum_of(const tinyml_global_sum_params *p, tinyml_add_four *four,
                                        const int8_t *input, int8_t *output, int8_t *scratch) {
  int32_t *sums = (int32_t *)(void *)scratch;
  tinyml_add_rows(&p->rows, four, input, sums);
  if ((p->rows.edges & TINYML_LAST_ROWS) != 0) {
    for (int32_t channel = 0; channel < p->rows.channels; ++channel) {
      const int32_t sum = tinyml_scale(sums[channel] - p->zero_sum, p->multiplier, p->shift);
      output[channel] = (int8_t)tinyml_clamp(sum + p->output_zero_point, -128, 127);
    }
  }
}

TINYML_KERNEL void tinyml_global_average(const tinyml_global_average_params *p, const int8_t *input,
                                         int8_t *output, int8_t *scratch) {
  tinyml_global_average_of(p, tinyml_add_four_portable, input, output, scratch);
}

TINYML_KERNEL void tinyml_global_sum(const tinyml_global_sum_params *p, const int8_t *input,
                                     int8_t *output, int8_t *scratch) {
  tinyml_global_sum_of(p, tinyml_add_four_portable, input, output, scratch);
}

/* Raises the largest values of four neighbouring channels to those of all pixels. */
typedef void tinyml_raise_four(const tinyml_image_rows *rows, const int8_t *input, int8_t *largest);

TINYML_INLINE int32_t tinyml_larger(int32_t a, int32_t b) {
  return a > b ? a : b;
}

TINYML_INLINE void tinyml_raise_four_portable(const tinyml_image_rows *rows, const int8_t *input,
                                              int8_t *largest) {
  int32_t value[4] = {largest[0], largest[1], largest[2], largest[3]};
  for (int32_t pixel = 0; pixel < rows->pixels; ++pixel) {
    for (int32_t i = 0; i < 4; ++i) {
      value[i] = tinyml_larger(input[i], value[i]);
    }
    input += rows->channels;
  }
  for (int32_t i = 0; i < 4; ++i) {
    largest[i] = (int8_t)value[i];
  }
}

/* largest: of the rows before, whatever they are where there are none. */
TINYML_INLINE void tinyml_global_max_of(const tinyml_global_max_params *p, tinyml_raise_four *four,
                                        const int8_t *input, int8_t *output, int8_t *largest) {
  const tinyml_image_rows *rows = &p->rows;
  const int32_t end_of_blocks = rows->channels / 4 * 4;
  if ((rows->edges & TINYML_FIRST_ROWS) != 0) {
    for (int32_t channel = 0; channel < rows->channels; ++channel) {
      largest[channel] = -128;
    }
  }
  for (int32_t channel = 0; channel < end_of_blocks; channel += 4) {
    four(rows, input + channel, largest + channel);
  }
  for (int32_t channel = end_of_blocks; channel < rows->channels; ++channel) {
    for (int32_t pixel = 0; pixel < rows->pixels; ++pixel) {
      const int32_t value = input[pixel * rows->channels + channel];
      largest[channel] = (int8_t)tinyml_larger(value, largest[channel]);
    }
  }
  if ((rows->edges & TINYML_LAST_ROWS) != 0) {
    for (int32_t channel = 0; channel < rows->channels; ++channel) {
      output[channel] =
          (int8_t)tinyml_clamp(largest[channel], p->activation_min, p->activation_max);
    }
  }
}

TINYML_KERNEL void tinyml_global_max(const tinyml_global_max_params *p, const int8_t *input,
                                     int8_t *output, int8_t *scratch) {
  tinyml_global_max_of(p, tinyml_raise_four_portable, input, output, scratch);
}

#endif
