/* DEPTHWISE_CONV_2D 3x3, int8, for cores without SIMD instructions: stride 1 or 2, one output for
 * each channel. Equals depthwise_conv_2d.h to the bit.
 *
 * Up to four neighbouring channels at a time go through the whole image. The three input rows that
 * an output row reads are copied into lines, padding included, so that no window has to be looked
 * at and columns lie a word apart; four outputs of a row share their inputs and weights.
 *
 * Memory: what a channel still needs of the rows that its output overwrites is in the lines, and
 * other channels lie elsewhere as long as input and output are a whole number of pixels apart.
 * Where they overlap and are not, the input is moved down first. So the output may start at the
 * input or anywhere below it.
 */
#ifndef TINYML_DEPTHWISE_CONV_2D_SCALAR_H
#define TINYML_DEPTHWISE_CONV_2D_SCALAR_H

#include "tinyml_scalar_armv6m.h"

#define TINYML_SCALAR_LANES 4 /* channels at a time; bytes from column to column of a line */

typedef struct tinyml_depthwise_conv_2d_scalar_params tinyml_depthwise_conv_2d_scalar_params;

/* A channel's constants. */
typedef struct {
  const int8_t *weights;
  int32_t bias;
  tinyml_scalar_scale scale;
} tinyml_scalar_filter;

struct tinyml_depthwise_conv_2d_scalar_params {
  int16_t batches;
  int16_t input_height;
  int16_t input_width;
  int16_t output_height;
  int16_t output_width;
  int16_t padding_top;
  int16_t padding_left;
  int16_t channels;
  uint8_t stride;
  int8_t input_zero_point;
  uint8_t scale_step; /* 1: constants for each channel; 0: the same for all */
  uint8_t form;       /* TINYML_SCALAR_… */
  tinyml_requantization output;
  /* The instance below for the layer's stride and form, or for all forms, which takes the form's
   * function. Named by the layer, so that no other is linked. Writes one channel of an output row.
   */
  void (*row)(const tinyml_depthwise_conv_2d_scalar_params *p, const int8_t *const lines[3],
              const tinyml_scalar_filter *filter, int8_t *output);
  tinyml_scalar_finisher *finish; /* NULL where the row is for one form */
};

/* -- one channel of a row ---------------------------------------------------------------------- */

/* What the input x of a column adds to the sum of an output. Literals decide, so no test is left.
 */
#define TINYML_SCALAR_TAP(sum, column, first)                                                      \
  if ((column) == (first)) {                                                                       \
    (sum) += x * w0;                                                                               \
  } else if ((column) == (first) + 1) {                                                            \
    (sum) += x * w1;                                                                               \
  } else if ((column) == (first) + 2) {                                                            \
    (sum) += x * w2;                                                                               \
  }

#define TINYML_SCALAR_COLUMN(column)                                                               \
  if ((column) < 3 * stride + 3) {                                                                 \
    const int32_t x = line[TINYML_SCALAR_LANES * (column)];                                        \
    TINYML_SCALAR_TAP(a, column, 0)                                                                \
    TINYML_SCALAR_TAP(b, column, stride)                                                           \
    TINYML_SCALAR_TAP(c, column, 2 * stride)                                                       \
    TINYML_SCALAR_TAP(d, column, 3 * stride)                                                       \
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d) : : "memory");                        \
  }

/* Adds a row of the filter to the sums of four neighbouring outputs. */
#define TINYML_SCALAR_FOUR_OUTPUTS(row)                                                            \
  do {                                                                                             \
    const int8_t *const line = lines[row] + column;                                                \
    const int32_t w0 = w[3 * (row)], w1 = w[3 * (row) + 1], w2 = w[3 * (row) + 2];                 \
    TINYML_SCALAR_COLUMN(0)                                                                        \
    TINYML_SCALAR_COLUMN(1)                                                                        \
    TINYML_SCALAR_COLUMN(2)                                                                        \
    TINYML_SCALAR_COLUMN(3)                                                                        \
    TINYML_SCALAR_COLUMN(4)                                                                        \
    TINYML_SCALAR_COLUMN(5)                                                                        \
    TINYML_SCALAR_COLUMN(6)                                                                        \
    TINYML_SCALAR_COLUMN(7)                                                                        \
    TINYML_SCALAR_COLUMN(8)                                                                        \
  } while (0)

TINYML_INLINE void tinyml_scalar_depthwise_row(int32_t form, int32_t stride,
                                               const tinyml_depthwise_conv_2d_scalar_params *p,
                                               const int8_t *const lines[3],
                                               const tinyml_scalar_filter *filter, int8_t *output) {
  const int8_t *const w = filter->weights;
  const tinyml_scalar_scale scale = filter->scale;
  const int32_t channels = p->channels, step = TINYML_SCALAR_LANES * stride;
  int32_t column = 0, left = p->output_width;
  for (; left >= 4; left -= 4, column += 4 * step) {
    int32_t a = filter->bias, b = a, c = a, d = a;
    TINYML_SCALAR_FOUR_OUTPUTS(0);
    TINYML_SCALAR_FOUR_OUTPUTS(1);
    TINYML_SCALAR_FOUR_OUTPUTS(2);
    if (form == TINYML_SCALAR_ANY) {
      const int32_t sums[4] = {a, b, c, d};
      p->finish(&p->output, &scale, sums, 4, output, channels);
      output += 4 * channels;
      continue;
    }
    output[0] = tinyml_scalar_requantize(form, &p->output, &scale, a);
    output += channels;
    output[0] = tinyml_scalar_requantize(form, &p->output, &scale, b);
    output += channels;
    output[0] = tinyml_scalar_requantize(form, &p->output, &scale, c);
    output += channels;
    output[0] = tinyml_scalar_requantize(form, &p->output, &scale, d);
    output += channels;
  }
  for (; left > 0; --left, column += step) {
    int32_t sum = filter->bias;
    for (int32_t row = 0; row < 3; ++row) {
      const int8_t *const line = lines[row] + column;
      sum += line[0] * w[3 * row];
      sum += line[TINYML_SCALAR_LANES] * w[3 * row + 1];
      sum += line[2 * TINYML_SCALAR_LANES] * w[3 * row + 2];
    }
    if (form == TINYML_SCALAR_ANY) {
      p->finish(&p->output, &scale, &sum, 1, output, channels);
    } else {
      output[0] = tinyml_scalar_requantize(form, &p->output, &scale, sum);
    }
    output += channels;
  }
}

#define TINYML_SCALAR_DEPTHWISE_ROW(name, form, stride)                                            \
  TINYML_SCALAR_SHARED void tinyml_scalar_depthwise_##name(                                        \
      const tinyml_depthwise_conv_2d_scalar_params *p, const int8_t *const lines[3],               \
      const tinyml_scalar_filter *filter, int8_t *output) {                                        \
    tinyml_scalar_depthwise_row(form, stride, p, lines, filter, output);                           \
  }

TINYML_SCALAR_DEPTHWISE_ROW(1_clamped, TINYML_SCALAR_CLAMPED, 1)
TINYML_SCALAR_DEPTHWISE_ROW(1_signed, TINYML_SCALAR_SIGNED, 1)
TINYML_SCALAR_DEPTHWISE_ROW(1_general, TINYML_SCALAR_GENERAL, 1)
TINYML_SCALAR_DEPTHWISE_ROW(2_clamped, TINYML_SCALAR_CLAMPED, 2)
TINYML_SCALAR_DEPTHWISE_ROW(2_signed, TINYML_SCALAR_SIGNED, 2)
TINYML_SCALAR_DEPTHWISE_ROW(2_general, TINYML_SCALAR_GENERAL, 2)
TINYML_SCALAR_DEPTHWISE_ROW(1_narrow, TINYML_SCALAR_NARROW, 1)
TINYML_SCALAR_DEPTHWISE_ROW(2_narrow, TINYML_SCALAR_NARROW, 2)

/* For all forms, where code shall be small. */
TINYML_SCALAR_DEPTHWISE_ROW(1, TINYML_SCALAR_ANY, 1)
TINYML_SCALAR_DEPTHWISE_ROW(2, TINYML_SCALAR_ANY, 2)

/* -- lines ------------------------------------------------------------------------------------- */

/* Columns of a line: what the output row's windows span. */
TINYML_INLINE int32_t tinyml_scalar_line_columns(const tinyml_depthwise_conv_2d_scalar_params *p) {
  return (p->output_width - 1) * p->stride + 3;
}

/* Copies some channels of an input row into a line. input: the first channel of row 0. */
TINYML_SCALAR_SHARED void tinyml_scalar_fill_line(const tinyml_depthwise_conv_2d_scalar_params *p,
                                                  const int8_t *input, int32_t row, int32_t lanes,
                                                  int8_t *line) {
  int32_t columns = tinyml_min(p->input_width, tinyml_scalar_line_columns(p) - p->padding_left);
  line += TINYML_SCALAR_LANES * p->padding_left;
  if (row < 0 || row >= p->input_height) {
    for (int32_t i = 0; i < TINYML_SCALAR_LANES * columns; ++i) {
      line[i] = p->input_zero_point;
    }
    return;
  }
  input += row * p->input_width * p->channels;
  if (lanes == TINYML_SCALAR_LANES && p->channels % 4 == 0 && tinyml_scalar_is_aligned(input)) {
    for (; columns > 0; --columns) {
      tinyml_scalar_copy_word(line, input);
      input += p->channels;
      line += TINYML_SCALAR_LANES;
    }
    return;
  }
  for (; columns > 0; --columns) {
    for (int32_t lane = 0; lane < lanes; ++lane) {
      line[lane] = input[lane];
    }
    input += p->channels;
    line += TINYML_SCALAR_LANES;
  }
}

/* -- an image ---------------------------------------------------------------------------------- */

/* Some neighbouring channels of an image, through all of its rows. */
TINYML_INLINE void tinyml_scalar_depthwise_lanes(const tinyml_depthwise_conv_2d_scalar_params *p,
                                                 const int8_t *input,
                                                 const tinyml_scalar_filter *filters, int32_t lanes,
                                                 int8_t *output, int8_t *scratch) {
  const int32_t bytes = TINYML_SCALAR_LANES * tinyml_scalar_line_columns(p);
  int8_t *lines[3] = {scratch, scratch + bytes, scratch + 2 * bytes};
  int32_t next = -p->padding_top; /* the input row that is copied next */
  int32_t missing = 3;
  for (int32_t y = 0; y < p->output_height; ++y) {
    for (; missing > 0; --missing, ++next) {
      int8_t *const oldest = lines[0];
      lines[0] = lines[1];
      lines[1] = lines[2];
      lines[2] = oldest;
      tinyml_scalar_fill_line(p, input, next, lanes, oldest);
    }
    missing = p->stride;
    for (int32_t lane = 0; lane < lanes; ++lane) {
      const int8_t *const channel[3] = {lines[0] + lane, lines[1] + lane, lines[2] + lane};
      p->row(p, channel, &filters[lane], output + lane);
    }
    output += p->output_width * p->channels;
  }
}

/* input: NHWC. weights: [channel][row][column]. scratch: three lines. */
TINYML_SCALAR_SHARED void
tinyml_depthwise_conv_2d_scalar(const tinyml_depthwise_conv_2d_scalar_params *p,
                                const int8_t *input, const int8_t *weights, const int32_t *bias,
                                const int32_t *scale, const int8_t *shift, int8_t *output,
                                int8_t *scratch) {
  const int32_t input_bytes = p->input_height * p->input_width * p->channels;
  const int32_t output_bytes = p->output_height * p->output_width * p->channels;
  input = tinyml_whole_pixels_above(input, p->batches * input_bytes, output,
                                    p->batches * output_bytes, p->channels, tinyml_scalar_copy);
  for (int32_t i = 0; i < 3 * TINYML_SCALAR_LANES * tinyml_scalar_line_columns(p); ++i) {
    scratch[i] = p->input_zero_point;
  }
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    for (int32_t first = 0; first < p->channels; first += TINYML_SCALAR_LANES) {
      const int32_t lanes = tinyml_min(TINYML_SCALAR_LANES, p->channels - first);
      tinyml_scalar_filter filters[TINYML_SCALAR_LANES];
      for (int32_t lane = 0; lane < lanes; ++lane) {
        const int32_t channel = first + lane;
        filters[lane].weights = weights + 9 * channel;
        filters[lane].bias = bias[channel];
        filters[lane].scale =
            tinyml_scalar_load(p->form, &p->output, scale, shift, channel * p->scale_step);
      }
      tinyml_scalar_depthwise_lanes(p, input + first, filters, lanes, output + first, scratch);
    }
    input += input_bytes;
    output += output_bytes;
  }
}

#endif
