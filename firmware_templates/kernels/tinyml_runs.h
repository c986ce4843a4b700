/* What an output pixel of a convolution reads, as runs of neighbouring input bytes: a row of the
 * filter, or a tap where it is dilated. Kernels that gather their inputs share this.
 */
#ifndef TINYML_RUNS_H
#define TINYML_RUNS_H

#include <stddef.h>

#include "dsp/tinyml_dsp.h"
#include "tinyml_bytes.h"
#include "tinyml_window.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t input_zero_point;
  int32_t run_taps; /* filter_width; 1 where taps are not neighbours */
} tinyml_runs;

/* An output pixel, by where its window starts in the input. */
typedef struct {
  int32_t y;
  int32_t x;
  int32_t columns_left; /* in its row of the output, this one included */
} tinyml_runs_pixel;

TINYML_INLINE tinyml_runs_pixel tinyml_runs_first(const tinyml_window *w) {
  const tinyml_runs_pixel pixel = {-w->padding_top, -w->padding_left, w->output_width};
  return pixel;
}

TINYML_INLINE void tinyml_runs_advance(const tinyml_window *w, tinyml_runs_pixel *pixel) {
  pixel->x += w->stride_width;
  if (--pixel->columns_left == 0) {
    pixel->x = -w->padding_left;
    pixel->y += w->stride_height;
    pixel->columns_left = w->output_width;
  }
}

/* A run that lies partly or wholly in the padding, as a copy in `line`. row: the input's row, NULL
 * in the padding. x: the first tap's column. */
TINYML_SHARED const int8_t *tinyml_runs_padded(const int8_t *row, int32_t x, int32_t taps,
                                               int32_t width, int32_t channels, int32_t zero_point,
                                               int8_t *line) {
  const int32_t before = x < 0 ? -x : 0;
  const int32_t inside = tinyml_min(taps, width - x) - before;
  tinyml_fill(line, zero_point, taps * channels);
  if (row != NULL && inside > 0) {
    tinyml_copy(line + before * channels, row + (x + before) * channels, inside * channels);
  }
  return line;
}

/* Where the run of a filter's row, from one of its columns on, lies for a pixel. */
TINYML_INLINE const int8_t *tinyml_runs_find(const tinyml_runs *r, const int8_t *input,
                                             const tinyml_runs_pixel *pixel, int32_t row,
                                             int32_t column, int8_t *line) {
  const tinyml_window *w = &r->window;
  const int32_t y = pixel->y + row * w->dilation_height;
  const int32_t x = pixel->x + column * w->dilation_width;
  const int32_t row_inside = y >= 0 && y < w->input_height;
  if (row_inside && x >= 0 && x + r->run_taps <= w->input_width) {
    return input + (y * w->input_width + x) * r->input_channels;
  }
  return tinyml_runs_padded(row_inside ? input + y * w->input_width * r->input_channels : NULL, x,
                            r->run_taps, w->input_width, r->input_channels, r->input_zero_point,
                            line);
}

#endif
