/* DEPTHWISE_CONV_2D 3x3, int8, for cores with MVE: stride 1 or 2, one output for each channel.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h.
 *
 * Sixteen channels at a time go through the whole image. Two input rows at a time are interleaved
 * into a line, which has for each column and channel the upper pixel and the lower one. Of two
 * lines, a channel's bytes of four columns make a vector of 4x4 pixels, and VMLADAV multiplies it
 * with a filter whose 3x3 weights lie in one of its corners:
 *
 *   stride 1: four corners give 2x2 outputs
 *   stride 2: one corner gives one output; four neighbours make a vector of them
 *
 * The padding is filled with the input's zero point, whose share of the sum is in the bias.
 *
 * Memory: what a channel still needs of the rows that its output overwrites is in the lines, and
 * other channels lie elsewhere as long as input and output are a whole number of pixels apart.
 * Where they overlap and are not, the input is moved down first. So the output may start at the
 * input or anywhere below it.
 */
#ifndef TINYML_MVE_DEPTHWISE_H
#define TINYML_MVE_DEPTHWISE_H

#include <stddef.h>

#include "../tinyml_bytes.h"
#include "tinyml_mve.h"

typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t padding_top;
  int32_t padding_left;
  int32_t channels;
  int32_t input_zero_point;
  int32_t line_columns; /* what is read for whole vectors of outputs */
  int32_t output_zero_point;
  int32_t activation_min;
  int32_t activation_max;
} tinyml_mve_depthwise_params;

#define TINYML_MVE_DEPTHWISE_LANES 16
#define TINYML_MVE_DEPTHWISE_COLUMN (2 * TINYML_MVE_DEPTHWISE_LANES) /* bytes, in a line */

/* Words of a channel's constants: three columns of three weights, the fourth byte of the first
 * being the shift, then bias and multiplier. */
#define TINYML_MVE_DEPTHWISE_FILTER 5

/* -- one or two rows of sixteen channels ------------------------------------------------------- */

/* Outputs to write: of each channel `whole` vectors, then `masked` ones of which some lanes, four
 * bits each, are stored. Lanes of stride 1 are two columns of the upper row, then of the lower one;
 * of stride 2, four columns. */
typedef struct {
  const int8_t *from; /* the first window of the first channel, in the lines */
  int8_t *to;
  int32_t to_step; /* from a vector to the next */
  const int32_t *filters;
  int32_t zero_point;
  const uint16_t *offsets; /* of a vector's eight pairs of bytes */
  const uint32_t *outputs; /* of a vector's four outputs */
  int32_t whole;
  int32_t masked;
  int32_t mask;
  int32_t from_next; /* from the end of a channel to the start of the next */
  int32_t to_next;
  const int32_t *filters_end;
} tinyml_mve_depthwise_rows;

#if TINYML_HAS_MVE

/* The corners that a filter may have in four columns of four rows: no bits of it are lost. */
#define TINYML_MVE_CORNERS_STRIDE1                                                                 \
  "mov r10, #0\n"                                                                                  \
  "vmov q1, q0\n"                                                                                  \
  "vshlc q1, r10, #32\n"                                                                           \
  "vmov q2, q0\n"                                                                                  \
  "vshlc q2, r10, #8\n"                                                                            \
  "vmov q3, q1\n"                                                                                  \
  "vshlc q3, r10, #8\n"
#define TINYML_MVE_CORNERS_STRIDE2 ""

#define TINYML_MVE_SUMS_STRIDE1                                                                    \
  "vldrh.u16 q4, [r1, q5]\n"                                                                       \
  "vmladav.s8 r0, q4, q0\n"                                                                        \
  "vmladav.s8 r2, q4, q1\n"                                                                        \
  "vmladav.s8 r4, q4, q2\n"                                                                        \
  "vmladav.s8 r6, q4, q3\n"                                                                        \
  "add r1, r1, #64\n"

#define TINYML_MVE_SUMS_STRIDE2                                                                    \
  "vldrh.u16 q1, [r1, q5]\n"                                                                       \
  "add r1, r1, #64\n"                                                                              \
  "vldrh.u16 q2, [r1, q5]\n"                                                                       \
  "add r1, r1, #64\n"                                                                              \
  "vldrh.u16 q3, [r1, q5]\n"                                                                       \
  "add r1, r1, #64\n"                                                                              \
  "vldrh.u16 q4, [r1, q5]\n"                                                                       \
  "add r1, r1, #64\n"                                                                              \
  "vmladav.s8 r0, q1, q0\n"                                                                        \
  "vmladav.s8 r2, q2, q0\n"                                                                        \
  "vmladav.s8 r4, q3, q0\n"                                                                        \
  "vmladav.s8 r6, q4, q0\n"

/* VQRDMLASH adds to the product's rounded high half the output's zero point, as far to the left as
 * the shift will go right: r7. Where that is 1 less, what turns out to be above zero gets it back:
 * so ties below zero round down. */
#define TINYML_MVE_ZERO_CLAMPED "lsl r7, r12, r7\n"
#define TINYML_MVE_ZERO_SIGNED                                                                     \
  "ldr r12, [sp, #24]\n"                                                                           \
  "lsl r7, r12, r7\n"                                                                              \
  "sub r7, r7, #1\n"                                                                               \
  "mov r12, #1\n"
#define TINYML_MVE_SCALE_CLAMPED "vqrdmlash.s32 q4, q6, r7\n"
#define TINYML_MVE_SCALE_SIGNED                                                                    \
  "vqrdmlash.s32 q4, q6, r7\n"                                                                     \
  "vpt.s32 ge, q4, r7\n"                                                                           \
  "vaddt.i32 q4, q4, r12\n"

/* From four sums to as many bytes, each the lowest of its lane; r3 goes to the next. */
#define TINYML_MVE_DEPTHWISE_OUTPUTS(SCALE, STORE)                                                 \
  "vmov q4[2], q4[0], r0, r4\n"                                                                    \
  "vmov q4[3], q4[1], r2, r6\n"                                                                    \
  "vadd.i32 q4, q4, r5\n" SCALE "vrshl.s32 q4, r8\n"                                               \
  "vqmovnb.s32 q4, q4\n"                                                                           \
  "vqmovnb.s16 q4, q4\n" STORE "add r3, r3, r9\n"

/* On the stack: whole, masked, mask, from_next, to_next, filters_end, zero_point. */
#define TINYML_MVE_DEPTHWISE_ROWS(NAME, CORNERS, SUMS, ZERO, SCALE)                                \
  TINYML_NAKED void NAME(const tinyml_mve_depthwise_params *p TINYML_UNUSED,                       \
                         const tinyml_mve_depthwise_rows *rows TINYML_UNUSED) {                    \
    __asm__ volatile(                                                                              \
        "push {r4-r11, lr}\n"                                                                      \
        "vpush {d8-d15}\n"                                                                         \
        "mov r0, r1\n"                                                                             \
        "ldm r0!, {r1, r3, r9, r11, r12}\n"                                                        \
        "ldm r0!, {r4, r6}\n"                                                                      \
        "vldrh.u16 q5, [r4]\n"                                                                     \
        "vldrw.u32 q7, [r6]\n"                                                                     \
        "ldm r0, {r4-r8, r10}\n"                                                                   \
        "push {r4-r8, r10, r12}\n"                                                                 \
        "1:\n"                                                                                     \
        "movw r10, #0x0777\n" /* the weights' bytes; the others are 0 */                           \
        "vmsr p0, r10\n"                                                                           \
        "vpst\n"                                                                                   \
        "vldrbt.u8 q0, [r11]\n"                                                                    \
        "ldrsb r8, [r11, #3]\n"                                                                    \
        "ldrd r5, r10, [r11, #12]\n"                                                               \
        "add r11, r11, #20\n"                                                                      \
        "vdup.32 q6, r10\n"                                                                        \
        "rsb r7, r8, #0\n" ZERO CORNERS "ldr r10, [sp, #0]\n"                                      \
        "wls lr, r10, 3f\n"                                                                        \
        "2:\n" SUMS TINYML_MVE_DEPTHWISE_OUTPUTS(                                                  \
            SCALE,                                                                                 \
            "vstrb.32 q4, [r3, q7]\n") "le lr, 2b\n"                                               \
                                       "3:\n"                                                      \
                                       "ldr r0, [sp, #4]\n"                                        \
                                       "ldr r10, [sp, #8]\n"                                       \
                                       "wls lr, r0, 5f\n"                                          \
                                       "4:\n" SUMS TINYML_MVE_DEPTHWISE_OUTPUTS(                   \
                                           SCALE,                                                  \
                                           "vmsr p0, r10\n"                                        \
                                           "vpst\n"                                                \
                                           "vstrbt.32 q4, [r3, q7]\n") "le lr, 4b\n"               \
                                                                       "5:\n"                      \
                                                                       "ldrd r0, r2, [sp, #12]\n"  \
                                                                       "add r1, r1, r0\n"          \
                                                                       "add r3, r3, r2\n"          \
                                                                       "ldr r0, [sp, #20]\n"       \
                                                                       "cmp r11, r0\n"             \
                                                                       "bne 1b\n"                  \
                                                                       "add sp, #28\n"             \
                                                                       "vpop {d8-d15}\n"           \
                                                                       "pop {r4-r11, pc}\n" ::     \
                                                                           : "r0", "r1", "r2",     \
                                                                             "r3", "r12", "q0",    \
                                                                             "q1", "q2", "q3",     \
                                                                             "cc", "memory");      \
  }

TINYML_MVE_DEPTHWISE_ROWS(tinyml_mve_depthwise_rows_1_clamped, TINYML_MVE_CORNERS_STRIDE1,
                          TINYML_MVE_SUMS_STRIDE1, TINYML_MVE_ZERO_CLAMPED,
                          TINYML_MVE_SCALE_CLAMPED)
TINYML_MVE_DEPTHWISE_ROWS(tinyml_mve_depthwise_rows_1_signed, TINYML_MVE_CORNERS_STRIDE1,
                          TINYML_MVE_SUMS_STRIDE1, TINYML_MVE_ZERO_SIGNED, TINYML_MVE_SCALE_SIGNED)
TINYML_MVE_DEPTHWISE_ROWS(tinyml_mve_depthwise_rows_2_clamped, TINYML_MVE_CORNERS_STRIDE2,
                          TINYML_MVE_SUMS_STRIDE2, TINYML_MVE_ZERO_CLAMPED,
                          TINYML_MVE_SCALE_CLAMPED)
TINYML_MVE_DEPTHWISE_ROWS(tinyml_mve_depthwise_rows_2_signed, TINYML_MVE_CORNERS_STRIDE2,
                          TINYML_MVE_SUMS_STRIDE2, TINYML_MVE_ZERO_SIGNED, TINYML_MVE_SCALE_SIGNED)

#endif

/* Four outputs of a channel, in the low bytes: see tinyml_mve_rescale. */
TINYML_INLINE tinyml_int32x4 tinyml_mve_depthwise_outputs(int32_t form,
                                                          const tinyml_mve_depthwise_params *p,
                                                          tinyml_int32x4 sums, int32_t multiplier,
                                                          int32_t shift) {
  tinyml_int32x4 value = tinyml_multiply_high_scalar(sums, multiplier);
  if (form == TINYML_MVE_SIGNED) {
    value = tinyml_add_int32x4(value, tinyml_sign(value));
  } else if (form == TINYML_MVE_GENERAL) {
    value = tinyml_add_int32x4(value, tinyml_sign(tinyml_and(value, tinyml_all_int32x4(shift))));
  }
  value = tinyml_add_scalar(tinyml_shift_scalar(value, shift), p->output_zero_point);
  value = tinyml_max_int32x4(value, tinyml_all_int32x4(p->activation_min));
  return tinyml_min_int32x4(value, tinyml_all_int32x4(p->activation_max));
}

/* What the assembler does, in any form. */
TINYML_INLINE void tinyml_mve_depthwise_rows_c(int32_t stride, int32_t form,
                                               const tinyml_mve_depthwise_params *p,
                                               const tinyml_mve_depthwise_rows *rows) {
  const int32_t next = stride == 1 ? 0 : 2 * TINYML_MVE_DEPTHWISE_COLUMN;
  const int8_t *from = rows->from;
  int8_t *to = rows->to;
  const int32_t *filter = rows->filters;
  for (; filter != rows->filters_end; filter += TINYML_MVE_DEPTHWISE_FILTER) {
    const int8_t *weights = (const int8_t *)filter;
    const tinyml_int8x16 corner = tinyml_load_filter(weights);
    const tinyml_int8x16 right = tinyml_up_by_4(corner);
    for (int32_t i = 0; i < rows->whole + rows->masked; ++i) {
      int32_t sum[4];
      if (stride == 1) {
        const tinyml_int8x16 pixels = tinyml_gather_pairs(from, rows->offsets);
        sum[0] = tinyml_dot(pixels, corner);
        sum[1] = tinyml_dot(pixels, right);
        sum[2] = tinyml_dot(pixels, tinyml_up_by_1(corner));
        sum[3] = tinyml_dot(pixels, tinyml_up_by_1(right));
      } else {
        for (int32_t column = 0; column < 4; ++column) {
          sum[column] =
              tinyml_dot(tinyml_gather_pairs(from + column * next, rows->offsets), corner);
        }
      }
      const tinyml_int32x4 sums =
          tinyml_add_scalar(tinyml_four(sum[0], sum[1], sum[2], sum[3]), filter[3]);
      tinyml_scatter_some(to, rows->outputs,
                          tinyml_mve_depthwise_outputs(form, p, sums, filter[4], weights[3]),
                          i < rows->whole ? 0xffff : rows->mask);
      from += stride == 1 ? 2 * TINYML_MVE_DEPTHWISE_COLUMN : 4 * next;
      to += rows->to_step;
    }
    from += rows->from_next;
    to += rows->to_next;
  }
}

#define TINYML_MVE_DEPTHWISE_ROWS_C(NAME, STRIDE, FORM)                                            \
  TINYML_SHARED void NAME(const tinyml_mve_depthwise_params *p,                                    \
                          const tinyml_mve_depthwise_rows *rows) {                                 \
    tinyml_mve_depthwise_rows_c(STRIDE, FORM, p, rows);                                            \
  }

TINYML_MVE_DEPTHWISE_ROWS_C(tinyml_mve_depthwise_rows_1_general, 1, TINYML_MVE_GENERAL)
TINYML_MVE_DEPTHWISE_ROWS_C(tinyml_mve_depthwise_rows_2_general, 2, TINYML_MVE_GENERAL)
#if !TINYML_HAS_MVE
TINYML_MVE_DEPTHWISE_ROWS_C(tinyml_mve_depthwise_rows_1_clamped, 1, TINYML_MVE_CLAMPED)
TINYML_MVE_DEPTHWISE_ROWS_C(tinyml_mve_depthwise_rows_1_signed, 1, TINYML_MVE_SIGNED)
TINYML_MVE_DEPTHWISE_ROWS_C(tinyml_mve_depthwise_rows_2_clamped, 2, TINYML_MVE_CLAMPED)
TINYML_MVE_DEPTHWISE_ROWS_C(tinyml_mve_depthwise_rows_2_signed, 2, TINYML_MVE_SIGNED)
#endif

/* -- the image --------------------------------------------------------------------------------- */

typedef void tinyml_mve_depthwise_function(const tinyml_mve_depthwise_params *p,
                                           const tinyml_mve_depthwise_rows *rows);

/* What is the same for all rows and channels. */
typedef struct {
  const tinyml_mve_depthwise_params *params;
  tinyml_mve_depthwise_function *function;
  int32_t stride;
  int8_t *lines;          /* two, and behind them a vector of padding */
  uint16_t offsets[2][8]; /* by which of the lines is the upper one */
  uint32_t outputs[4];
} tinyml_mve_depthwise_image;

/* Sixteen channels, or what is left of them. */
typedef struct {
  const int8_t *input;
  int8_t *output;
  const int32_t *filters;
  int32_t count;
} tinyml_mve_depthwise_group;

/* Interleaves the input's rows `row` and `row` + 1, of which one or both may be padding. */
TINYML_INLINE void tinyml_mve_depthwise_fill(const tinyml_mve_depthwise_image *image,
                                             const tinyml_mve_depthwise_group *group, int32_t row,
                                             int32_t line) {
  const tinyml_mve_depthwise_params *p = image->params;
  const int32_t line_bytes = TINYML_MVE_DEPTHWISE_COLUMN * p->line_columns;
  const int32_t row_bytes = p->input_width * p->channels;
  const int8_t *upper = image->lines + 2 * line_bytes, *lower = upper;
  int32_t upper_step = 0, lower_step = 0;
  if (row >= 0 && row < p->input_height) {
    upper = group->input + row * row_bytes;
    upper_step = p->channels;
  }
  if (row + 1 >= 0 && row + 1 < p->input_height) {
    lower = group->input + (row + 1) * row_bytes;
    lower_step = p->channels;
  }
  tinyml_interleave_rows(
      image->lines + line * line_bytes + p->padding_left * TINYML_MVE_DEPTHWISE_COLUMN, upper,
      upper_step, lower, lower_step, tinyml_min(p->input_width, p->line_columns - p->padding_left),
      group->count);
}

/* Writes `height` rows of the output, from what the lines have. */
TINYML_INLINE void tinyml_mve_depthwise_write(const tinyml_mve_depthwise_image *image,
                                              const tinyml_mve_depthwise_group *group,
                                              int32_t upper, int8_t *output, int32_t height) {
  const tinyml_mve_depthwise_params *p = image->params;
  const int32_t at_once = image->stride == 1 ? 2 : 4; /* columns of a vector */
  const int32_t from_step = at_once * image->stride * TINYML_MVE_DEPTHWISE_COLUMN;
  const int32_t full = p->output_width / at_once, left = p->output_width % at_once;
  const int32_t some = (1 << (4 * left)) - 1;
  const int32_t single = image->stride == 1 && height == 1;
  tinyml_mve_depthwise_rows rows = {
      .from = image->lines,
      .to = output,
      .to_step = at_once * p->channels,
      .filters = group->filters,
      .zero_point = p->output_zero_point,
      .offsets = image->offsets[upper],
      .outputs = image->outputs,
      .whole = full,
      .masked = left > 0,
      .mask = image->stride == 1 ? some | some << 8 : some,
      .filters_end = group->filters + group->count * TINYML_MVE_DEPTHWISE_FILTER,
  };
  if (single) { /* without the lower row; its last column is one by itself */
    rows.whole = 0;
    rows.masked = full;
    rows.mask = 0x00ff;
  }
  const int32_t vectors = rows.whole + rows.masked;
  rows.from_next = 2 - vectors * from_step;
  rows.to_next = 1 - vectors * rows.to_step;
  image->function(p, &rows);
  if (single && left > 0) {
    rows.from += full * from_step;
    rows.to += full * rows.to_step;
    rows.masked = 1;
    rows.mask = some;
    rows.from_next = 2 - from_step;
    rows.to_next = 1 - rows.to_step;
    image->function(p, &rows);
  }
}

TINYML_INLINE void tinyml_mve_depthwise_batch(const tinyml_mve_depthwise_image *image,
                                              const int8_t *input, const int32_t *filters,
                                              int8_t *output) {
  const tinyml_mve_depthwise_params *p = image->params;
  const int32_t rows_at_once = 3 - image->stride;
  for (int32_t channel = 0; channel < p->channels; channel += TINYML_MVE_DEPTHWISE_LANES) {
    const tinyml_mve_depthwise_group group = {
        .input = input + channel,
        .filters = filters + channel * TINYML_MVE_DEPTHWISE_FILTER,
        .count = tinyml_min(TINYML_MVE_DEPTHWISE_LANES, p->channels - channel),
    };
    int8_t *to = output + channel;
    int32_t row = -p->padding_top, upper = 0;
    tinyml_mve_depthwise_fill(image, &group, row, upper);
    for (int32_t left = p->output_height; left > 0; left -= rows_at_once) {
      row += 2;
      tinyml_mve_depthwise_fill(image, &group, row, 1 - upper);
      tinyml_mve_depthwise_write(image, &group, upper, to, tinyml_min(left, rows_at_once));
      to += rows_at_once * p->output_width * p->channels;
      upper = 1 - upper;
    }
  }
}

/* One instance for all layers: what the stride and the form of the outputs decide is `function`. */
TINYML_SHARED void tinyml_mve_depthwise(const tinyml_mve_depthwise_params *p, int32_t stride,
                                        tinyml_mve_depthwise_function *function,
                                        const int8_t *input, const int32_t *filters, int8_t *output,
                                        int8_t *scratch) {
  const int32_t line_bytes = TINYML_MVE_DEPTHWISE_COLUMN * p->line_columns;
  const int32_t row = p->output_width * p->channels;
  tinyml_mve_depthwise_image image = {
      .params = p, .function = function, .stride = stride, .lines = scratch};
  for (int32_t i = 0; i < 8; ++i) {
    const int32_t column = i / 2 * TINYML_MVE_DEPTHWISE_COLUMN;
    image.offsets[0][i] = (uint16_t)(column + i % 2 * line_bytes);
    image.offsets[1][i] = (uint16_t)(column + (1 - i % 2) * line_bytes);
  }
  for (int32_t i = 0; i < 4; ++i) {
    image.outputs[i] =
        (uint32_t)(stride == 1 ? i / 2 * row + i % 2 * p->channels : i * p->channels);
  }
  tinyml_mve_fill(scratch, p->input_zero_point, 2 * line_bytes + TINYML_VECTOR);
  const int32_t input_bytes = p->input_height * p->input_width * p->channels;
  const int32_t output_bytes = p->output_height * p->output_width * p->channels;
  input = tinyml_whole_pixels_above(input, p->batches * input_bytes, output,
                                    p->batches * output_bytes, p->channels, tinyml_mve_copy);
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    tinyml_mve_depthwise_batch(&image, input, filters, output);
    input += input_bytes;
    output += output_bytes;
  }
}

/* -- what layers call -------------------------------------------------------------------------- */

#define TINYML_MVE_DEPTHWISE(NAME, STRIDE, FUNCTION)                                               \
  TINYML_INLINE void NAME(const tinyml_mve_depthwise_params *p, const int8_t *input,               \
                          const int32_t *filters, int8_t *output, int8_t *scratch) {               \
    tinyml_mve_depthwise(p, STRIDE, FUNCTION, input, filters, output, scratch);                    \
  }

TINYML_MVE_DEPTHWISE(tinyml_mve_depthwise_stride1_clamped, 1, tinyml_mve_depthwise_rows_1_clamped)
TINYML_MVE_DEPTHWISE(tinyml_mve_depthwise_stride1_signed, 1, tinyml_mve_depthwise_rows_1_signed)
TINYML_MVE_DEPTHWISE(tinyml_mve_depthwise_stride1_general, 1, tinyml_mve_depthwise_rows_1_general)
TINYML_MVE_DEPTHWISE(tinyml_mve_depthwise_stride2_clamped, 2, tinyml_mve_depthwise_rows_2_clamped)
TINYML_MVE_DEPTHWISE(tinyml_mve_depthwise_stride2_signed, 2, tinyml_mve_depthwise_rows_2_signed)
TINYML_MVE_DEPTHWISE(tinyml_mve_depthwise_stride2_general, 2, tinyml_mve_depthwise_rows_2_general)

#endif
