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
#include "tinyml_dsp_pairs.h"

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
  TINYML_DSP_RELU, /* [zero point, 127] with zero point -128: below it, rounding shows nowhere */
  TINYML_DSP_CLAMP /* any */
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
  int32_t below; /* from an output to the one below it */
  int32_t step;  /* from an output to the next */
  const uint32_t *end;
} tinyml_dsp_depthwise_filter;

/* The layer's constants, in flash. */
typedef struct {
  const int8_t *weights; /* [channel][row][column] */
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift;
} tinyml_dsp_depthwise_constants;

/* The image of one batch, at the first channel. */
typedef struct {
  const int8_t *input;
  int8_t *output;
} tinyml_dsp_depthwise_image;

TINYML_INLINE tinyml_dsp_depthwise_filter
tinyml_dsp_depthwise_unpack(const tinyml_dsp_depthwise_params *p,
                            const tinyml_dsp_depthwise_constants *constants, int32_t channel) {
  tinyml_dsp_depthwise_filter filter;
  const int8_t *weights = constants->weights + channel * 9;
  for (int32_t column = 0; column < 3; ++column) {
    const uint32_t row0 = (uint32_t)(weights[column] * 2);
    const uint32_t row1 = (uint32_t)(weights[3 + column] * 2);
    const uint32_t row2 = (uint32_t)(weights[6 + column] * 2);
    filter.upper[column] = tinyml_pair(row0, row1);
    filter.lower[column] = tinyml_pair(row1, row2);
  }
  filter.bias = constants->bias[channel] * 2;
  filter.multiplier = constants->multiplier[channel * p->channel_step];
  filter.shift = -constants->shift[channel * p->channel_step];
  filter.offset = (2 * p->output_zero_point + 1) * (INT32_C(1) << (filter.shift - 1));
  filter.below = p->output_width * p->channels;
  filter.step = p->channels;
  filter.end = 0;
  return filter;
}

/* -- lines of two rows ------------------------------------------------------------------------- */

TINYML_INLINE uint32_t tinyml_dsp_load_channels(const int8_t *pixel) {
  uint16_t channels;
  __builtin_memcpy(&channels, pixel, 2);
  return channels;
}

/* Widens two channels of two rows. Rows in the padding have steps of 0. */
TINYML_INLINE void tinyml_dsp_depthwise_fill(const int8_t *upper, int32_t upper_step,
                                             const int8_t *lower, int32_t lower_step,
                                             int32_t columns, uint32_t *line0, uint32_t *line1) {
  for (; columns >= 2; columns -= 2) {
    const uint32_t bytes0 =
        tinyml_pair(tinyml_dsp_load_channels(upper), tinyml_dsp_load_channels(lower));
    upper += upper_step;
    lower += lower_step;
    const uint32_t bytes1 =
        tinyml_pair(tinyml_dsp_load_channels(upper), tinyml_dsp_load_channels(lower));
    upper += upper_step;
    lower += lower_step;
    line0[0] = tinyml_widen_even(bytes0);
    line0[1] = tinyml_widen_even(bytes1);
    line1[0] = tinyml_widen_odd(bytes0);
    line1[1] = tinyml_widen_odd(bytes1);
    line0 += 2;
    line1 += 2;
  }
  if (columns > 0) {
    const uint32_t bytes =
        tinyml_pair(tinyml_dsp_load_channels(upper), tinyml_dsp_load_channels(lower));
    *line0 = tinyml_widen_even(bytes);
    *line1 = tinyml_widen_odd(bytes);
  }
}

/* -- output rows ------------------------------------------------------------------------------- */

TINYML_INLINE int8_t tinyml_dsp_depthwise_output(const tinyml_dsp_depthwise_params *p,
                                                 const tinyml_dsp_depthwise_filter *f, int32_t form,
                                                 int32_t sum) {
  if (form == TINYML_DSP_RELU) {
    return tinyml_saturate(tinyml_add_high_product(sum, f->multiplier, f->offset) >> f->shift);
  }
  /* The sign rounds ties away from zero. */
  const int32_t high = tinyml_add_high_product(sum, f->multiplier, 0);
  const int32_t scaled = (high + (high >> 31) + f->offset) >> f->shift;
  return (int8_t)tinyml_clamp(scaled, p->activation_min, p->activation_max);
}

/* Stride 1: two output rows of one channel. The lower one is written first: of an odd height's last
 * row, both are the same. */
TINYML_INLINE void tinyml_dsp_depthwise_stride1(const tinyml_dsp_depthwise_params *p,
                                                const tinyml_dsp_depthwise_filter *f, int32_t form,
                                                const uint32_t *upper, const uint32_t *lower,
                                                int8_t *output) {
  for (; upper != f->end; ++upper, ++lower) {
    int32_t sum = f->bias, below = f->bias;
    for (int32_t tap = 0; tap < 3; ++tap) {
      sum = tinyml_dot(upper[tap], f->upper[tap], sum);
      below = tinyml_high_by_low(upper[tap], f->upper[tap], below);
      sum = tinyml_low_by_high(lower[tap], f->lower[tap], sum);
      below = tinyml_dot(lower[tap], f->lower[tap], below);
    }
    output[f->below] = tinyml_dsp_depthwise_output(p, f, form, below);
    output[0] = tinyml_dsp_depthwise_output(p, f, form, sum);
    output += f->step;
  }
}

/* Stride 2: one output row of one channel, two columns at a time. */
TINYML_INLINE void tinyml_dsp_depthwise_stride2(const tinyml_dsp_depthwise_params *p,
                                                const tinyml_dsp_depthwise_filter *f, int32_t form,
                                                const uint32_t *upper, const uint32_t *lower,
                                                int8_t *output) {
  for (; upper != f->end; upper += 4, lower += 4) {
    int32_t sum = f->bias, next = f->bias;
    for (int32_t tap = 0; tap < 3; ++tap) {
      sum = tinyml_dot(upper[tap], f->upper[tap], sum);
      next = tinyml_dot(upper[tap + 2], f->upper[tap], next);
      sum = tinyml_low_by_high(lower[tap], f->lower[tap], sum);
      next = tinyml_low_by_high(lower[tap + 2], f->lower[tap], next);
    }
    output[0] = tinyml_dsp_depthwise_output(p, f, form, sum);
    output[f->step] = tinyml_dsp_depthwise_output(p, f, form, next);
    output += 2 * f->step;
  }
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* The same two functions for TINYML_DSP_RELU. Both compilers run out of registers here and take
 * half as many instructions again: six words of weights, two sums, two words of input and the
 * pointers are all there are.
 *
 * r0: upper, r1: lower, r2: output, r3: filter; r4-r9: its weights; r10, r11: sums. */
__attribute__((naked, noinline, unused)) static void tinyml_dsp_depthwise_stride1_relu_row(
    const uint32_t *upper __attribute__((unused)), const uint32_t *lower __attribute__((unused)),
    int8_t *output __attribute__((unused)),
    const tinyml_dsp_depthwise_filter *f __attribute__((unused))) {
  __asm__("push {r4-r11, lr}\n"
          "ldm r3, {r4-r9}\n"
          "1:\n"
          "ldr r11, [r3, #24]\n" /* bias */
          "ldrd r12, lr, [r0], #4\n"
          "smlad r10, r12, r4, r11\n"
          "smlatb r11, r12, r4, r11\n"
          "smlad r10, lr, r5, r10\n"
          "smlatb r11, lr, r5, r11\n"
          "ldr r12, [r0, #4]\n"
          "ldr lr, [r1], #4\n"
          "smlad r10, r12, r6, r10\n"
          "smlatb r11, r12, r6, r11\n"
          "smlabt r10, lr, r7, r10\n"
          "smlad r11, lr, r7, r11\n"
          "ldrd r12, lr, [r1]\n"
          "smlabt r10, r12, r8, r10\n"
          "smlad r11, r12, r8, r11\n"
          "smlabt r10, lr, r9, r10\n"
          "smlad r11, lr, r9, r11\n"
          "ldrd r12, lr, [r3, #28]\n" /* multiplier, offset */
          "smmlar r10, r10, r12, lr\n"
          "smmlar r11, r11, r12, lr\n"
          "ldrd r12, lr, [r3, #36]\n" /* shift, below */
          "asr r10, r10, r12\n"
          "asr r11, r11, r12\n"
          "ssat r10, #8, r10\n"
          "ssat r11, #8, r11\n"
          "strb r11, [r2, lr]\n"
          "strb r10, [r2]\n"
          "ldrd r12, lr, [r3, #44]\n" /* step, end */
          "add r2, r2, r12\n"
          "cmp r0, lr\n"
          "bne 1b\n"
          "pop {r4-r11, pc}\n");
}

__attribute__((naked, noinline, unused)) static void tinyml_dsp_depthwise_stride2_relu_row(
    const uint32_t *upper __attribute__((unused)), const uint32_t *lower __attribute__((unused)),
    int8_t *output __attribute__((unused)),
    const tinyml_dsp_depthwise_filter *f __attribute__((unused))) {
  __asm__("push {r4-r11, lr}\n"
          "ldm r3, {r4-r9}\n"
          "1:\n"
          "ldr r11, [r3, #24]\n" /* bias */
          "ldrd r12, lr, [r0], #8\n"
          "smlad r10, r12, r4, r11\n"
          "smlad r10, lr, r5, r10\n"
          "ldrd r12, lr, [r0], #8\n"
          "smlad r10, r12, r6, r10\n"
          "smlad r11, r12, r4, r11\n"
          "smlad r11, lr, r5, r11\n"
          "ldr r12, [r0]\n"
          "ldr lr, [r1, #16]\n"
          "smlad r11, r12, r6, r11\n"
          "smlabt r11, lr, r9, r11\n"
          "ldrd r12, lr, [r1], #8\n"
          "smlabt r10, r12, r7, r10\n"
          "smlabt r10, lr, r8, r10\n"
          "ldrd r12, lr, [r1], #8\n"
          "smlabt r10, r12, r9, r10\n"
          "smlabt r11, r12, r7, r11\n"
          "smlabt r11, lr, r8, r11\n"
          "ldrd r12, lr, [r3, #28]\n" /* multiplier, offset */
          "smmlar r10, r10, r12, lr\n"
          "smmlar r11, r11, r12, lr\n"
          "ldr r12, [r3, #36]\n" /* shift */
          "asr r10, r10, r12\n"
          "asr r11, r11, r12\n"
          "ldrd r12, lr, [r3, #44]\n" /* step, end */
          "ssat r10, #8, r10\n"
          "ssat r11, #8, r11\n"
          "strb r10, [r2]\n"
          "strb r11, [r2, r12]\n"
          "add r2, r2, r12, lsl #1\n"
          "cmp r0, lr\n"
          "bne 1b\n"
          "pop {r4-r11, pc}\n");
}

#else

TINYML_SHARED void tinyml_dsp_depthwise_stride1_relu_row(const uint32_t *upper,
                                                         const uint32_t *lower, int8_t *output,
                                                         const tinyml_dsp_depthwise_filter *f) {
  tinyml_dsp_depthwise_stride1(0, f, TINYML_DSP_RELU, upper, lower, output);
}

TINYML_SHARED void tinyml_dsp_depthwise_stride2_relu_row(const uint32_t *upper,
                                                         const uint32_t *lower, int8_t *output,
                                                         const tinyml_dsp_depthwise_filter *f) {
  tinyml_dsp_depthwise_stride2(0, f, TINYML_DSP_RELU, upper, lower, output);
}

#endif

/* The output row or rows of one channel that two lines give. */
TINYML_INLINE void tinyml_dsp_depthwise_rows(const tinyml_dsp_depthwise_params *p,
                                             tinyml_dsp_depthwise_filter *f, int32_t stride,
                                             int32_t form, const uint32_t *upper,
                                             const uint32_t *lower, int8_t *output) {
  const int32_t odd = p->output_width & 1;
  if (stride == 1) {
    f->end = upper + p->output_width;
    if (form == TINYML_DSP_RELU) {
      tinyml_dsp_depthwise_stride1_relu_row(upper, lower, output, f);
    } else {
      tinyml_dsp_depthwise_stride1(p, f, form, upper, lower, output);
    }
    return;
  }
  for (int32_t pass = 0; pass <= odd; ++pass) {
    /* Of an odd width, the last column comes with the one before it, once more. */
    const int32_t first = pass * (p->output_width - 2);
    f->end = upper + 2 * (pass ? p->output_width : p->output_width - odd);
    if (form == TINYML_DSP_RELU) {
      tinyml_dsp_depthwise_stride2_relu_row(upper + 2 * first, lower + 2 * first,
                                            output + first * p->channels, f);
    } else {
      tinyml_dsp_depthwise_stride2(p, f, form, upper + 2 * first, lower + 2 * first,
                                   output + first * p->channels);
    }
  }
}

/* -- the image --------------------------------------------------------------------------------- */

/* Columns of a line: what the output row's windows span. */
TINYML_INLINE int32_t tinyml_dsp_depthwise_columns(const tinyml_dsp_depthwise_params *p,
                                                   int32_t stride) {
  return (p->output_width - 1) * stride + 3;
}

/* Two neighbouring channels of an image; of these, those from `first_lane` on are computed. The
 * lines are [lane][parity][column], with their padding on the left and right already filled. */
TINYML_INLINE void tinyml_dsp_depthwise_channels(const tinyml_dsp_depthwise_params *p,
                                                 tinyml_dsp_depthwise_filter filters[2],
                                                 int32_t stride, int32_t form, int32_t first_lane,
                                                 tinyml_dsp_depthwise_image image,
                                                 uint32_t *lines) {
  const int8_t padding[2] = {(int8_t)p->input_zero_point, (int8_t)p->input_zero_point};
  const int32_t width = tinyml_dsp_depthwise_columns(p, stride);
  const int32_t columns = tinyml_min(p->input_width, width - p->padding_left);
  const int32_t input_row = p->input_width * p->channels;
  const int32_t output_row = p->output_width * p->channels;
  const int32_t rows = 3 - stride; /* output rows of two lines */
  int8_t *output = image.output;
  uint32_t *upper = lines, *lower = lines + width;
  for (int32_t y = -rows; y < p->output_height; y += rows) {
    const int32_t source = (y + rows) * stride - p->padding_top;
    const int32_t has_row0 = source >= 0 && source < p->input_height;
    const int32_t has_row1 = source + 1 < p->input_height;
    const int8_t *row0 = has_row0 ? image.input + source * input_row : padding;
    const int8_t *row1 = has_row1 ? image.input + (source + 1) * input_row : padding;
    tinyml_dsp_depthwise_fill(row0, has_row0 ? p->channels : 0, row1, has_row1 ? p->channels : 0,
                              columns, lower + p->padding_left,
                              lower + 2 * width + p->padding_left);
    if (y >= 0) {
      for (int32_t lane = first_lane; lane < 2; ++lane) {
        if (y + 1 == p->output_height) {
          filters[lane].below = 0;
        }
        tinyml_dsp_depthwise_rows(p, &filters[lane], stride, form, upper + lane * 2 * width,
                                  lower + lane * 2 * width, output + lane);
      }
      output += rows * output_row;
    }
    uint32_t *swapped = upper;
    upper = lower;
    lower = swapped;
  }
}

TINYML_INLINE void tinyml_dsp_depthwise_batch(const tinyml_dsp_depthwise_params *p, int32_t stride,
                                              int32_t form, tinyml_dsp_depthwise_image image,
                                              const tinyml_dsp_depthwise_constants *constants,
                                              uint32_t *lines) {
  for (int32_t channel = 0; channel < p->channels; channel += 2) {
    /* Of an odd number, the last comes with the one before it, which is not computed again: where
     * the output took its place, its input is gone. */
    const int32_t base = tinyml_min(channel, p->channels - 2);
    tinyml_dsp_depthwise_filter filters[2] = {tinyml_dsp_depthwise_unpack(p, constants, base),
                                              tinyml_dsp_depthwise_unpack(p, constants, base + 1)};
    const tinyml_dsp_depthwise_image pair = {image.input + base, image.output + base};
    tinyml_dsp_depthwise_channels(p, filters, stride, form, channel - base, pair, lines);
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

TINYML_INLINE void tinyml_dsp_depthwise(const tinyml_dsp_depthwise_params *p, int32_t stride,
                                        int32_t form, const int8_t *input,
                                        const tinyml_dsp_depthwise_constants *constants,
                                        int8_t *output, int8_t *scratch) {
  tinyml_dsp_depthwise_image image = {tinyml_dsp_depthwise_align(p, input, output), output};
  uint32_t *lines = (uint32_t *)(void *)scratch;
  const int32_t words = 4 * tinyml_dsp_depthwise_columns(p, stride);
  const uint32_t padding = (uint32_t)p->input_zero_point;
  for (int32_t i = 0; i < words; ++i) {
    lines[i] = tinyml_pair(padding, padding);
  }
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    tinyml_dsp_depthwise_batch(p, stride, form, image, constants, lines);
    image.input += p->input_height * p->input_width * p->channels;
    image.output += p->output_height * p->output_width * p->channels;
  }
}

/* -- the instances ----------------------------------------------------------------------------- */

#define TINYML_DSP_DEPTHWISE(NAME, STRIDE, FORM)                                                   \
  TINYML_SHARED void NAME(const tinyml_dsp_depthwise_params *p, const int8_t *input,               \
                          const int8_t *weights, const int32_t *bias, const int32_t *multiplier,   \
                          const int8_t *shift, int8_t *output, int8_t *scratch) {                  \
    const tinyml_dsp_depthwise_constants constants = {weights, bias, multiplier, shift};           \
    tinyml_dsp_depthwise(p, STRIDE, FORM, input, &constants, output, scratch);                     \
  }

TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride1_relu, 1, TINYML_DSP_RELU)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride1_clamp, 1, TINYML_DSP_CLAMP)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride2_relu, 2, TINYML_DSP_RELU)
TINYML_DSP_DEPTHWISE(tinyml_dsp_depthwise_stride2_clamp, 2, TINYML_DSP_CLAMP)

#endif
