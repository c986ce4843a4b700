/* Sums of products for cores with the DSP extension, and how they become outputs.
 *
 * Weights. Each half of a weight word holds 256 * wB + wA, for two output channels A and B. SMLAD
 * with the word gives 256 * SB + SA, SMLAD with SXTB16 of the word gives SA; so one unpacking
 * serves four weights, and they take no more flash than plain ones. All of it is exact modulo 2^32;
 * the host has checked that every half fits and that |SB| < 2^23.
 *
 * A stream of weights has, for each block of channels, the biases (A, then A + 256 * B, as the sums
 * start with them; the input's zero point is folded in), then for every four products k the words
 * of (k, k + 2) and of (k + 1, k + 3) of each pair of channels. This is the order in which SXTB16
 * and SXTB16 with ROR #8 take a word of inputs apart. tinyml_sdk/ops/dsp/matrix.py writes it.
 */
#ifndef TINYML_DSP_SUMS_H
#define TINYML_DSP_SUMS_H

#include <stddef.h>

#include "../tinyml_bytes.h"
#include "../tinyml_requantize.h"
#include "tinyml_dsp.h"

/* -- from sums to outputs ---------------------------------------------------------------------- */

/* How a layer's sums become outputs; the host proves which form is exact. */
enum {
  TINYML_FORM_CLAMPED, /* the activation is [zero point, 127] with zero point -128: ReLU */
  TINYML_FORM_SIGNED,  /* no activation: [-128, 127] */
  TINYML_FORM_GENERAL  /* anything else */
};

/* For four channels: {multiplier, offset} and the shift of each. */
typedef struct {
  const int32_t *scale;
  const int8_t *shift;
} tinyml_dsp_scales;

/* With shift k, a = sum * 2^k, and the offset c of ops/dsp/matrix.py, both of TFLM's roundings are
 * in (a * multiplier + c * 2^32) >> (32 + 15), but that ties round up. Below zero they must round
 * down, which takes 2^(k - 1) less, unless all that is negative is clamped anyway. 2^(k - 2) is all
 * that the offset has in its lower bits. */
TINYML_INLINE int8_t tinyml_dsp_requantize(int32_t form, const tinyml_requantization *p,
                                           tinyml_dsp_scales scales, int32_t channel, int32_t sum) {
  const int32_t multiplier = scales.scale[2 * channel];
  int32_t offset = scales.scale[2 * channel + 1];
  const int32_t shift = scales.shift[channel];
  if (form == TINYML_FORM_GENERAL) {
    return tinyml_requantize_by(p, multiplier, shift, sum);
  }
  if (form == TINYML_FORM_SIGNED) {
    offset -= 2 * (offset & (sum >> 31) & ((1 << (TINYML_DSP_FRACTION - 1)) - 1));
  }
  const int32_t value = (int32_t)((uint32_t)sum << shift);
  return tinyml_saturate_output(tinyml_smmla(value, multiplier, offset));
}

/* -- sums of products -------------------------------------------------------------------------- */

/* What computes blocks of four channels of two pixels takes. */
typedef struct {
  const uint32_t *activations; /* words of two widened inputs, in turns of both pixels */
  const uint32_t *activations_end;
  const int32_t *weights;
  const int32_t *weights_end; /* of the blocks side by side, which are at least one */
  const int32_t *scale;
  const int8_t *shift;
  int8_t *output0;
  int8_t *output1;         /* where it is output0, that pixel's outputs stay */
  int32_t first_steps;     /* of the loop's first turn: steps % TINYML_TURN */
  const int32_t *last_end; /* weights_end, or that of a block that begins a channel before it */
} tinyml_dsp_blocks;

#if TINYML_HAS_DSP

/* These need all fourteen registers, with which compilers cannot cope: gcc spills in the loop. The
 * sums are in r6 to r12 and lr; even ones are SA, odd ones 256 * SB + SA. */
#define TINYML_CLOBBERS "r0", "r1", "r2", "r3", "r12", "cc", "memory"

/* Steps of a turn, of 44 bytes each, and for each remainder of the steps by it: where the first
 * turn enters, in half words behind the table. */
#ifdef TINYML_OPTIMIZE_SIZE
#define TINYML_TURN 2
#define TINYML_TURN_ENTRIES ".byte 1, 23\n"
#else
#define TINYML_TURN 8
#define TINYML_TURN_ENTRIES ".byte 4, 158, 136, 114, 92, 70, 48, 26\n"
#endif
#define TINYML_TEXT_OF(macro) #macro
#define TINYML_TEXT(macro) TINYML_TEXT_OF(macro)

/* Two pixels (from r0 to the address at `end`) x four channels (from r1). 12 instructions for 16
 * products. r4: steps % TINYML_TURN. */
#define TINYML_DOT_2X4(end)                                                                        \
  "ldmia r1!, {r6-r9}\n"                                                                           \
  "mov r10, r6\n"                                                                                  \
  "mov r11, r7\n"                                                                                  \
  "mov r12, r8\n"                                                                                  \
  "mov lr, r9\n"                                                                                   \
  "tbb [pc, r4]\n" TINYML_TURN_ENTRIES "2:\n"                                                      \
  ".rept " TINYML_TEXT(TINYML_TURN) "\n"                                                           \
                                    "ldmia r0!, {r2, r3}\n"                                        \
                                    "ldmia r1!, {r4, r5}\n"                                        \
                                    "smlad r7, r4, r2, r7\n"                                       \
                                    "smlad r11, r4, r3, r11\n"                                     \
                                    "sxtb16 r4, r4\n"                                              \
                                    "smlad r9, r5, r2, r9\n"                                       \
                                    "smlad lr, r5, r3, lr\n"                                       \
                                    "sxtb16 r5, r5\n"                                              \
                                    "smlad r6, r4, r2, r6\n"                                       \
                                    "smlad r10, r4, r3, r10\n"                                     \
                                    "smlad r8, r5, r2, r8\n"                                       \
                                    "smlad r12, r5, r3, r12\n"                                     \
                                    ".endr\n"                                                      \
                                    "ldr r2, " end "\n"                                            \
                                    "cmp r0, r2\n"                                                 \
                                    "bne.w 2b\n" TINYML_SPLIT_SUMS

/* From 256 * SB + SA to SB. */
#define TINYML_SPLIT_SUMS                                                                          \
  "sub r7, r7, r6\n"                                                                               \
  "asr r7, r7, #8\n"                                                                               \
  "sub r9, r9, r8\n"                                                                               \
  "asr r9, r9, #8\n"                                                                               \
  "sub r11, r11, r10\n"                                                                            \
  "asr r11, r11, #8\n"                                                                             \
  "sub lr, lr, r12\n"                                                                              \
  "asr lr, lr, #8\n"

/* One channel of two pixels to int8; the scales are at r0, the shifts at r5. */
#define TINYML_FINISH_CLAMPED(a, b)                                                                \
  "ldrsb r1, [r5], #1\n"                                                                           \
  "ldrd r2, r3, [r0], #8\n"                                                                        \
  "lsl " a ", " a ", r1\n"                                                                         \
  "lsl " b ", " b ", r1\n"                                                                         \
  "smmla " a ", " a ", r2, r3\n"                                                                   \
  "smmla " b ", " b ", r2, r3\n"                                                                   \
  "ssat " a ", #8, " a ", asr #15\n"                                                               \
  "ssat " b ", #8, " b ", asr #15\n"

#define TINYML_FINISH_SIGNED(a, b)                                                                 \
  "ldrsb r1, [r5], #1\n"                                                                           \
  "ldrd r2, r3, [r0], #8\n"                                                                        \
  "lsl " a ", " a ", r1\n"                                                                         \
  "lsl " b ", " b ", r1\n"                                                                         \
  "ubfx r4, r3, #0, #14\n"                                                                         \
  "and r1, r4, " a ", asr #31\n"                                                                   \
  "sub r1, r3, r1, lsl #1\n"                                                                       \
  "smmla " a ", " a ", r2, r1\n"                                                                   \
  "and r1, r4, " b ", asr #31\n"                                                                   \
  "sub r1, r3, r1, lsl #1\n"                                                                       \
  "smmla " b ", " b ", r2, r1\n"                                                                   \
  "ssat " a ", #8, " a ", asr #15\n"                                                               \
  "ssat " b ", #8, " b ", asr #15\n"

/* Blocks of four channels of two pixels. A copy of *b lies at sp, and is what advances. */
#define TINYML_DSP_BLOCKS(name, form, finish)                                                      \
  TINYML_NAKED void tinyml_dsp_blocks_##name(const tinyml_dsp_blocks *b TINYML_UNUSED) {           \
    __asm__ volatile("push {r4-r11, lr}\n"                                                         \
                     "ldmia r0, {r1-r10}\n"                                                        \
                     "push {r1-r10}\n"                                                             \
                     "ldr r1, [sp, #8]\n"                                                          \
                     "1:\n"                                                                        \
                     "ldr r0, [sp, #0]\n"                                                          \
                     "ldr r4, [sp, #32]\n" TINYML_DOT_2X4("[sp, #4]") /* */                        \
                     "str r1, [sp, #8]\n"                                                          \
                     "ldrd r0, r5, [sp, #16]\n"              /* scale and shift */                 \
                     finish("r6", "r10") finish("r7", "r11") /* */                                 \
                     finish("r8", "r12") finish("r9", "lr")  /* */                                 \
                     "strd r0, r5, [sp, #16]\n"                                                    \
                     "ldrd r0, r5, [sp, #24]\n" /* the outputs */                                  \
                     "strb r10, [r5], #1\n"                                                        \
                     "strb r11, [r5], #1\n"                                                        \
                     "strb r12, [r5], #1\n"                                                        \
                     "strb lr, [r5], #1\n"                                                         \
                     "strb r6, [r0], #1\n"                                                         \
                     "strb r7, [r0], #1\n"                                                         \
                     "strb r8, [r0], #1\n"                                                         \
                     "strb r9, [r0], #1\n"                                                         \
                     "strd r0, r5, [sp, #24]\n"                                                    \
                     "ldrd r1, r2, [sp, #8]\n" /* the weights and their end */                     \
                     "cmp r1, r2\n"                                                                \
                     "bne.w 1b\n"                                                                  \
                     "ldr r2, [sp, #36]\n"                                                         \
                     "cmp r1, r2\n"                                                                \
                     "beq 3f\n"                                                                    \
                     "str r2, [sp, #12]\n" /* one more block, a channel back */                    \
                     "sub r0, r0, #1\n"                                                            \
                     "sub r5, r5, #1\n"                                                            \
                     "strd r0, r5, [sp, #24]\n"                                                    \
                     "b.w 1b\n"                                                                    \
                     "3:\n"                                                                        \
                     "add sp, #40\n"                                                               \
                     "pop {r4-r11, pc}\n" ::                                                       \
                         : TINYML_CLOBBERS);                                                       \
  }

/* The sums alone: sums[channel] of the first pixel, sums[4 + channel] of the second. steps > 0. */
TINYML_NAKED void tinyml_dsp_dot_2x4(const uint32_t *activations TINYML_UNUSED,
                                     const int32_t *weights TINYML_UNUSED,
                                     int32_t steps TINYML_UNUSED, int32_t *sums TINYML_UNUSED) {
  __asm__ volatile(
      "push {r4-r11, lr}\n"
      "and r4, r2, #" TINYML_TEXT(
          TINYML_TURN) " - 1\n"
                       "add r2, r0, r2, lsl #3\n"
                       "push {r2, r3}\n" /* the end of the activations, and where the sums go */
      TINYML_DOT_2X4("[sp]") "pop {r2, r3}\n"
                             "stmia r3, {r6-r12, lr}\n"
                             "pop {r4-r11, pc}\n" ::
                                 : TINYML_CLOBBERS);
}

/* One row of bytes x eight channels. quads: fours of products, > 0. 31 instructions for 32
 * products. */
TINYML_NAKED void tinyml_dsp_dot_1x8(const int8_t *input TINYML_UNUSED,
                                     const int32_t *weights TINYML_UNUSED,
                                     int32_t quads TINYML_UNUSED, int32_t *sums TINYML_UNUSED) {
  __asm__ volatile(".macro tinyml_four_channels x, a0, b0, a1, b1\n"
                   "ldmia r1!, {r4, r5}\n"
                   "smlad \\b0, r4, \\x, \\b0\n"
                   "sxtb16 r4, r4\n"
                   "smlad \\b1, r5, \\x, \\b1\n"
                   "sxtb16 r5, r5\n"
                   "smlad \\a0, r4, \\x, \\a0\n"
                   "smlad \\a1, r5, \\x, \\a1\n"
                   ".endm\n"
                   ".macro tinyml_four_products\n"
                   "ldr r3, [r0], #4\n"
                   "sxtb16 r2, r3\n"
                   "sxtb16 r3, r3, ror #8\n"
                   "tinyml_four_channels r2, r6, r7, r8, r9\n"
                   "tinyml_four_channels r2, r10, r11, r12, lr\n"
                   "tinyml_four_channels r3, r6, r7, r8, r9\n"
                   "tinyml_four_channels r3, r10, r11, r12, lr\n"
                   ".endm\n"
                   "push {r4-r11, lr}\n"
                   "lsls r4, r2, #31\n"
                   "add r2, r0, r2, lsl #2\n"
                   "push {r2, r3}\n" /* the end of the input, and where the sums go */
                   "ldmia r1!, {r6-r12, lr}\n"
                   "bne.w 2f\n" /* an odd number of quads: half a turn first */
                   "1:\n"
                   "tinyml_four_products\n"
                   "2:\n"
                   "tinyml_four_products\n"
                   "ldr r2, [sp]\n"
                   "cmp r0, r2\n"
                   "bne.w 1b\n" TINYML_SPLIT_SUMS "pop {r2, r3}\n"
                   "stmia r3, {r6-r12, lr}\n"
                   "pop {r4-r11, pc}\n"
                   ".purgem tinyml_four_channels\n"
                   ".purgem tinyml_four_products\n" ::
                       : TINYML_CLOBBERS);
}

#else

#define TINYML_TURN 1 /* step */

/* The same in C. Adds the products of two widened inputs with a word of weights to sum A and to
 * 256 * sum B + sum A. */
TINYML_INLINE void tinyml_dsp_accumulate(uint32_t inputs, int32_t weights, int32_t sums[2]) {
  sums[0] = tinyml_smlad(tinyml_sxtb16((uint32_t)weights), inputs, sums[0]);
  sums[1] = tinyml_smlad((uint32_t)weights, inputs, sums[1]);
}

TINYML_INLINE void tinyml_dsp_split(int32_t sums[8]) {
  for (int32_t i = 0; i < 8; i += 2) {
    sums[i + 1] = (int32_t)((uint32_t)sums[i + 1] - (uint32_t)sums[i]) >> 8;
  }
}

TINYML_SHARED void tinyml_dsp_dot_2x4(const uint32_t *activations, const int32_t *weights,
                                      int32_t steps, int32_t *sums) {
  for (int32_t i = 0; i < 8; ++i) {
    sums[i] = weights[i % 4];
  }
  weights += 4;
  for (; steps > 0; --steps) {
    for (int32_t pair = 0; pair < 2; ++pair) {
      tinyml_dsp_accumulate(activations[0], weights[pair], sums + 2 * pair);
      tinyml_dsp_accumulate(activations[1], weights[pair], sums + 4 + 2 * pair);
    }
    activations += 2;
    weights += 2;
  }
  tinyml_dsp_split(sums);
}

TINYML_SHARED void tinyml_dsp_dot_1x8(const int8_t *input, const int32_t *weights, int32_t quads,
                                      int32_t *sums) {
  for (int32_t i = 0; i < 8; ++i) {
    sums[i] = *weights++;
  }
  for (; quads > 0; --quads) {
    const uint32_t word = tinyml_load_word(input);
    for (int32_t pair = 0; pair < 4; ++pair) {
      tinyml_dsp_accumulate(tinyml_sxtb16(word), weights[pair], sums + 2 * pair);
      tinyml_dsp_accumulate(tinyml_sxtb16_odd(word), weights[4 + pair], sums + 2 * pair);
    }
    input += 4;
    weights += 8;
  }
  tinyml_dsp_split(sums);
}

TINYML_INLINE void tinyml_dsp_blocks_in_c(int32_t form, tinyml_dsp_blocks b) {
  const int32_t steps = (int32_t)(b.activations_end - b.activations) / 2;
  for (;;) {
    const tinyml_dsp_scales scales = {b.scale, b.shift};
    int32_t sums[8];
    tinyml_dsp_dot_2x4(b.activations, b.weights, steps, sums);
    for (int32_t channel = 0; channel < 4; ++channel) {
      *b.output1++ = tinyml_dsp_requantize(form, NULL, scales, channel, sums[4 + channel]);
    }
    for (int32_t channel = 0; channel < 4; ++channel) {
      *b.output0++ = tinyml_dsp_requantize(form, NULL, scales, channel, sums[channel]);
    }
    b.weights += 4 + 2 * steps;
    b.scale += 8;
    b.shift += 4;
    if (b.weights == b.last_end) {
      return;
    }
    if (b.weights == b.weights_end) {
      --b.output0;
      --b.output1;
    }
  }
}

#define TINYML_DSP_BLOCKS(name, form, finish)                                                      \
  TINYML_SHARED void tinyml_dsp_blocks_##name(const tinyml_dsp_blocks *b) {                        \
    tinyml_dsp_blocks_in_c(form, *b);                                                              \
  }

#endif

/* From A and 256 * B + A to B. */
TINYML_INLINE int32_t tinyml_dsp_second(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)b - (uint32_t)a) >> 8;
}

/* Two channels, which compilers have the registers for: those of the first pixel, of the second. */
TINYML_COMPACT void tinyml_dsp_dot_2x2(const uint32_t *inputs, const uint32_t *inputs_end,
                                       const int32_t *weights, int32_t sums[4]) {
  int32_t a0 = weights[0], b0 = weights[1], a1 = a0, b1 = b0;
  do {
    const uint32_t first = (uint32_t)weights[2], second = (uint32_t)weights[3];
    const uint32_t a = tinyml_sxtb16(first), next_a = tinyml_sxtb16(second);
    b0 = tinyml_smlad(second, inputs[2], tinyml_smlad(first, inputs[0], b0));
    b1 = tinyml_smlad(second, inputs[3], tinyml_smlad(first, inputs[1], b1));
    a0 = tinyml_smlad(next_a, inputs[2], tinyml_smlad(a, inputs[0], a0));
    a1 = tinyml_smlad(next_a, inputs[3], tinyml_smlad(a, inputs[1], a1));
    inputs += 4;
    weights += 2;
  } while (inputs != inputs_end);
  sums[0] = a0, sums[1] = tinyml_dsp_second(a0, b0);
  sums[2] = a1, sums[3] = tinyml_dsp_second(a1, b1);
}

/* Two channels of a row of bytes. Returns where the weights of the next two are. quads > 0. */
TINYML_COMPACT const int32_t *tinyml_dsp_dot_1x2(const int8_t *input, const int32_t *weights,
                                                 int32_t quads, int32_t sums[2]) {
  const int8_t *const input_end = input + 4 * quads;
  int32_t a = weights[0], b = weights[1];
  weights += 2;
  do {
    const uint32_t inputs = tinyml_load_word(input);
    const uint32_t even = tinyml_sxtb16(inputs), odd = tinyml_sxtb16_odd(inputs);
    const uint32_t first = (uint32_t)weights[0], second = (uint32_t)weights[1];
    b = tinyml_smlad(second, odd, tinyml_smlad(first, even, b));
    a = tinyml_smlad(tinyml_sxtb16(second), odd, tinyml_smlad(tinyml_sxtb16(first), even, a));
    input += 4;
    weights += 2;
  } while (input != input_end);
  sums[0] = a, sums[1] = tinyml_dsp_second(a, b);
  return weights;
}

TINYML_DSP_BLOCKS(clamped, TINYML_FORM_CLAMPED, TINYML_FINISH_CLAMPED)
TINYML_DSP_BLOCKS(signed, TINYML_FORM_SIGNED, TINYML_FINISH_SIGNED)

#endif
