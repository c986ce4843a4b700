/* Rows of outputs of a depthwise convolution: the inner loops of tinyml_dsp_depthwise_lines.h, in
 * assembler where there is the DSP extension, with their meaning in C beside them.
 */
#ifndef TINYML_DSP_LINES_H
#define TINYML_DSP_LINES_H

#include "tinyml_dsp_depthwise_outputs.h"

/* Where four neighbouring outputs go, and the next ones: bytes from the first of them. */
typedef struct {
  int32_t second;
  int32_t third;
  int32_t fourth;
  int32_t next;
} tinyml_dsp_lines_places;

/* A channel, for a row of its outputs. The assembler knows the order. */
typedef struct {
  const uint32_t *weights; /* from the pairs of the filter row that is first in the lines */
  const uint32_t *weights_end;
  int32_t bias;
  tinyml_dsp_depthwise_scale scale;
  int32_t row_bytes;         /* from its line of a filter row to the next one's */
  int32_t back;              /* bytes from the end of these to the words of the next four outputs */
  const uint32_t *whole_end; /* of the words, after the last four outputs */
  const uint32_t *end;       /* after the last ones, which may be fewer */
  tinyml_dsp_lines_places places;
  tinyml_dsp_lines_places last; /* those that are too many go where the last one goes, before it */
  int32_t activation_min;
  int32_t activation_max;
  int32_t pairs; /* words that a window reads of a line */
} tinyml_dsp_lines_channel;

/* A row of outputs of a channel. words: what the first ones read of the first line. */
typedef void tinyml_dsp_lines_function(const uint32_t *words, int8_t *output,
                                       const tinyml_dsp_lines_channel *channel);

/* The sums of four neighbouring outputs. */
TINYML_INLINE void tinyml_dsp_lines_sums(const tinyml_dsp_lines_channel *channel, int32_t stride,
                                         int32_t pairs, const uint32_t *words, int32_t sums[4]) {
  const uint32_t *weights = channel->weights;
  int32_t sum0 = channel->bias, sum1 = sum0, sum2 = sum0, sum3 = sum0;
  do {
    const uint32_t *word = words;
    TINYML_ROLLED
    for (int32_t pair = 0; pair < pairs; ++pair) {
      if (stride == 1) {
        sum0 = tinyml_smlad(word[0], weights[0], sum0);
        sum1 = tinyml_smlad(word[0], weights[1], sum1);
        sum2 = tinyml_smlad(word[1], weights[0], sum2);
        sum3 = tinyml_smlad(word[1], weights[1], sum3);
        weights += 2;
      } else {
        sum0 = tinyml_smlad(word[0], weights[0], sum0);
        sum1 = tinyml_smlad(word[1], weights[0], sum1);
        sum2 = tinyml_smlad(word[2], weights[0], sum2);
        sum3 = tinyml_smlad(word[3], weights[0], sum3);
        weights += 1;
      }
      ++word;
    }
    words += (uint32_t)channel->row_bytes / 4;
  } while (weights != channel->weights_end);
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

TINYML_INLINE int8_t tinyml_dsp_lines_output(const tinyml_dsp_lines_channel *channel, int32_t form,
                                             int32_t sum) {
  return tinyml_dsp_depthwise_output(form, &channel->scale, channel->activation_min,
                                     channel->activation_max, sum);
}

TINYML_INLINE void tinyml_dsp_lines_outputs(const tinyml_dsp_lines_channel *channel, int32_t stride,
                                            int32_t form, const uint32_t *words, int8_t *output) {
  while (words != channel->end) {
    const tinyml_dsp_lines_places *places =
        words != channel->whole_end ? &channel->places : &channel->last;
    int32_t sums[4];
    tinyml_dsp_lines_sums(channel, stride, channel->pairs, words, sums);
    output[places->fourth] = tinyml_dsp_lines_output(channel, form, sums[3]);
    output[places->third] = tinyml_dsp_lines_output(channel, form, sums[2]);
    output[places->second] = tinyml_dsp_lines_output(channel, form, sums[1]);
    output[0] = tinyml_dsp_lines_output(channel, form, sums[0]);
    output += places->next;
    words += 2 * stride;
  }
}

#define TINYML_DSP_LINES_IN_C(NAME, STRIDE, FORM)                                                  \
  TINYML_SHARED void tinyml_dsp_lines_##NAME(const uint32_t *words, int8_t *output,                \
                                             const tinyml_dsp_lines_channel *channel) {            \
    tinyml_dsp_lines_outputs(channel, STRIDE, FORM, words, output);                                \
  }

TINYML_DSP_LINES_IN_C(1_any_relu, 1, TINYML_DSP_RELU)
TINYML_DSP_LINES_IN_C(1_any_signed, 1, TINYML_DSP_SIGNED)
TINYML_DSP_LINES_IN_C(1_any_clamp, 1, TINYML_DSP_CLAMP)
TINYML_DSP_LINES_IN_C(2_any_relu, 2, TINYML_DSP_RELU)
TINYML_DSP_LINES_IN_C(2_any_signed, 2, TINYML_DSP_SIGNED)
TINYML_DSP_LINES_IN_C(2_any_clamp, 2, TINYML_DSP_CLAMP)

#if TINYML_HAS_DSP

typedef char tinyml_dsp_lines_channel_is_as_the_assembler_has_it
    [__builtin_offsetof(tinyml_dsp_lines_channel, scale) == 12 &&
             __builtin_offsetof(tinyml_dsp_lines_channel, back) == 28 &&
             __builtin_offsetof(tinyml_dsp_lines_channel, places) == 40 &&
             __builtin_offsetof(tinyml_dsp_lines_channel, last) == 56
         ? 1
         : -1];

/* The same for the most frequent numbers of pairs and the forms without a clamp. Compilers run out
 * of registers here: they take a half more instructions.
 *
 * r0: words, r1: output, r2: the channel, r4: weights, r8-r11: sums; the places are on the stack.
 * r12, lr: multiplier and offset at the end. */

/* clang-format off */

/* Stride 1. r3: row_bytes, r5, r6: words of input, r7, r12: a pair of weights for each parity,
 * lr: their end. */
#define TINYML_DSP_LINES_ADD_1(FIRST, SECOND)                                                      \
  "ldrd r7, r12, [r4], #8\n"                                                                       \
  "smlad r8, " FIRST ", r7, r8\n"                                                                  \
  "smlad r9, " FIRST ", r12, r9\n"                                                                 \
  "smlad r10, " SECOND ", r7, r10\n"                                                               \
  "smlad r11, " SECOND ", r12, r11\n"
#define TINYML_DSP_LINES_1_1                                                                       \
  "ldrd r5, r6, [r0]\n" TINYML_DSP_LINES_ADD_1("r5", "r6")
#define TINYML_DSP_LINES_1_2                                                                       \
  TINYML_DSP_LINES_1_1                                                                             \
  "ldr r5, [r0, #8]\n" TINYML_DSP_LINES_ADD_1("r6", "r5")
#define TINYML_DSP_LINES_1_3                                                                       \
  TINYML_DSP_LINES_1_2                                                                             \
  "ldr r6, [r0, #12]\n" TINYML_DSP_LINES_ADD_1("r5", "r6")
#define TINYML_DSP_LINES_1_4                                                                       \
  TINYML_DSP_LINES_1_3                                                                             \
  "ldr r5, [r0, #16]\n" TINYML_DSP_LINES_ADD_1("r6", "r5")
#define TINYML_DSP_LINES_1_5                                                                       \
  TINYML_DSP_LINES_1_4                                                                             \
  "ldr r6, [r0, #20]\n" TINYML_DSP_LINES_ADD_1("r5", "r6")
#define TINYML_DSP_LINES_1_6                                                                       \
  TINYML_DSP_LINES_1_5                                                                             \
  "ldr r5, [r0, #24]\n" TINYML_DSP_LINES_ADD_1("r6", "r5")
#define TINYML_DSP_LINES_BEGIN_1 "ldr r3, [r2, #24]\nldrd r4, lr, [r2]\n"
#define TINYML_DSP_LINES_END_1                                                                     \
  "add r0, r0, r3\n"                                                                               \
  "cmp r4, lr\n"

/* Stride 2. r3: the weights' end, r5, r6, r7, r12: words of input, lr: a pair of weights. */
#define TINYML_DSP_LINES_ADD_2(FIRST, SECOND, THIRD, FOURTH)                                       \
  "ldr lr, [r4], #4\n"                                                                             \
  "smlad r8, " FIRST ", lr, r8\n"                                                                  \
  "smlad r9, " SECOND ", lr, r9\n"                                                                 \
  "smlad r10, " THIRD ", lr, r10\n"                                                                \
  "smlad r11, " FOURTH ", lr, r11\n"
#define TINYML_DSP_LINES_2_1                                                                       \
  "ldrd r5, r6, [r0]\n"                                                                            \
  "ldrd r7, r12, [r0, #8]\n" TINYML_DSP_LINES_ADD_2("r5", "r6", "r7", "r12")
#define TINYML_DSP_LINES_2_2                                                                       \
  TINYML_DSP_LINES_2_1                                                                             \
  "ldr r5, [r0, #16]\n" TINYML_DSP_LINES_ADD_2("r6", "r7", "r12", "r5")
#define TINYML_DSP_LINES_2_3                                                                       \
  TINYML_DSP_LINES_2_2                                                                             \
  "ldr r6, [r0, #20]\n" TINYML_DSP_LINES_ADD_2("r7", "r12", "r5", "r6")
#define TINYML_DSP_LINES_2_4                                                                       \
  TINYML_DSP_LINES_2_3                                                                             \
  "ldr r7, [r0, #24]\n" TINYML_DSP_LINES_ADD_2("r12", "r5", "r6", "r7")
#define TINYML_DSP_LINES_2_5                                                                       \
  TINYML_DSP_LINES_2_4                                                                             \
  "ldr r12, [r0, #28]\n" TINYML_DSP_LINES_ADD_2("r5", "r6", "r7", "r12")
#define TINYML_DSP_LINES_2_6                                                                       \
  TINYML_DSP_LINES_2_5                                                                             \
  "ldr r5, [r0, #32]\n" TINYML_DSP_LINES_ADD_2("r6", "r7", "r12", "r5")
#define TINYML_DSP_LINES_BEGIN_2 "ldrd r4, r3, [r2]\n"
#define TINYML_DSP_LINES_END_2                                                                     \
  "ldr lr, [r2, #24]\n"                                                                            \
  "add r0, r0, lr\n"                                                                               \
  "cmp r4, r3\n"

#define TINYML_DSP_LINES(NAME, STRIDE, PAIRS, FORM)                                                \
  TINYML_NAKED void NAME(const uint32_t *words TINYML_UNUSED, int8_t *output TINYML_UNUSED,        \
                         const tinyml_dsp_lines_channel *channel TINYML_UNUSED) {                  \
    __asm__("add r3, r2, #40\n" /* places */                                                       \
            "push {r3-r11, lr}\n"                                                                  \
            "b 4f\n"                                                                               \
            "1:\n"                                                                                 \
            TINYML_DSP_LINES_BEGIN_##STRIDE                                                        \
            "ldr r8, [r2, #8]\n" /* bias */                                                        \
            "mov r9, r8\n"                                                                         \
            "mov r10, r8\n"                                                                        \
            "mov r11, r8\n"                                                                        \
            "2:\n"                                                                                 \
            TINYML_DSP_LINES_##STRIDE##_##PAIRS                                                    \
            TINYML_DSP_LINES_END_##STRIDE                                                          \
            "bne 2b\n"                                                                             \
            "ldrd r12, lr, [r2, #12]\n" /* multiplier, offset */                                   \
            TINYML_DSP_ROUND_##FORM("r4")                                                          \
            TINYML_DSP_SCALE_##FORM("r8", "r4", "r5")                                              \
            TINYML_DSP_SCALE_##FORM("r9", "r4", "r5")                                              \
            TINYML_DSP_SCALE_##FORM("r10", "r4", "r5")                                             \
            TINYML_DSP_SCALE_##FORM("r11", "r4", "r5")                                             \
            TINYML_DSP_SATURATE("r8")                                                              \
            TINYML_DSP_SATURATE("r9")                                                              \
            TINYML_DSP_SATURATE("r10")                                                             \
            TINYML_DSP_SATURATE("r11")                                                             \
            "ldr r4, [sp]\n"                                                                       \
            "ldm r4, {r4-r7}\n"                                                                    \
            "strb r11, [r1, r6]\n"                                                                 \
            "strb r10, [r1, r5]\n"                                                                 \
            "strb r9, [r1, r4]\n"                                                                  \
            "strb r8, [r1]\n"                                                                      \
            "add r1, r1, r7\n"                                                                     \
            "ldr r4, [r2, #28]\n" /* back */                                                       \
            "sub r0, r0, r4\n"                                                                     \
            "4:\n"                                                                                 \
            "ldrd r4, r5, [r2, #32]\n" /* whole_end, end */                                        \
            "cmp r0, r4\n"                                                                         \
            "blo 1b\n"                                                                             \
            "cmp r0, r5\n"                                                                         \
            "add r4, r2, #56\n" /* last */                                                         \
            "str r4, [sp]\n"                                                                       \
            "bne 1b\n"                                                                             \
            "pop {r3-r11, pc}\n");                                                                 \
  }

/* clang-format on */

#else

#define TINYML_DSP_LINES(NAME, STRIDE, PAIRS, FORM)                                                \
  TINYML_SHARED void NAME(const uint32_t *words, int8_t *output,                                   \
                          const tinyml_dsp_lines_channel *channel) {                               \
    tinyml_dsp_lines_outputs(channel, STRIDE, TINYML_DSP_##FORM, words, output);                   \
  }

#endif

#define TINYML_DSP_LINES_OF_STRIDE(STRIDE, PAIRS)                                                  \
  TINYML_DSP_LINES(tinyml_dsp_lines_##STRIDE##_##PAIRS##_relu, STRIDE, PAIRS, RELU)                \
  TINYML_DSP_LINES(tinyml_dsp_lines_##STRIDE##_##PAIRS##_signed, STRIDE, PAIRS, SIGNED)
#define TINYML_DSP_LINES_OF_PAIRS(PAIRS)                                                           \
  TINYML_DSP_LINES_OF_STRIDE(1, PAIRS)                                                             \
  TINYML_DSP_LINES_OF_STRIDE(2, PAIRS)

TINYML_DSP_LINES_OF_PAIRS(1)
TINYML_DSP_LINES_OF_PAIRS(2)
TINYML_DSP_LINES_OF_PAIRS(3)
TINYML_DSP_LINES_OF_PAIRS(4)
TINYML_DSP_LINES_OF_PAIRS(5)
TINYML_DSP_LINES_OF_PAIRS(6)

#endif
