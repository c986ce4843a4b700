/* Arithmetic on pairs of 16-bit numbers in a word: the DSP extension of Cortex-M4, M7 and M33.
 *
 * Each function is one instruction there, and its exact meaning in C everywhere else: kernels built
 * of them run on the host under sanitizers, against the same reference. `low` and `high` are a
 * word's halves, signed.
 */
#ifndef TINYML_DSP_PAIRS_H
#define TINYML_DSP_PAIRS_H

#include "tinyml_arithmetic.h"

/* One instance that all layers share: where a version for each shape would cost more flash than it
 * saves instructions. */
#define TINYML_SHARED static __attribute__((noinline, unused))

/* A function whose body is one assembler statement: arguments and result as the ABI has them. */
#define TINYML_ASSEMBLER static __attribute__((naked, noinline, unused))
#define TINYML_UNUSED __attribute__((unused))

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* low.low | high.low << 16 */
TINYML_INLINE uint32_t tinyml_pair(uint32_t low, uint32_t high) {
  uint32_t pair;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(pair) : "r"(low), "r"(high));
  return pair;
}

/* Bytes 0 and 2 of a word, sign-extended. */
TINYML_INLINE uint32_t tinyml_widen_even(uint32_t bytes) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(bytes));
  return pair;
}

/* Bytes 1 and 3 of a word, sign-extended. */
TINYML_INLINE uint32_t tinyml_widen_odd(uint32_t bytes) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
  return pair;
}

/* sum + a.low * b.low + a.high * b.high */
TINYML_INLINE int32_t tinyml_dot(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* sum + a.low * b.high */
TINYML_INLINE int32_t tinyml_low_by_high(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlabt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* sum + a.high * b.low */
TINYML_INLINE int32_t tinyml_high_by_low(uint32_t a, uint32_t b, int32_t sum) {
  int32_t result;
  __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* sum + the rounded high half of the 64-bit product. */
TINYML_INLINE int32_t tinyml_add_high_product(int32_t a, int32_t b, int32_t sum) {
  int32_t result;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

/* The nearest int8. */
TINYML_INLINE int8_t tinyml_saturate(int32_t value) {
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
  return (int8_t)result;
}

#else

TINYML_INLINE int32_t tinyml_low(uint32_t pair) {
  return (int16_t)(uint16_t)pair;
}

TINYML_INLINE int32_t tinyml_high(uint32_t pair) {
  return (int16_t)(uint16_t)(pair >> 16);
}

TINYML_INLINE uint32_t tinyml_pair(uint32_t low, uint32_t high) {
  return (low & UINT32_C(0xffff)) | high << 16;
}

TINYML_INLINE uint32_t tinyml_widen_even(uint32_t bytes) {
  return tinyml_pair((uint32_t)(int8_t)(uint8_t)bytes, (uint32_t)(int8_t)(uint8_t)(bytes >> 16));
}

TINYML_INLINE uint32_t tinyml_widen_odd(uint32_t bytes) {
  return tinyml_widen_even(bytes >> 8);
}

TINYML_INLINE int32_t tinyml_dot(uint32_t a, uint32_t b, int32_t sum) {
  return sum + tinyml_low(a) * tinyml_low(b) + tinyml_high(a) * tinyml_high(b);
}

TINYML_INLINE int32_t tinyml_low_by_high(uint32_t a, uint32_t b, int32_t sum) {
  return sum + tinyml_low(a) * tinyml_high(b);
}

TINYML_INLINE int32_t tinyml_high_by_low(uint32_t a, uint32_t b, int32_t sum) {
  return sum + tinyml_high(a) * tinyml_low(b);
}

TINYML_INLINE int32_t tinyml_add_high_product(int32_t a, int32_t b, int32_t sum) {
  return sum + (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
}

TINYML_INLINE int8_t tinyml_saturate(int32_t value) {
  return (int8_t)tinyml_clamp(value, INT8_MIN, INT8_MAX);
}

#endif

#endif
