/* The geometry that convolutions and poolings share: a window sliding over NHWC tensors. */
#ifndef TINYML_WINDOW_H
#define TINYML_WINDOW_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int16_t filter_height;
  int16_t filter_width;
  int16_t stride_height;
  int16_t stride_width;
  int16_t dilation_height;
  int16_t dilation_width;
  int16_t padding_top;
  int16_t padding_left;
} tinyml_window;

/* The taps of a filter that fall inside the input, along one axis. */
typedef struct {
  int32_t origin; /* input position of tap 0; negative in the padding */
  int32_t begin;  /* first tap inside */
  int32_t end;    /* one past the last tap inside */
} tinyml_taps;

TINYML_INLINE tinyml_taps tinyml_taps_inside(int32_t origin, int32_t input_size,
                                             int32_t filter_size, int32_t dilation) {
  tinyml_taps taps;
  taps.origin = origin;
  taps.begin = origin < 0 ? (dilation - 1 - origin) / dilation : 0;
  taps.end = tinyml_min(filter_size, (input_size - origin + dilation - 1) / dilation);
  return taps;
}

TINYML_INLINE int32_t tinyml_all_taps_inside(const tinyml_taps *taps, int32_t filter_size) {
  return taps->begin == 0 && taps->end == filter_size;
}

TINYML_INLINE tinyml_taps tinyml_rows_inside(const tinyml_window *w, int32_t output_row) {
  return tinyml_taps_inside(output_row * w->stride_height - w->padding_top, w->input_height,
                            w->filter_height, w->dilation_height);
}

TINYML_INLINE tinyml_taps tinyml_columns_inside(const tinyml_window *w, int32_t output_column) {
  return tinyml_taps_inside(output_column * w->stride_width - w->padding_left, w->input_width,
                            w->filter_width, w->dilation_width);
}

#endif
