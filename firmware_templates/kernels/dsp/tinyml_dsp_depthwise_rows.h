/* Output rows of one or two channels of a depthwise 3x3 convolution: the inner loops of
 * tinyml_dsp_depthwise.h, in assembler where there is the DSP extension, with their meaning in C
 * beside them.
 */
#ifndef TINYML_DSP_DEPTHWISE_ROWS_H
#define TINYML_DSP_DEPTHWISE_ROWS_H

#include "tinyml_dsp_depthwise_outputs.h"

/* One channel's constants, and where a row of it ends, as the inner loops want them. The assembler
 * knows the order. */
typedef struct {
  uint32_t upper[3]; /* of each column, the scaled weights of rows 0 and 1 */
  uint32_t lower[3]; /* of each column, the scaled weights of rows 1 and 2 */
  int32_t bias;      /* scaled too: by 2^k, so that all channels have the same fraction */
  tinyml_dsp_depthwise_scale scale;
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
    [__builtin_offsetof(tinyml_dsp_depthwise_filter, scale) == 28 &&
             __builtin_offsetof(tinyml_dsp_depthwise_filter, next) == 56 &&
             sizeof(tinyml_dsp_depthwise_filter) == 68
         ? 1
         : -1];
#endif

TINYML_INLINE int8_t tinyml_dsp_depthwise_rows_output(const tinyml_dsp_depthwise_filter *f,
                                                      int32_t form, int32_t sum) {
  return tinyml_dsp_depthwise_output(form, &f->scale, f->activation_min, f->activation_max, sum);
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
    output[column * f->step + f->below] = tinyml_dsp_depthwise_rows_output(f, form, below);
    output[column * f->step] = tinyml_dsp_depthwise_rows_output(f, form, sum);
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
    *output = tinyml_dsp_depthwise_rows_output(f, form, sum);
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

#define TINYML_DSP_RESTORE_RELU ""
#define TINYML_DSP_RESTORE_SIGNED "ldrd r8, r9, [r3, #16]\n" /* weights */

/* clang-format off */

/* 2 x 2 outputs at a time, then 2 x 1. r4-r6: weights, r7-r10: sums, r11: bias. */
#define TINYML_DSP_STRIDE1(NAME, FORM)                                                             \
  TINYML_NAKED void NAME(const uint32_t *upper TINYML_UNUSED,                                      \
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
            TINYML_DSP_ROUND_##FORM("r4")                                                          \
            TINYML_DSP_SCALE_##FORM("r7", "r4", "r5")                                              \
            TINYML_DSP_SCALE_##FORM("r8", "r4", "r5")                                              \
            TINYML_DSP_SCALE_##FORM("r9", "r4", "r5")                                              \
            TINYML_DSP_SCALE_##FORM("r10", "r4", "r5")                                             \
            TINYML_DSP_SATURATE("r7")                                                              \
            TINYML_DSP_SATURATE("r8")                                                              \
            TINYML_DSP_SATURATE("r9")                                                              \
            TINYML_DSP_SATURATE("r10")                                                             \
            "ldr lr, [r3, #40]\n" /* below */                                                      \
            "ldrd r4, r5, [r3, #44]\n" /* step, end */                                             \
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
            TINYML_DSP_ROUND_##FORM("r4")                                                          \
            TINYML_DSP_SCALE_##FORM("r7", "r4", "r5")                                              \
            TINYML_DSP_SCALE_##FORM("r8", "r4", "r5")                                              \
            TINYML_DSP_SATURATE("r7")                                                              \
            TINYML_DSP_SATURATE("r8")                                                              \
            "ldr lr, [r3, #40]\n" /* below */                                                      \
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
            "str r2, [sp]\n"                                                                       \
            "add r3, r3, #68\n"                                                                    \
            "b 0b\n"                                                                               \
            "4:\n"                                                                                 \
            "pop {r2, r4-r11, pc}\n");                                                             \
  }

/* 2 outputs of a row at a time, then 1. r4-r9: weights, r10, r11: sums. */
#define TINYML_DSP_STRIDE2(NAME, FORM)                                                             \
  TINYML_NAKED void NAME(const uint32_t *upper TINYML_UNUSED,                                      \
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
            TINYML_DSP_ROUND_##FORM("r8")                                                          \
            TINYML_DSP_SCALE_##FORM("r10", "r8", "r9")                                             \
            TINYML_DSP_SCALE_##FORM("r11", "r8", "r9")                                             \
            TINYML_DSP_SATURATE("r10")                                                             \
            TINYML_DSP_SATURATE("r11")                                                             \
            TINYML_DSP_RESTORE_##FORM                                                              \
            "ldrd r12, lr, [r3, #44]\n" /* step, end */                                            \
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
            TINYML_DSP_ROUND_##FORM("r8")                                                          \
            TINYML_DSP_SCALE_##FORM("r10", "r8", "r9")                                             \
            TINYML_DSP_SATURATE("r10")                                                             \
            "strb r10, [r2]\n"                                                                     \
            "3:\n"                                                                                 \
            "ldrd r4, r5, [r3, #52]\n" /* span, next */                                            \
            "cbz r5, 4f\n"                                                                         \
            "sub r5, r5, r4\n"                                                                     \
            "add r0, r0, r5, lsl #2\n"                                                             \
            "add r1, r1, r5, lsl #2\n"                                                             \
            "ldr r2, [sp]\n"                                                                       \
            "add r2, r2, #1\n"                                                                     \
            "str r2, [sp]\n"                                                                       \
            "add r3, r3, #68\n"                                                                    \
            "b 0b\n"                                                                               \
            "4:\n"                                                                                 \
            "pop {r2, r4-r11, pc}\n");                                                             \
  }

/* clang-format on */

#else

/* Without the DSP extension the compiler's version serves. */
#define TINYML_DSP_STRIDE1(NAME, FORM) TINYML_DSP_ROWS(NAME, 1, TINYML_DSP_##FORM)
#define TINYML_DSP_STRIDE2(NAME, FORM) TINYML_DSP_ROWS(NAME, 2, TINYML_DSP_##FORM)

#endif

TINYML_DSP_STRIDE1(tinyml_dsp_depthwise_rows_1_relu, RELU)
TINYML_DSP_STRIDE1(tinyml_dsp_depthwise_rows_1_signed, SIGNED)
TINYML_DSP_STRIDE2(tinyml_dsp_depthwise_rows_2_relu, RELU)
TINYML_DSP_STRIDE2(tinyml_dsp_depthwise_rows_2_signed, SIGNED)

#endif
