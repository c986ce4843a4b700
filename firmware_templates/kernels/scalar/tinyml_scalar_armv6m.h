/* Sums of products for Armv6-M (Cortex-M0, M0+), in assembler with a twin in C of the same
 * contract. Eight registers reach most instructions, and a product destroys one of its factors;
 * compilers make six to eight instructions of each multiplication.
 *
 * Four pixels x one channel. Two pixels share a word, x0 + x1 * 2^16, so that one multiplication
 * makes two products: seven instructions for four. A sum of few products fits the 16 bits that it
 * has; the upper one is exact once the lower one cannot be negative. So the products are cut into
 * segments that fit whatever the inputs are, which the host finds from the weights
 * (tinyml_sdk/ops/scalar/row.py). After a segment the four sums are added to their totals.
 *
 * One row x four channels. The weights are raised by 128, as only unsigned bytes can be loaded from
 * an address and an offset; what that is too much, 128 times the sum of the inputs, is the same for
 * all channels, and is taken out of the bias.
 */
#ifndef TINYML_SCALAR_ARMV6M_H
#define TINYML_SCALAR_ARMV6M_H

#include "tinyml_scalar.h"

#ifndef TINYML_ARMV6M
#if defined(__ARM_ARCH_6M__)
#define TINYML_ARMV6M 1
#else
#define TINYML_ARMV6M 0
#endif
#endif

/* The number before a segment's weights is its products times this: half of the bytes that the
 * instructions of a product take. 0 ends a channel. */
#define TINYML_SEGMENT_UNIT 7

/* What makes the lower sum of a segment positive; the host takes it out of the bias. */
#define TINYML_SEGMENT_START 0x8000

#if TINYML_ARMV6M

#ifdef __clang__
#define TINYML_ARMV6M_NAKED static __attribute__((naked, noinline, unused))
#else /* gcc drops parameters that no C code reads unless told not to look */
#define TINYML_ARMV6M_NAKED static __attribute__((naked, noipa, unused))
#endif
#define TINYML_ARMV6M_UNUSED __attribute__((unused))

/* r0 to r3 are the arguments. In the loop: r0 inputs, r3 weights, r4 and r5 the segment's sums, r7
 * 0, r8 to r11 totals, r12 the start of a sum, lr the end of the sixteen products. */
TINYML_ARMV6M_NAKED const int8_t *tinyml_armv6m_dot_4x1(const uint32_t *inputs TINYML_ARMV6M_UNUSED,
                                                        const int8_t *stream TINYML_ARMV6M_UNUSED,
                                                        const int32_t *bias TINYML_ARMV6M_UNUSED,
                                                        int32_t *sums TINYML_ARMV6M_UNUSED) {
  __asm__ volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r3-r7}\n" /* where the sums go, too */
                   "ldmia r2!, {r4, r5}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r4\n"
                   "mov r11, r5\n"
                   "mov r3, r1\n"
                   "movs r7, #128\n"
                   "lsls r7, r7, #8\n"
                   "mov r12, r7\n"
                   "movs r7, #0\n"
                   "adr r1, 2f\n"
                   "mov lr, r1\n"
                   "b 3f\n"
                   ".balign 4\n"
                   ".rept 16\n"
                   "ldmia r0!, {r1, r2}\n"
                   "ldrsb r6, [r3, r7]\n"
                   "adds r3, r3, #1\n"
                   "muls r1, r6, r1\n"
                   "adds r4, r4, r1\n"
                   "muls r2, r6, r2\n"
                   "adds r5, r5, r2\n"
                   ".endr\n"
                   "2:\n"
                   "uxth r1, r4\n"
                   "asrs r4, r4, #16\n"
                   "add r8, r1\n"
                   "add r9, r4\n"
                   "uxth r1, r5\n"
                   "asrs r5, r5, #16\n"
                   "add r10, r1\n"
                   "add r11, r5\n"
                   "3:\n"
                   "ldrb r6, [r3]\n"
                   "adds r3, r3, #1\n"
                   "lsls r6, r6, #1\n"
                   "beq 4f\n"
                   "mov r4, r12\n"
                   "mov r5, r12\n"
                   "mov r1, lr\n"
                   "subs r1, r1, r6\n"
                   "mov pc, r1\n"
                   "4:\n"
                   "mov r0, r3\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "pop {r1}\n"
                   "stmia r1!, {r4-r7}\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n");
}

/* In the loop: r0 input, r1 weights, r2 a weight, r3 to r7 the numbers 0 to 3 and an input between
 * them, r8 to r11 sums, r12 the end of the input. */
TINYML_ARMV6M_NAKED void tinyml_armv6m_dot_1x4(const int8_t *input TINYML_ARMV6M_UNUSED,
                                               const int8_t *weights TINYML_ARMV6M_UNUSED,
                                               int32_t quads TINYML_ARMV6M_UNUSED,
                                               int32_t *sums TINYML_ARMV6M_UNUSED) {
  __asm__ volatile(".syntax unified\n"
                   ".macro tinyml_product from, sum\n"
                   "ldrb r2, [r1, #\\from]\n"
                   "muls r2, r4, r2\n"
                   "add \\sum, r2\n"
                   ".endm\n"
                   ".macro tinyml_products from, at\n"
                   "ldrsb r4, [r0, \\at]\n"
                   "tinyml_product \\from, r8\n"
                   "tinyml_product \\from+1, r9\n"
                   "tinyml_product \\from+2, r10\n"
                   "tinyml_product \\from+3, r11\n"
                   ".endm\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "push {r3-r7}\n" /* where the sums are, too */
                   "lsls r2, r2, #2\n"
                   "adds r2, r2, r0\n"
                   "mov r12, r2\n"
                   "ldmia r3!, {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "movs r3, #0\n"
                   "movs r5, #1\n"
                   "movs r6, #2\n"
                   "movs r7, #3\n"
                   "1:\n"
                   "tinyml_products 0, r3\n"
                   "tinyml_products 4, r5\n"
                   "tinyml_products 8, r6\n"
                   "tinyml_products 12, r7\n"
                   "adds r0, r0, #4\n"
                   "adds r1, r1, #16\n"
                   "cmp r0, r12\n"
                   "bne 1b\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "mov r6, r10\n"
                   "mov r7, r11\n"
                   "pop {r3}\n"
                   "stmia r3!, {r4-r7}\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "mov r10, r6\n"
                   "mov r11, r7\n"
                   "pop {r4-r7, pc}\n"
                   ".purgem tinyml_product\n"
                   ".purgem tinyml_products\n");
}

#else

/* inputs: for each product two words, of pixels 0 and 1, and of 2 and 3. stream: segments, each its
 * length times TINYML_SEGMENT_UNIT and its weights, and 0. bias: what the sums of the pixels 0 and
 * 2, and of 1 and 3, start with. Returns the next channel's stream. */
TINYML_SCALAR_SHARED const int8_t *tinyml_armv6m_dot_4x1(const uint32_t *inputs,
                                                         const int8_t *stream, const int32_t *bias,
                                                         int32_t *sums) {
  sums[0] = sums[2] = bias[0];
  sums[1] = sums[3] = bias[1];
  for (int32_t left = *stream++ / TINYML_SEGMENT_UNIT; left > 0;
       left = *stream++ / TINYML_SEGMENT_UNIT) {
    uint32_t first = TINYML_SEGMENT_START, second = TINYML_SEGMENT_START;
    for (; left > 0; --left) {
      const uint32_t weight = (uint32_t)(int32_t)*stream++;
      first += *inputs++ * weight;
      second += *inputs++ * weight;
    }
    sums[0] += (int32_t)(first & 0xFFFFu);
    sums[1] += (int32_t)first >> 16;
    sums[2] += (int32_t)(second & 0xFFFFu);
    sums[3] += (int32_t)second >> 16;
  }
  return stream;
}

/* Adds to the sums of four channels the products of `quads` times four inputs, at least one.
 * weights: for each input the four channels', raised by 128. */
TINYML_SCALAR_SHARED void tinyml_armv6m_dot_1x4(const int8_t *input, const int8_t *weights,
                                                int32_t quads, int32_t *sums) {
  for (int32_t i = 0; i < 4 * quads; ++i) {
    for (int32_t channel = 0; channel < 4; ++channel) {
      sums[channel] += input[i] * (int32_t)(uint8_t)*weights++;
    }
  }
}

#endif

/* Makes words of two pixels of the bytes of a tile of four, which lie in the upper half of where
 * the words go. depth: a multiple of 4. */
TINYML_SCALAR_SHARED void tinyml_armv6m_widen(int8_t *scratch, int32_t depth) {
  const int8_t *from = scratch + 4 * depth;
  uint32_t *to = (uint32_t *)(void *)scratch;
  for (; depth > 0; depth -= 4) {
    int8_t pixels[16] __attribute__((aligned(4)));
    for (int32_t i = 0; i < 16; i += 4) {
      tinyml_scalar_copy_word(pixels + i, from + i);
    }
    from += 16;
    for (int32_t i = 0; i < 4; ++i) {
      *to++ = (uint32_t)(int32_t)pixels[i] + ((uint32_t)(int32_t)pixels[4 + i] << 16);
      *to++ = (uint32_t)(int32_t)pixels[8 + i] + ((uint32_t)(int32_t)pixels[12 + i] << 16);
    }
  }
}

#endif
