/* AVERAGE_POOL_2D and MAX_POOL_2D, int8, portable C: four channels at a time.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h.
 *
 * Memory: a channel's window is read before the channel is written, channels in order, as
 * tinyml_sdk/ops/overlap.py has it for channelwise kernels.
 */
#ifndef TINYML_POOL_2D_H
#define TINYML_POOL_2D_H

#include "tinyml_window.h"

typedef struct {
  tinyml_window window;
  int32_t channels;
  int32_t stays_inside; /* whether no window reaches into the padding */
  int32_t activation_min;
  int32_t activation_max;
} tinyml_pool_2d_params;

typedef enum { TINYML_POOL_AVERAGE, TINYML_POOL_MAX } tinyml_pool_2d_kind;

/* One output pixel's window. */
typedef struct {
  const int8_t *input; /* of the first tap inside, first channel */
  int32_t rows;
  int32_t columns;
} tinyml_pool_2d_patch;

/* Sums are divided as unsigned numbers, by a multiplication where that is exact: for windows up to
 * this size, sum * ceil(2^24 / size) stays below 2^32 and is right after the shift. */
#define TINYML_POOL_2D_EXACT 256

/* sum / count to nearest, ties away from zero. most: what count is at most. reciprocal:
 * ceil(2^24 / count). */
TINYML_INLINE int32_t tinyml_pool_2d_mean(int32_t most, int32_t sum, int32_t count,
                                          uint32_t reciprocal) {
  /* 128 * count more than the sum is not negative; ties of negative sums must then go down. */
  const int32_t tie_down = sum < 0 && count % 2 == 0;
  const uint32_t raised = (uint32_t)(sum + 128 * count + count / 2 - tie_down);
  if (most <= TINYML_POOL_2D_EXACT) {
    return (int32_t)((raised * reciprocal) >> 24) - 128;
  }
  return (int32_t)(raised / (uint32_t)count) - 128;
}

/* Writes `lanes` (4 or 1) neighbouring channels of one pixel. */
TINYML_INLINE void tinyml_pool_2d_lanes(const tinyml_pool_2d_params *p,
                                        const tinyml_pool_2d_patch *patch, tinyml_pool_2d_kind kind,
                                        int32_t channel, int32_t lanes, uint32_t reciprocal,
                                        int8_t *output) {
  const int32_t start = kind == TINYML_POOL_MAX ? -128 : 0;
  int32_t pooled[4] = {start, start, start, start};
  for (int32_t y = 0; y < patch->rows; ++y) {
    for (int32_t x = 0; x < patch->columns; ++x) {
      const int8_t *input = patch->input + (y * p->window.input_width + x) * p->channels + channel;
      for (int32_t i = 0; i < lanes; ++i) {
        const int32_t value = input[i];
        if (kind == TINYML_POOL_MAX) {
          pooled[i] = value > pooled[i] ? value : pooled[i];
        } else {
          pooled[i] += value;
        }
      }
    }
  }
  for (int32_t i = 0; i < lanes; ++i) {
    const int32_t result =
        kind == TINYML_POOL_MAX
            ? pooled[i]
            : tinyml_pool_2d_mean(p->window.filter_height * p->window.filter_width, pooled[i],
                                  patch->rows * patch->columns, reciprocal);
    output[channel + i] = (int8_t)tinyml_clamp(result, p->activation_min, p->activation_max);
  }
}

/* The same for four lanes, of the kind that its name says: for cores that have better. */
typedef void tinyml_pool_2d_four(const tinyml_pool_2d_params *p, const tinyml_pool_2d_patch *patch,
                                 int32_t channel, uint32_t reciprocal, int8_t *output);

TINYML_INLINE void tinyml_average_pool_2d_four(const tinyml_pool_2d_params *p,
                                               const tinyml_pool_2d_patch *patch, int32_t channel,
                                               uint32_t reciprocal, int8_t *output) {
  tinyml_pool_2d_lanes(p, patch, TINYML_POOL_AVERAGE, channel, 4, reciprocal, output);
}

TINYML_INLINE void tinyml_max_pool_2d_four(const tinyml_pool_2d_params *p,
                                           const tinyml_pool_2d_patch *patch, int32_t channel,
                                           uint32_t reciprocal, int8_t *output) {
  tinyml_pool_2d_lanes(p, patch, TINYML_POOL_MAX, channel, 4, reciprocal, output);
}

TINYML_INLINE void tinyml_pool_2d_pixel(const tinyml_pool_2d_params *p,
                                        const tinyml_pool_2d_patch *patch, tinyml_pool_2d_kind kind,
                                        tinyml_pool_2d_four *four, int8_t *output) {
  const uint32_t count = (uint32_t)(patch->rows * patch->columns);
  const uint32_t reciprocal =
      kind == TINYML_POOL_AVERAGE ? ((UINT32_C(1) << 24) + count - 1u) / count : 0u;
  const int32_t end_of_blocks = p->channels / 4 * 4;
  for (int32_t channel = 0; channel < end_of_blocks; channel += 4) {
    four(p, patch, channel, reciprocal, output);
  }
  for (int32_t channel = end_of_blocks; channel < p->channels; ++channel) {
    tinyml_pool_2d_lanes(p, patch, kind, channel, 1, reciprocal, output);
  }
}

TINYML_INLINE void tinyml_pool_2d(const tinyml_pool_2d_params *p, tinyml_pool_2d_kind kind,
                                  tinyml_pool_2d_four *four, const int8_t *input, int8_t *output) {
  const tinyml_window *w = &p->window;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < w->output_height; ++y) {
      const tinyml_taps rows = tinyml_rows_inside(w, y);
      for (int32_t x = 0; x < w->output_width; ++x) {
        const tinyml_taps columns = tinyml_columns_inside(w, x);
        const int32_t top = rows.origin + rows.begin;
        const int32_t left = columns.origin + columns.begin;
        const tinyml_pool_2d_patch patch = {
            input + (top * w->input_width + left) * p->channels,
            p->stays_inside ? w->filter_height : rows.end - rows.begin,
            p->stays_inside ? w->filter_width : columns.end - columns.begin};
        tinyml_pool_2d_pixel(p, &patch, kind, four, output);
        output += p->channels;
      }
    }
    input += w->input_height * w->input_width * p->channels;
  }
}

TINYML_KERNEL void tinyml_average_pool_2d(const tinyml_pool_2d_params *p, const int8_t *input,
                                          int8_t *output) {
  tinyml_pool_2d(p, TINYML_POOL_AVERAGE, tinyml_average_pool_2d_four, input, output);
}

TINYML_KERNEL void tinyml_max_pool_2d(const tinyml_pool_2d_params *p, const int8_t *input,
                                      int8_t *output) {
  tinyml_pool_2d(p, TINYML_POOL_MAX, tinyml_max_pool_2d_four, input, output);
}

#endif
