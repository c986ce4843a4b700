/* DEPTHWISE_CONV_2D 3x3, int8, for the DSP extension: stride 1 or 2, one output for each channel.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h.
 *
 * Two channels at a time go through the whole image. Two input rows at a time are widened into a
 * line of words, a word holding a column's upper and lower pixel, so that one SMLAD makes two taps:
 *
 *   stride 1: two lines are four input rows, and give two output rows
 *   stride 2: the upper line and the upper half of the lower one are three, and give one
 *
 * The padding is filled with the input's zero point, whose share of the sum is in the bias. Weights
 * and bias are doubled, which makes the rounded high half of the product with the multiplier the
 * one that TFLM computes (tinyml_scale_small).
 *
 * Memory: what a channel still needs of the rows that its output overwrites is in the lines, and
 * other channels lie elsewhere as long as input and output are a whole number of pixels apart.
 * Where they overlap and are not, the input is moved down first. So the output may start at the
 * input or anywhere below it.
 */
#ifndef TINYML_DSP_DEPTHWISE_H
#define TINYML_DSP_DEPTHWISE_H

#include "tinyml_bytes.h"
#include "tinyml_dsp_depthwise_rows.h"

typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t padding_top;
  int32_t padding_left;
  int32_t channels; /* at least 2 */
  int32_t input_zero_point;
  int32_t output_zero_point;
  int32_t activation_min;
  int32_t activation_max;
  int32_t channel_step; /* 1: a multiplier and shift for each channel; 0: one for all */
} tinyml_dsp_depthwise_params;

/* The layer's constants, in flash. */
typedef struct {
  const int8_t *weights; /* [channel][row][column] */
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
} tinyml_dsp_depthwise_constants;

TINYML_INLINE void tinyml_dsp_depthwise_unpack(const tinyml_dsp_depthwise_params *p,
                                               const tinyml_dsp_depthwise_constants *constants,
                                               int32_t channel, int32_t stride,
                                               tinyml_dsp_depthwise_filter *filter) {
  const int8_t *weights = constants->weights + channel * 9;
  for (int32_t column = 0; column < 3; ++column) {
    const uint32_t row0 = (uint32_t)(weights[column] * 2);
    const uint32_t row1 = (uint32_t)(weights[3 + column] * 2);
    const uint32_t row2 = (uint32_t)(weights[6 + column] * 2);
    filter->upper[column] = tinyml_pkhbt(row0, row1);
    filter->lower[column] = tinyml_pkhbt(row1, row2);
  }
  const int32_t shift = -constants->shift[channel * p->channel_step];
  filter->bias = constants->bias[channel] * 2;
  filter->multiplier = constants->multiplier[channel * p->channel_step];
  filter->offset = (2 * p->output_zero_point + 1) * (INT32_C(1) << (shift - 1));
  filter->shift = shift;
  filter->below = p->output_width * p->channels;
  filter->step = p->channels;
  filter->span = p->output_width * stride;
  filter->next = 0;
  filter->activation_min = p->activation_min;
  filter->activation_max = p->activation_max;
}

/* -- lines of two rows ------------------------------------------------------------------------- */

TINYML_INLINE uint32_t tinyml_dsp_load_channels(const int8_t *pixel) {
  uint16_t channels;
  __builtin_memcpy(&channels, pixel, 2);
  return channels;
}

/* Where the lines of two channels come from. */
typedef struct {
  const int8_t *input; /* the first row, at the first of the channels */
  int32_t rows;
  int32_t row_bytes;
  int32_t step;    /* from a pixel to the next */
  int32_t columns; /* pixels of a row that the windows reach */
  int32_t next;    /* words from the first channel's lines to the second's */
  int8_t padding[2];
} tinyml_dsp_depthwise_source;

/* Widens rows `row` and `row` + 1 into `line`. A row outside is a pixel of padding again and again.
 */
TINYML_SHARED void tinyml_dsp_depthwise_fill(const tinyml_dsp_depthwise_source *source, int32_t row,
                                             uint32_t *line) {
  const int8_t *upper = source->padding, *lower = source->padding;
  int32_t upper_step = 0, lower_step = 0;
  if ((uint32_t)row < (uint32_t)source->rows) {
    upper = source->input + row * source->row_bytes;
    upper_step = source->step;
  }
  if (row + 1 < source->rows) {
    lower = source->input + (row + 1) * source->row_bytes;
    lower_step = source->step;
  }
  uint32_t *next = line + source->next;
  int32_t columns = source->columns;
  for (; columns >= 2; columns -= 2) {
    const uint32_t left =
        tinyml_pkhbt(tinyml_dsp_load_channels(upper), tinyml_dsp_load_channels(lower));
    const uint32_t right = tinyml_pkhbt(tinyml_dsp_load_channels(upper + upper_step),
                                        tinyml_dsp_load_channels(lower + lower_step));
    upper += 2 * upper_step;
    lower += 2 * lower_step;
    line[0] = tinyml_sxtb16(left);
    line[1] = tinyml_sxtb16(right);
    next[0] = tinyml_sxtb16_odd(left);
    next[1] = tinyml_sxtb16_odd(right);
    line += 2;
    next += 2;
  }
  if (columns > 0) {
    const uint32_t last =
        tinyml_pkhbt(tinyml_dsp_load_channels(upper), tinyml_dsp_load_channels(lower));
    *line = tinyml_sxtb16(last);
    *next = tinyml_sxtb16_odd(last);
  }
}

/* -- the image --------------------------------------------------------------------------------- */

/* The output row or rows of the channels from `f` on that two lines give. */
typedef void tinyml_dsp_depthwise_rows(const uint32_t *upper, const uint32_t *lower, int8_t *output,
                                       const tinyml_dsp_depthwise_filter *f);

/* Columns of a line: what the output row's windows span. */
TINYML_INLINE int32_t tinyml_dsp_depthwise_columns(const tinyml_dsp_depthwise_params *p,
                                                   int32_t stride) {
  return (p->output_width - 1) * stride + 3;
}

/* Two neighbouring channels of an image; of these, those from `lane` on are computed. The lines are
 * [channel][parity][column], with their padding on the left and right already filled. */
TINYML_INLINE void tinyml_dsp_depthwise_channels(const tinyml_dsp_depthwise_params *p,
                                                 const tinyml_dsp_depthwise_source *source,
                                                 tinyml_dsp_depthwise_filter filters[2],
                                                 int32_t stride, tinyml_dsp_depthwise_rows *rows,
                                                 int32_t lane, int8_t *output, uint32_t *lines) {
  const int32_t rows_at_once = 3 - stride;
  const int32_t output_bytes = rows_at_once * p->output_width * p->channels;
  const int32_t start = lane * source->next;
  uint32_t *upper = lines, *lower = lines + source->next / 2;
  int32_t row = -p->padding_top;
  tinyml_dsp_depthwise_fill(source, row, upper + p->padding_left);
  for (int32_t left = p->output_height; left > 0; left -= rows_at_once) {
    row += 2;
    tinyml_dsp_depthwise_fill(source, row, lower + p->padding_left);
    if (left == 1) {
      filters[0].below = filters[1].below = 0;
    }
    rows(upper + start, lower + start, output + lane, filters + lane);
    output += output_bytes;
    uint32_t *swapped = upper;
    upper = lower;
    lower = swapped;
  }
}

TINYML_INLINE void tinyml_dsp_depthwise_batch(const tinyml_dsp_depthwise_params *p, int32_t stride,
                                              tinyml_dsp_depthwise_rows *rows, const int8_t *input,
                                              const tinyml_dsp_depthwise_constants *constants,
                                              int8_t *output, uint32_t *lines) {
  const int32_t width = tinyml_dsp_depthwise_columns(p, stride);
  const int8_t zero = (int8_t)p->input_zero_point;
  tinyml_dsp_depthwise_source source = {.rows = p->input_height,
                                        .row_bytes = p->input_width * p->channels,
                                        .step = p->channels,
                                        .columns =
                                            tinyml_min(p->input_width, width - p->padding_left),
                                        .next = 2 * width,
                                        .padding = {zero, zero}};
  for (int32_t channel = 0; channel < p->channels; channel += 2) {
    /* Of an odd number, the last comes with the one before it, which is not computed again: where
     * the output took its place, its input is gone. */
    const int32_t base = tinyml_min(channel, p->channels - 2);
    tinyml_dsp_depthwise_filter filters[2];
    tinyml_dsp_depthwise_unpack(p, constants, base, stride, &filters[0]);
    tinyml_dsp_depthwise_unpack(p, constants, base + 1, stride, &filters[1]);
    filters[0].next = source.next;
    source.input = input + base;
    tinyml_dsp_depthwise_channels(p, &source, filters, stride, rows, channel - base, output + base,
                                  lines);
  }
}

/* The input where a whole number of pixels lies between it and the output, or no byte is shared. */
TINYML_INLINE const int8_t *tinyml_dsp_depthwise_align(const tinyml_dsp_depthwise_params *p,
                                                       const int8_t *input, int8_t *output) {
  const uintptr_t distance = (uintptr_t)input - (uintptr_t)output;
  const int32_t output_bytes = p->batches * p->output_height * p->output_width * p->channels;
  const uintptr_t excess = distance % (uintptr_t)p->channels;
  if (excess == 0 || distance >= (uintptr_t)output_bytes) {
    return input;
  }
  int8_t *moved = output + (distance - excess);
  tinyml_copy(moved, input, p->batches * p->input_height * p->input_width * p->channels);
  return moved;
}

/* One instance for all layers: what the stride and the form of the outputs decide is in `rows`. */
TINYML_SHARED void tinyml_dsp_depthwise(const tinyml_dsp_depthwise_params *p, int32_t stride,
                                        tinyml_dsp_depthwise_rows *rows, const int8_t *input,
                                        const tinyml_dsp_depthwise_constants *constants,
                                        int8_t *output, int8_t *scratch) {
  uint32_t *lines = (uint32_t *)(void *)scratch;
  const int32_t words = 4 * tinyml_dsp_depthwise_columns(p, stride);
  const uint32_t padding = (uint32_t)p->input_zero_point;
  for (int32_t i = 0; i < words; ++i) {
    lines[i] = tinyml_pkhbt(padding, padding);
  }
  input = tinyml_dsp_depthwise_align(p, input, output);
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    tinyml_dsp_depthwise_batch(p, stride, rows, input, constants, output, lines);
    input += p->input_height * p->input_width * p->channels;
    output += p->output_height * p->output_width * p->channels;
  }
}

/* -- what layers call -------------------------------------------------------------------------- */

#define TINYML_DSP_DEPTHWISE(NAME, STRIDE, ROWS)                                                   \
  TINYML_INLINE void NAME(const tinyml_dsp_depthwise_params *p, const int8_t *input,               \
                          const int8_t *weights, const int32_t *bias, const int32_t *multiplier,   \
                          const int8_t *shift, int8_t *output, int8_t *scratch) {                  \
    const tinyml_dsp_depthwise_constants constants = {weights, bias, multiplier, shift};           \
    tinyml_dsp_depthwise(p, STRIDE, ROWS, input, &constants, output, scratch);                     \
  }

TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride1_relu, 1, tinyml_dsp_depthwise_rows_1_relu)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride1_signed, 1, tinyml_dsp_depthwise_rows_1_signed)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride1_clamp, 1, tinyml_dsp_depthwise_rows_1_clamp)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride2_relu, 2, tinyml_dsp_depthwise_rows_2_relu)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride2_signed, 2, tinyml_dsp_depthwise_rows_2_signed)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride2_clamp, 2, tinyml_dsp_depthwise_rows_2_clamp)

#endif
