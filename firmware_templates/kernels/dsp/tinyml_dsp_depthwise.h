/* DEPTHWISE_CONV_2D 3x3, int8, for the DSP extension: stride 1 or 2, one output for each channel.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h.
 *
 * Four channels at a time go through the whole image. Two input rows at a time are widened into a
 * line of words, a word holding a column's upper and lower pixel, so that one SMLAD makes two taps:
 *
 *   stride 1: two lines are four input rows, and give two output rows
 *   stride 2: the upper line and the upper half of the lower one are three, and give one
 *
 * The padding is filled with the input's zero point, whose share of the sum is in the bias.
 * tinyml_dsp_depthwise_outputs.h has what becomes of a sum.
 *
 * Memory: what a channel still needs of the rows that its output overwrites is in the lines, and
 * other channels lie elsewhere as long as input and output are a whole number of pixels apart.
 * Where they overlap and are not, the input is moved down first. So the output may start at the
 * input or anywhere below it.
 */
#ifndef TINYML_DSP_DEPTHWISE_H
#define TINYML_DSP_DEPTHWISE_H

#include "tinyml_dsp_depthwise_rows.h"

typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t channels; /* at least 4 */
  tinyml_dsp_depthwise_scaling scaling;
  int8_t padding_top;
  int8_t padding_left;
  int8_t input_zero_point;
} tinyml_dsp_depthwise_params;

#define TINYML_DSP_DEPTHWISE_LANES 4

/* The layer's constants, in flash. */
typedef struct {
  const int8_t *weights; /* of each channel, the taps 0, 1, 3, 4, 2, 6, 5, 7, 8 */
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t
      *shift; /* to the left, before the product; for TINYML_DSP_CLAMP to the right, after */
} tinyml_dsp_depthwise_constants;

/* Both halves times 2^shift. */
TINYML_INLINE uint32_t tinyml_dsp_shift_halves(uint32_t halves, int32_t shift) {
  return tinyml_pkhbt(halves << shift, (halves >> 16) << shift);
}

/* A channel's weights and constants. */
TINYML_INLINE void tinyml_dsp_depthwise_unpack(const tinyml_dsp_depthwise_params *p,
                                               const tinyml_dsp_depthwise_constants *constants,
                                               int32_t channel,
                                               tinyml_dsp_depthwise_filter *filter) {
  const int8_t *weights = constants->weights + channel * 9;
  const uint32_t first = tinyml_load_word(weights), second = tinyml_load_word(weights + 4);
  const int32_t shift = constants->shift[channel];
  const int32_t left = tinyml_dsp_depthwise_left(&p->scaling, shift);
  const uint32_t column0 = tinyml_dsp_shift_halves(tinyml_sxtb16(first), left);
  const uint32_t column1 = tinyml_dsp_shift_halves(tinyml_sxtb16_odd(first), left);
  const uint32_t column2 = tinyml_dsp_shift_halves(tinyml_sxtb16(second), left);
  const uint32_t row2 = tinyml_dsp_shift_halves(tinyml_sxtb16_odd(second), left);
  filter->upper[0] = column0;
  filter->upper[1] = column1;
  filter->upper[2] = column2;
  filter->lower[0] = tinyml_pkhtb(row2 << 16, column0);
  filter->lower[1] = tinyml_pkhtb(row2, column1);
  filter->lower[2] = (column2 >> 16) | ((uint32_t)weights[8] << (16 + left));
  filter->bias = constants->bias[channel];
  filter->scale =
      tinyml_dsp_depthwise_scale_of(&p->scaling, left, constants->multiplier[channel], shift);
}

/* What all channels have in common. */
TINYML_INLINE void tinyml_dsp_depthwise_prepare(const tinyml_dsp_depthwise_params *p,
                                                int32_t stride, int32_t next,
                                                tinyml_dsp_depthwise_filter *filter) {
  filter->step = p->channels;
  filter->span = p->output_width * stride;
  filter->next = next;
  filter->activation_min = p->scaling.activation_min;
  filter->activation_max = p->scaling.activation_max;
}

/* -- lines of two rows ------------------------------------------------------------------------- */

/* Where the lines of four channels come from. The assembler knows the order. */
typedef struct {
  int32_t row_bytes;
  int32_t step;        /* from a pixel to the next */
  int32_t columns;     /* pixels of a row that the windows reach */
  int32_t next;        /* words from a channel's lines to the next one's */
  const int8_t *input; /* the first row, at the first of the channels */
  int32_t rows;
  int8_t padding[TINYML_DSP_DEPTHWISE_LANES];
} tinyml_dsp_depthwise_source;

/* Widens two rows into `line`. A step of 0 repeats a pixel: of padding. */
TINYML_INLINE void tinyml_dsp_depthwise_widen(const tinyml_dsp_depthwise_source *source,
                                              const int8_t *upper, int32_t upper_step,
                                              const int8_t *lower, int32_t lower_step,
                                              uint32_t *line) {
  uint32_t *next = line + 2 * source->next;
  for (int32_t column = 0; column < source->columns; ++column) {
    const uint32_t above = tinyml_load_word(upper), below = tinyml_load_word(lower);
    const uint32_t low = tinyml_pkhbt(above, below);
    const uint32_t high = tinyml_pkhtb(below, above);
    line[0] = tinyml_sxtb16(low);
    line[source->next] = tinyml_sxtb16_odd(low);
    next[0] = tinyml_sxtb16(high);
    next[source->next] = tinyml_sxtb16_odd(high);
    upper += upper_step;
    lower += lower_step;
    ++line;
    ++next;
  }
}

/* The same for two rows of the input: 24 instructions for two columns of four channels. */
#if TINYML_HAS_DSP
/* clang-format off */
TINYML_NAKED void tinyml_dsp_depthwise_widen_rows(
    uint32_t *line TINYML_UNUSED, const int8_t *upper TINYML_UNUSED,
    const tinyml_dsp_depthwise_source *source TINYML_UNUSED) {
  __asm__("push {r4-r11, lr}\n"
          "ldm r2, {r4-r7}\n" /* row_bytes, step, columns, next */
          "mov r3, r1\n"
          "add r1, r0, r7, lsl #2\n"
          "add r2, r0, r7, lsl #3\n"
          "add r7, r2, r7, lsl #2\n"
          "subs r6, r6, #2\n"
          "blt 2f\n"
          "1:\n"
          "ldr r8, [r3]\n"
          "ldr r9, [r3, r4]\n"
          "add r3, r3, r5\n"
          "ldr r10, [r3]\n"
          "ldr r11, [r3, r4]\n"
          "add r3, r3, r5\n"
          "pkhbt r12, r8, r9, lsl #16\n"
          "pkhbt lr, r10, r11, lsl #16\n"
          "pkhtb r9, r9, r8, asr #16\n"
          "pkhtb r11, r11, r10, asr #16\n"
          "sxtb16 r8, r12\n"
          "sxtb16 r10, lr\n"
          "sxtb16 r12, r12, ror #8\n"
          "sxtb16 lr, lr, ror #8\n"
          "strd r8, r10, [r0], #8\n"
          "strd r12, lr, [r1], #8\n"
          "sxtb16 r8, r9\n"
          "sxtb16 r10, r11\n"
          "sxtb16 r9, r9, ror #8\n"
          "sxtb16 r11, r11, ror #8\n"
          "strd r8, r10, [r2], #8\n"
          "strd r9, r11, [r7], #8\n"
          "subs r6, r6, #2\n"
          "bge 1b\n"
          "2:\n"
          "adds r6, r6, #2\n"
          "beq 3f\n"
          "ldr r8, [r3]\n"
          "ldr r9, [r3, r4]\n"
          "pkhbt r12, r8, r9, lsl #16\n"
          "pkhtb r9, r9, r8, asr #16\n"
          "sxtb16 r8, r12\n"
          "sxtb16 r12, r12, ror #8\n"
          "sxtb16 r10, r9\n"
          "sxtb16 r9, r9, ror #8\n"
          "str r8, [r0]\n"
          "str r12, [r1]\n"
          "str r10, [r2]\n"
          "str r9, [r7]\n"
          "3:\n"
          "pop {r4-r11, pc}\n");
}
/* clang-format on */
#else
TINYML_SHARED void tinyml_dsp_depthwise_widen_rows(uint32_t *line, const int8_t *upper,
                                                   const tinyml_dsp_depthwise_source *source) {
  tinyml_dsp_depthwise_widen(source, upper, source->step, upper + source->row_bytes, source->step,
                             line);
}
#endif

/* Widens rows `row` and `row` + 1, of which one or both are padding. */
TINYML_SHARED void tinyml_dsp_depthwise_widen_edge(uint32_t *line, int32_t row,
                                                   const tinyml_dsp_depthwise_source *source) {
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
  tinyml_dsp_depthwise_widen(source, upper, upper_step, lower, lower_step, line);
}

TINYML_INLINE void tinyml_dsp_depthwise_fill(const tinyml_dsp_depthwise_source *source, int32_t row,
                                             uint32_t *line) {
  if (row >= 0 && row + 1 < source->rows) {
    tinyml_dsp_depthwise_widen_rows(line, source->input + row * source->row_bytes, source);
  } else {
    tinyml_dsp_depthwise_widen_edge(line, row, source);
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

/* Four neighbouring channels of an image; of these, those from `lane` on are computed. The lines
 * are [channel][parity][column], with their padding on the left and right already filled. */
TINYML_INLINE void tinyml_dsp_depthwise_channels(const tinyml_dsp_depthwise_params *p,
                                                 const tinyml_dsp_depthwise_source *source,
                                                 tinyml_dsp_depthwise_filter *filters,
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
    for (int32_t i = 0; left == 1 && i < TINYML_DSP_DEPTHWISE_LANES; ++i) {
      filters[i].below = 0;
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
  const int8_t zero = p->input_zero_point;
  tinyml_dsp_depthwise_source source = {.rows = p->input_height,
                                        .row_bytes = p->input_width * p->channels,
                                        .step = p->channels,
                                        .columns =
                                            tinyml_min(p->input_width, width - p->padding_left),
                                        .next = 2 * width,
                                        .padding = {zero, zero, zero, zero}};
  tinyml_dsp_depthwise_filter filters[TINYML_DSP_DEPTHWISE_LANES];
  for (int32_t lane = 0; lane < TINYML_DSP_DEPTHWISE_LANES; ++lane) {
    const int32_t is_last = lane == TINYML_DSP_DEPTHWISE_LANES - 1;
    tinyml_dsp_depthwise_prepare(p, stride, is_last ? 0 : source.next, &filters[lane]);
  }
  /* In a register, as the loop is too long to be unrolled. */
  const int32_t lanes = tinyml_in_register(TINYML_DSP_DEPTHWISE_LANES);
  const int32_t below = p->output_width * p->channels;
  for (int32_t channel = 0; channel < p->channels; channel += TINYML_DSP_DEPTHWISE_LANES) {
    /* The last four of a number that is no multiple include some of those before them, which are
     * not computed again: where the output took their place, their input is gone. */
    const int32_t base = tinyml_min(channel, p->channels - TINYML_DSP_DEPTHWISE_LANES);
    for (int32_t lane = 0; lane < lanes; ++lane) {
      tinyml_dsp_depthwise_unpack(p, constants, base + lane, &filters[lane]);
      filters[lane].below = below;
    }
    source.input = input + base;
    tinyml_dsp_depthwise_channels(p, &source, filters, stride, rows, channel - base, output + base,
                                  lines);
  }
}

/* One instance for all layers: what the stride and the form of the outputs decide is in `rows`. */
TINYML_SHARED void tinyml_dsp_depthwise(const tinyml_dsp_depthwise_params *p, int32_t stride,
                                        tinyml_dsp_depthwise_rows *rows, const int8_t *input,
                                        const tinyml_dsp_depthwise_constants *constants,
                                        int8_t *output, int8_t *scratch) {
  uint32_t *lines = (uint32_t *)(void *)scratch;
  const int32_t words = 2 * TINYML_DSP_DEPTHWISE_LANES * tinyml_dsp_depthwise_columns(p, stride);
  const uint32_t padding = (uint32_t)(int32_t)p->input_zero_point;
  for (int32_t i = 0; i < words; ++i) {
    lines[i] = tinyml_pkhbt(padding, padding);
  }
  const int32_t input_bytes = p->input_height * p->input_width * p->channels;
  const int32_t output_bytes = p->output_height * p->output_width * p->channels;
  input = tinyml_dsp_depthwise_input(input, p->batches * input_bytes, output,
                                     p->batches * output_bytes, p->channels);
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    tinyml_dsp_depthwise_batch(p, stride, rows, input, constants, output, lines);
    input += input_bytes;
    output += output_bytes;
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
