/* Sums of products for Armv6-M (Cortex-M0, M0+), in assembler with a twin in C of the same
 * contract. Eight registers reach most instructions, and a product destroys one of its factors;
 * compilers make six to eight instructions of each multiplication.
 *
 * Four pixels x one channel. Two pixels share a word, x0 + x1 * 2^16, so that one multiplication
 * makes two products. Two such products fit the 16 bits that each half has, whatever the inputs are
 * (of weights, only -128 twice is too much; the host looks). So each two are split: 18 instructions
 * for eight products. U adds up whole words, V their upper halves and what the lower ones, where
 * negative, have borrowed of them: V is the second pixel's sum, U - V * 2^16 the first's.
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

#if TINYML_ARMV6M

#ifdef __clang__
#define TINYML_ARMV6M_NAKED static __attribute__((naked, noinline, unused))
#else /* gcc drops parameters that no C code reads unless told not to look */
#define TINYML_ARMV6M_NAKED static __attribute__((naked, noipa, unused))
#endif
#define TINYML_ARMV6M_UNUSED __attribute__((unused))

/* r0 to r3 are the arguments. In the loop: r0 inputs, r1 and r2 products, r3 weights, r4 and r5 V,
 * r6 and r7 two weights, r8 and r9 U, lr the end of the inputs. Carry, behind ASRS, is the sign of
 * the lower half. A last four products start in the middle. */
TINYML_ARMV6M_NAKED void tinyml_armv6m_dot_4x1(const uint32_t *inputs TINYML_ARMV6M_UNUSED,
                                               const int8_t *weights TINYML_ARMV6M_UNUSED,
                                               int32_t depth TINYML_ARMV6M_UNUSED,
                                               int32_t *sums TINYML_ARMV6M_UNUSED) {
  __asm__ volatile(".syntax unified\n"
                   ".macro tinyml_pixels whole, upper\n"
                   "ldmia r0!, {r1, r2}\n"
                   "muls r1, r6, r1\n"
                   "muls r2, r7, r2\n"
                   "adds r1, r1, r2\n"
                   "add \\whole, r1\n"
                   "asrs r1, r1, #16\n"
                   "adcs \\upper, r1\n"
                   ".endm\n"
                   ".macro tinyml_products at\n"
                   "ldrb r6, [r3, #\\at]\n"
                   "ldrb r7, [r3, #\\at+1]\n"
                   "sxtb r6, r6\n"
                   "sxtb r7, r7\n"
                   "tinyml_pixels r8, r4\n"
                   "tinyml_pixels r9, r5\n"
                   ".endm\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "mov r5, r9\n"
                   "push {r3-r5}\n" /* where the sums are, too */
                   "ldr r4, [r3]\n"
                   "mov r5, r4\n"
                   "mov r3, r1\n"
                   "lsls r1, r4, #16\n"
                   "adds r1, r1, r4\n"
                   "mov r8, r1\n"
                   "mov r9, r1\n"
                   "lsls r1, r2, #3\n"
                   "adds r1, r1, r0\n"
                   "mov lr, r1\n"
                   "lsls r2, r2, #29\n" /* the sign is bit 2 */
                   "bpl 1f\n"
                   "subs r3, r3, #4\n"
                   "b 2f\n"
                   "1:\n"
                   "tinyml_products 0\n"
                   "tinyml_products 2\n"
                   "2:\n"
                   "tinyml_products 4\n"
                   "tinyml_products 6\n"
                   "adds r3, r3, #8\n"
                   "cmp r0, lr\n"
                   "bne 1b\n"
                   "lsls r2, r4, #16\n"
                   "mov r1, r8\n"
                   "subs r1, r1, r2\n"
                   "lsls r2, r5, #16\n"
                   "mov r6, r9\n"
                   "subs r6, r6, r2\n"
                   "mov r7, r5\n"
                   "pop {r3}\n"
                   "stmia r3!, {r1, r4, r6, r7}\n"
                   "pop {r4, r5}\n"
                   "mov r8, r4\n"
                   "mov r9, r5\n"
                   "pop {r4-r7, pc}\n"
                   ".purgem tinyml_pixels\n"
                   ".purgem tinyml_products\n");
}

/* r1 to r3 are arguments. In the loop: r0 and r3 products, r1 output, r2 sums, r4 to r8 the
 * constants in the order of their struct, r12 the end of the sums, lr the step. */
TINYML_ARMV6M_NAKED void
tinyml_scalar_finish_narrow(const tinyml_requantization *p TINYML_ARMV6M_UNUSED,
                            const tinyml_scalar_scale *scale TINYML_ARMV6M_UNUSED,
                            const int32_t *sums TINYML_ARMV6M_UNUSED,
                            int32_t count TINYML_ARMV6M_UNUSED, int8_t *output TINYML_ARMV6M_UNUSED,
                            int32_t step TINYML_ARMV6M_UNUSED) {
  __asm__ volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n"
                   "push {r4}\n"
                   "lsls r3, r3, #2\n"
                   "adds r3, r3, r2\n"
                   "mov r12, r3\n"
                   "ldmia r1!, {r4-r7}\n"
                   "ldr r3, [r1]\n"
                   "mov r8, r3\n"
                   "ldr r1, [sp, #24]\n" /* output */
                   "ldr r3, [sp, #28]\n" /* step */
                   "mov lr, r3\n"
                   "1:\n"
                   "ldmia r2!, {r3}\n"
                   "cmp r3, r7\n"
                   "bge 2f\n"
                   "mov r3, r7\n"
                   "2:\n"
                   "cmp r3, r8\n"
                   "ble 3f\n"
                   "mov r3, r8\n"
                   "3:\n"
                   "movs r0, r3\n"
                   "muls r0, r6, r0\n"
                   "asrs r0, r0, #12\n"
                   "muls r3, r4, r3\n"
                   "adds r3, r3, r0\n"
                   "adds r3, r3, r5\n"
                   "asrs r3, r3, #22\n"
                   "strb r3, [r1]\n"
                   "add r1, lr\n"
                   "cmp r2, r12\n"
                   "bne 1b\n"
                   "pop {r4}\n"
                   "mov r8, r4\n"
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

/* The sums of four pixels. inputs: for each two products four words, two of pixels 0 and 1, two of
 * pixels 2 and 3. depth: products, a multiple of 4. sums: the first is what all four start with. */
TINYML_SCALAR_SHARED void tinyml_armv6m_dot_4x1(const uint32_t *inputs, const int8_t *weights,
                                                int32_t depth, int32_t *sums) {
  sums[1] = sums[2] = sums[3] = sums[0];
  for (int32_t k = 0; k < depth; k += 2) {
    const uint32_t first = (uint32_t)weights[k], second = (uint32_t)weights[k + 1];
    for (int32_t pair = 0; pair < 4; pair += 2) {
      const int32_t word = (int32_t)(inputs[0] * first + inputs[1] * second);
      const int32_t lower = (int16_t)(word & 0xFFFF);
      sums[pair] += lower;
      sums[pair + 1] += (word >> 16) + (lower < 0);
      inputs += 2;
    }
  }
}

/* At least one sum. */
TINYML_SCALAR_FINISH(narrow, TINYML_SCALAR_NARROW)

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
    for (int32_t i = 0; i < 4; i += 2) {
      const int8_t *const x = pixels + i;
      *to++ = (uint32_t)(int32_t)x[0] + ((uint32_t)(int32_t)x[4] << 16);
      *to++ = (uint32_t)(int32_t)x[1] + ((uint32_t)(int32_t)x[5] << 16);
      *to++ = (uint32_t)(int32_t)x[8] + ((uint32_t)(int32_t)x[12] << 16);
      *to++ = (uint32_t)(int32_t)x[9] + ((uint32_t)(int32_t)x[13] << 16);
    }
  }
}

#endif
