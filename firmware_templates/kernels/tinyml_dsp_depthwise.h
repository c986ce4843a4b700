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
#include "tinyml_dsp.h"

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

/* How sums become outputs: the host names the cheapest form that is exact. */
enum {
  TINYML_DSP_RELU,   /* zero point -128, no other clamp: below it, rounding shows nowhere */
  TINYML_DSP_SIGNED, /* any zero point, no other clamp */
  TINYML_DSP_CLAMP   /* any */
};

/* One channel's constants, and where a row of it ends, as the inner loops want them. The assembler
 * knows the order. */
typedef struct {
  uint32_t upper[3]; /* of each column, the doubled weights of rows 0 and 1 */
  uint32_t lower[3]; /* of each column, the doubled weights of rows 1 and 2 */
  int32_t bias;      /* doubled */
  int32_t multiplier;
  int32_t offset; /* the output's zero point and the half that rounds, before the shift */
  int32_t shift;
  int32_t below;       /* from an output to the one below it */
  int32_t step;        /* from an output to the next */
  const uint32_t *end; /* of the walk along the upper line; for the assembler to note */
  int32_t span;        /* words that the walk along a line makes */
  int32_t next;        /* words to the lines of the next channel, 0 after the last */
  int32_t activation_min;
  int32_t activation_max;
} tinyml_dsp_depthwise_filter;

#if TINYML_HAS_DSP
typedef char tinyml_dsp_depthwise_filter_is_as_the_assembler_has_it
    [__builtin_offsetof(tinyml_dsp_depthwise_filter, multiplier) == 28 &&
             __builtin_offsetof(tinyml_dsp_depthwise_filter, next) == 56 &&
             sizeof(tinyml_dsp_depthwise_filter) == 68
         ? 1
         : -1];
#endif

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

/* -- output rows ------------------------------------------------------------------------------- */

TINYML_INLINE int8_t tinyml_dsp_depthwise_output(const tinyml_dsp_depthwise_filter *f, int32_t form,
                                                 int32_t sum) {
  if (form == TINYML_DSP_RELU) {
    return tinyml_ssat8(tinyml_smmlar(sum, f->multiplier, f->offset) >> f->shift);
  }
  /* The sign rounds ties away from zero. */
  const int32_t high = tinyml_smmlar(sum, f->multiplier, 0);
  const int32_t scaled = (high + (high >> 31) + f->offset) >> f->shift;
  if (form == TINYML_DSP_SIGNED) {
    return tinyml_ssat8(scaled);
  }
  return (int8_t)tinyml_clamp(scaled, f->activation_min, f->activation_max);
}

/* Stride 1: two output rows of one channel. The lower one is written first: of an odd height's last
 * row, both are the same. */
TINYML_INLINE void tinyml_dsp_depthwise_stride1(const tinyml_dsp_depthwise_filter *f, int32_t form,
                                                const uint32_t *upper, const uint32_t *lower,
                                                int8_t *output) {
  for (int32_t column = 0; column < f->span; ++column) {
    int32_t sum = f->bias, below = f->bias;
    for (int32_t tap = 0; tap < 3; ++tap) {
      sum = tinyml_smlad(upper[column + tap], f->upper[tap], sum);
      below = tinyml_smlatb(upper[column + tap], f->upper[tap], below);
      sum = tinyml_smlabt(lower[column + tap], f->lower[tap], sum);
      below = tinyml_smlad(lower[column + tap], f->lower[tap], below);
    }
    output[column * f->step + f->below] = tinyml_dsp_depthwise_output(f, form, below);
    output[column * f->step] = tinyml_dsp_depthwise_output(f, form, sum);
  }
}

/* Stride 2: one output row of one channel. */
TINYML_INLINE void tinyml_dsp_depthwise_stride2(const tinyml_dsp_depthwise_filter *f, int32_t form,
                                                const uint32_t *upper, const uint32_t *lower,
                                                int8_t *output) {
  for (int32_t column = 0; column < f->span; column += 2) {
    int32_t sum = f->bias;
    for (int32_t tap = 0; tap < 3; ++tap) {
      sum = tinyml_smlad(upper[column + tap], f->upper[tap], sum);
      sum = tinyml_smlabt(lower[column + tap], f->lower[tap], sum);
    }
    *output = tinyml_dsp_depthwise_output(f, form, sum);
    output += f->step;
  }
}

/* The same, of each channel from `f` on. */
TINYML_INLINE void tinyml_dsp_depthwise_lanes(const tinyml_dsp_depthwise_filter *f, int32_t stride,
                                              int32_t form, const uint32_t *upper,
                                              const uint32_t *lower, int8_t *output) {
  for (int32_t next = -1; next != 0; ++f, ++output) {
    if (stride == 1) {
      tinyml_dsp_depthwise_stride1(f, form, upper, lower, output);
    } else {
      tinyml_dsp_depthwise_stride2(f, form, upper, lower, output);
    }
    next = f->next;
    upper += next;
    lower += next;
  }
}

#define TINYML_DSP_ROWS(NAME, STRIDE, FORM)                                                        \
  TINYML_SHARED void NAME(const uint32_t *upper, const uint32_t *lower, int8_t *output,            \
                          const tinyml_dsp_depthwise_filter *f) {                                  \
    tinyml_dsp_depthwise_lanes(f, STRIDE, FORM, upper, lower, output);                             \
  }

TINYML_DSP_ROWS(tinyml_dsp_depthwise_rows_1_clamp, 1, TINYML_DSP_CLAMP)
TINYML_DSP_ROWS(tinyml_dsp_depthwise_rows_2_clamp, 2, TINYML_DSP_CLAMP)

#if TINYML_HAS_DSP

/* The same for the forms without a clamp. Compilers run out of registers here, and take half as
 * many instructions again.
 *
 * r0: upper, r1: lower, r2: output, r3: filter; r12, lr: words of input, then constants. */

/* A doubled sum times the multiplier in r12, plus the offset in lr. */
#define TINYML_DSP_SCALE_RELU(SUM) "smmlar " SUM ", " SUM ", r12, lr\n"
#define TINYML_DSP_SCALE_SIGNED(SUM)                                                               \
  "smmulr " SUM ", " SUM ", r12\n"                                                                 \
  "add " SUM ", " SUM ", " SUM ", asr #31\n"                                                       \
  "add " SUM ", " SUM ", lr\n"

/* clang-format off */

/* 2 x 2 outputs at a time, then 2 x 1. r4-r6: weights, r7-r10: sums, r11: bias. */
#define TINYML_DSP_STRIDE1(NAME, SCALE)                                                            \
  TINYML_NAKED void NAME(const uint32_t *upper TINYML_UNUSED,                                  \
                             const uint32_t *lower TINYML_UNUSED, int8_t *output TINYML_UNUSED,    \
                             const tinyml_dsp_depthwise_filter *f TINYML_UNUSED) {                 \
    __asm__("push {r2, r4-r11, lr}\n"                                                              \
            "0:\n"                                                                                 \
            "ldr r4, [r3, #52]\n" /* span */                                                       \
            "ldr r11, [r3, #24]\n" /* bias */                                                      \
            "bics r4, r4, #1\n"                                                                    \
            "beq 2f\n"                                                                             \
            "add r4, r0, r4, lsl #2\n"                                                             \
            "str r4, [r3, #48]\n" /* end */                                                        \
            "1:\n"                                                                                 \
            "ldm r3, {r4-r6}\n" /* upper */                                                        \
            "ldrd r12, lr, [r0], #8\n"                                                             \
            "smlad r7, r12, r4, r11\n"                                                             \
            "smlatb r8, r12, r4, r11\n"                                                            \
            "smlad r7, lr, r5, r7\n"                                                               \
            "smlatb r8, lr, r5, r8\n"                                                              \
            "smlad r9, lr, r4, r11\n"                                                              \
            "smlatb r10, lr, r4, r11\n"                                                            \
            "ldrd r12, lr, [r0]\n"                                                                 \
            "smlad r7, r12, r6, r7\n"                                                              \
            "smlatb r8, r12, r6, r8\n"                                                             \
            "smlad r9, r12, r5, r9\n"                                                              \
            "smlatb r10, r12, r5, r10\n"                                                           \
            "smlad r9, lr, r6, r9\n"                                                               \
            "smlatb r10, lr, r6, r10\n"                                                            \
            "ldrd r4, r5, [r3, #12]\n" /* lower */                                                 \
            "ldr r6, [r3, #20]\n"                                                                  \
            "ldrd r12, lr, [r1], #8\n"                                                             \
            "smlabt r7, r12, r4, r7\n"                                                             \
            "smlad r8, r12, r4, r8\n"                                                              \
            "smlabt r7, lr, r5, r7\n"                                                              \
            "smlad r8, lr, r5, r8\n"                                                               \
            "smlabt r9, lr, r4, r9\n"                                                              \
            "smlad r10, lr, r4, r10\n"                                                             \
            "ldrd r12, lr, [r1]\n"                                                                 \
            "smlabt r7, r12, r6, r7\n"                                                             \
            "smlad r8, r12, r6, r8\n"                                                              \
            "smlabt r9, r12, r5, r9\n"                                                             \
            "smlad r10, r12, r5, r10\n"                                                            \
            "smlabt r9, lr, r6, r9\n"                                                              \
            "smlad r10, lr, r6, r10\n"                                                             \
            "ldrd r12, lr, [r3, #28]\n" /* multiplier, offset */                                   \
            SCALE("r7")                                                                            \
            SCALE("r8")                                                                            \
            SCALE("r9")                                                                            \
            SCALE("r10")                                                                           \
            "ldrd r12, lr, [r3, #36]\n" /* shift, below */                                         \
            "asr r7, r7, r12\n"                                                                    \
            "asr r8, r8, r12\n"                                                                    \
            "asr r9, r9, r12\n"                                                                    \
            "asr r10, r10, r12\n"                                                                  \
            "ldrd r4, r5, [r3, #44]\n" /* step, end */                                             \
            "ssat r7, #8, r7\n"                                                                    \
            "ssat r8, #8, r8\n"                                                                    \
            "ssat r9, #8, r9\n"                                                                    \
            "ssat r10, #8, r10\n"                                                                  \
            "strb r8, [r2, lr]\n"                                                                  \
            "strb r7, [r2]\n"                                                                      \
            "add r2, r2, r4\n"                                                                     \
            "strb r10, [r2, lr]\n"                                                                 \
            "strb r9, [r2]\n"                                                                      \
            "add r2, r2, r4\n"                                                                     \
            "cmp r0, r5\n"                                                                         \
            "bne 1b\n"                                                                             \
            "2:\n"                                                                                 \
            "ldr r4, [r3, #52]\n" /* span */                                                       \
            "lsls r4, r4, #31\n"                                                                   \
            "beq 3f\n"                                                                             \
            "ldm r3, {r4-r6}\n" /* upper */                                                        \
            "ldrd r12, lr, [r0], #4\n"                                                             \
            "smlad r7, r12, r4, r11\n"                                                             \
            "smlatb r8, r12, r4, r11\n"                                                            \
            "smlad r7, lr, r5, r7\n"                                                               \
            "smlatb r8, lr, r5, r8\n"                                                              \
            "ldr r12, [r0, #4]\n"                                                                  \
            "smlad r7, r12, r6, r7\n"                                                              \
            "smlatb r8, r12, r6, r8\n"                                                             \
            "ldrd r4, r5, [r3, #12]\n" /* lower */                                                 \
            "ldr r6, [r3, #20]\n"                                                                  \
            "ldrd r12, lr, [r1], #4\n"                                                             \
            "smlabt r7, r12, r4, r7\n"                                                             \
            "smlad r8, r12, r4, r8\n"                                                              \
            "smlabt r7, lr, r5, r7\n"                                                              \
            "smlad r8, lr, r5, r8\n"                                                               \
            "ldr r12, [r1, #4]\n"                                                                  \
            "smlabt r7, r12, r6, r7\n"                                                             \
            "smlad r8, r12, r6, r8\n"                                                              \
            "ldrd r12, lr, [r3, #28]\n" /* multiplier, offset */                                   \
            SCALE("r7")                                                                            \
            SCALE("r8")                                                                            \
            "ldrd r12, lr, [r3, #36]\n" /* shift, below */                                         \
            "asr r7, r7, r12\n"                                                                    \
            "asr r8, r8, r12\n"                                                                    \
            "ssat r7, #8, r7\n"                                                                    \
            "ssat r8, #8, r8\n"                                                                    \
            "strb r8, [r2, lr]\n"                                                                  \
            "strb r7, [r2]\n"                                                                      \
            "3:\n"                                                                                 \
            "ldrd r4, r5, [r3, #52]\n" /* span, next */                                            \
            "cbz r5, 4f\n"                                                                         \
            "sub r5, r5, r4\n"                                                                     \
            "add r0, r0, r5, lsl #2\n"                                                             \
            "add r1, r1, r5, lsl #2\n"                                                             \
            "ldr r2, [sp]\n"                                                                       \
            "add r2, r2, #1\n"                                                                     \
            "add r3, r3, #68\n"                                                                    \
            "b 0b\n"                                                                               \
            "4:\n"                                                                                 \
            "pop {r2, r4-r11, pc}\n");                                                             \
  }

/* 2 outputs of a row at a time, then 1. r4-r9: weights, r10, r11: sums. */
#define TINYML_DSP_STRIDE2(NAME, SCALE)                                                            \
  TINYML_NAKED void NAME(const uint32_t *upper TINYML_UNUSED,                                  \
                             const uint32_t *lower TINYML_UNUSED, int8_t *output TINYML_UNUSED,    \
                             const tinyml_dsp_depthwise_filter *f TINYML_UNUSED) {                 \
    __asm__("push {r2, r4-r11, lr}\n"                                                              \
            "0:\n"                                                                                 \
            "ldr r12, [r3, #52]\n" /* span */                                                      \
            "ldm r3, {r4-r9}\n"                                                                    \
            "bics r12, r12, #3\n"                                                                  \
            "beq 2f\n"                                                                             \
            "add r12, r0, r12, lsl #2\n"                                                           \
            "str r12, [r3, #48]\n" /* end */                                                       \
            "1:\n"                                                                                 \
            "ldr r11, [r3, #24]\n" /* bias */                                                      \
            "ldrd r12, lr, [r0], #8\n"                                                             \
            "smlad r10, r12, r4, r11\n"                                                            \
            "smlad r10, lr, r5, r10\n"                                                             \
            "ldrd r12, lr, [r0], #8\n"                                                             \
            "smlad r10, r12, r6, r10\n"                                                            \
            "smlad r11, r12, r4, r11\n"                                                            \
            "smlad r11, lr, r5, r11\n"                                                             \
            "ldr r12, [r0]\n"                                                                      \
            "ldr lr, [r1, #16]\n"                                                                  \
            "smlad r11, r12, r6, r11\n"                                                            \
            "smlabt r11, lr, r9, r11\n"                                                            \
            "ldrd r12, lr, [r1], #8\n"                                                             \
            "smlabt r10, r12, r7, r10\n"                                                           \
            "smlabt r10, lr, r8, r10\n"                                                            \
            "ldrd r12, lr, [r1], #8\n"                                                             \
            "smlabt r10, r12, r9, r10\n"                                                           \
            "smlabt r11, r12, r7, r11\n"                                                           \
            "smlabt r11, lr, r8, r11\n"                                                            \
            "ldrd r12, lr, [r3, #28]\n" /* multiplier, offset */                                   \
            SCALE("r10")                                                                           \
            SCALE("r11")                                                                           \
            "ldr r12, [r3, #36]\n" /* shift */                                                     \
            "asr r10, r10, r12\n"                                                                  \
            "asr r11, r11, r12\n"                                                                  \
            "ldrd r12, lr, [r3, #44]\n" /* step, end */                                            \
            "ssat r10, #8, r10\n"                                                                  \
            "ssat r11, #8, r11\n"                                                                  \
            "strb r10, [r2]\n"                                                                     \
            "strb r11, [r2, r12]\n"                                                                \
            "add r2, r2, r12, lsl #1\n"                                                            \
            "cmp r0, lr\n"                                                                         \
            "bne 1b\n"                                                                             \
            "2:\n"                                                                                 \
            "ldr r10, [r3, #52]\n" /* span */                                                      \
            "lsls r10, r10, #30\n"                                                                 \
            "beq 3f\n"                                                                             \
            "ldr r11, [r3, #24]\n" /* bias */                                                      \
            "ldrd r12, lr, [r0], #8\n"                                                             \
            "smlad r10, r12, r4, r11\n"                                                            \
            "smlad r10, lr, r5, r10\n"                                                             \
            "ldr r12, [r0]\n"                                                                      \
            "smlad r10, r12, r6, r10\n"                                                            \
            "ldrd r12, lr, [r1], #8\n"                                                             \
            "smlabt r10, r12, r7, r10\n"                                                           \
            "smlabt r10, lr, r8, r10\n"                                                            \
            "ldr r12, [r1]\n"                                                                      \
            "smlabt r10, r12, r9, r10\n"                                                           \
            "ldrd r12, lr, [r3, #28]\n" /* multiplier, offset */                                   \
            SCALE("r10")                                                                           \
            "ldr r12, [r3, #36]\n" /* shift */                                                     \
            "asr r10, r10, r12\n"                                                                  \
            "ssat r10, #8, r10\n"                                                                  \
            "strb r10, [r2]\n"                                                                     \
            "3:\n"                                                                                 \
            "ldrd r4, r5, [r3, #52]\n" /* span, next */                                            \
            "cbz r5, 4f\n"                                                                         \
            "sub r5, r5, r4\n"                                                                     \
            "add r0, r0, r5, lsl #2\n"                                                             \
            "add r1, r1, r5, lsl #2\n"                                                             \
            "ldr r2, [sp]\n"                                                                       \
            "add r2, r2, #1\n"                                                                     \
            "add r3, r3, #68\n"                                                                    \
            "b 0b\n"                                                                               \
            "4:\n"                                                                                 \
            "pop {r2, r4-r11, pc}\n");                                                             \
  }

/* clang-format on */

#else

/* Without the DSP extension the compiler's version serves. */
#define TINYML_DSP_SCALE_RELU TINYML_DSP_RELU
#define TINYML_DSP_SCALE_SIGNED TINYML_DSP_SIGNED
#define TINYML_DSP_STRIDE1(NAME, FORM) TINYML_DSP_ROWS(NAME, 1, FORM)
#define TINYML_DSP_STRIDE2(NAME, FORM) TINYML_DSP_ROWS(NAME, 2, FORM)

#endif

TINYML_DSP_STRIDE1(tinyml_dsp_depthwise_rows_1_relu, TINYML_DSP_SCALE_RELU)
TINYML_DSP_STRIDE1(tinyml_dsp_depthwise_rows_1_signed, TINYML_DSP_SCALE_SIGNED)
TINYML_DSP_STRIDE2(tinyml_dsp_depthwise_rows_2_relu, TINYML_DSP_SCALE_RELU)
TINYML_DSP_STRIDE2(tinyml_dsp_depthwise_rows_2_signed, TINYML_DSP_SCALE_SIGNED)

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
