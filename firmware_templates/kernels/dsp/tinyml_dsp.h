/* The few instructions of Arm's DSP extension (Cortex-M4, M7, M33) that the fast kernels are made
 * of, each beside its exact meaning in portable C: the same kernels run, slowly, on any machine,
 * and are tested on the host under the compiler's sanitizers.
 */
#ifndef TINYML_DSP_H
#define TINYML_DSP_H

#include "../tinyml_arithmetic.h"

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define TINYML_HAS_DSP 1
#else
#define TINYML_HAS_DSP 0
#endif

/* One instance for all layers: what would gain nothing from a shape of its own. */
#define TINYML_SHARED static __attribute__((noinline, unused))

/* The same for the code around the loops that count. Clang would unroll it and make a copy of it
 * for each outcome of its conditions: four times the bytes, and not one instruction less. */
#ifdef __clang__
#define TINYML_COMPACT static __attribute__((noinline, unused, minsize))
#else
#define TINYML_COMPACT TINYML_SHARED
#endif

/* A function whose body is one assembler statement: arguments and result as the ABI has them. */
#ifdef __clang__
#define TINYML_NAKED static __attribute__((naked, noinline, unused))
#else /* gcc drops parameters that no C code reads unless told not to look */
#define TINYML_NAKED static __attribute__((naked, noipa, unused))
#endif
#define TINYML_UNUSED __attribute__((unused))

/* Fractional bits of a scaled output just before it is saturated to int8. The same for all layers,
 * so that they can share code; tinyml_sdk/ops/dsp/matrix.py proves that a layer's sums fit. */
#define TINYML_DSP_FRACTION 15

/* The same for sums of two inputs (ops/linear_sum.py). */
#define TINYML_DSP_SUM_FRACTION 20

/* A word from any address. */
TINYML_INLINE uint32_t tinyml_load_word(const int8_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}

/* Bytes 0 and 2 as two int16. */
TINYML_INLINE uint32_t tinyml_sxtb16(uint32_t bytes) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(bytes));
  return result;
#else
  const uint32_t low = (bytes & 0xffu) ^ 0x80u;
  const uint32_t high = ((bytes >> 16) & 0xffu) ^ 0x80u;
  return ((low - 0x80u) & 0xffffu) | ((high - 0x80u) << 16);
#endif
}

/* Bytes 1 and 3 as two int16. */
TINYML_INLINE uint32_t tinyml_sxtb16_odd(uint32_t bytes) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(bytes));
  return result;
#else
  return tinyml_sxtb16(bytes >> 8);
#endif
}

/* Bytes 0 and 2, added to two int16. */
TINYML_INLINE uint32_t tinyml_sxtab16(uint32_t sums, uint32_t bytes) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sums), "r"(bytes));
  return result;
#else
  const uint32_t wide = tinyml_sxtb16(bytes);
  return ((sums + wide) & 0xffffu) | ((sums & 0xffff0000u) + (wide & 0xffff0000u));
#endif
}

/* Bytes 1 and 3, added to two int16. */
TINYML_INLINE uint32_t tinyml_sxtab16_odd(uint32_t sums, uint32_t bytes) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sums), "r"(bytes));
  return result;
#else
  return tinyml_sxtab16(sums, bytes >> 8);
#endif
}

/* Of each of the four bytes as int8 the larger one. */
TINYML_INLINE uint32_t tinyml_max_of_bytes(uint32_t a, uint32_t b) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
  return result;
#else
  uint32_t result = 0;
  for (uint32_t shift = 0; shift < 32; shift += 8) {
    const int8_t first = (int8_t)(a >> shift & 0xffu), second = (int8_t)(b >> shift & 0xffu);
    result |= (uint32_t)(uint8_t)(first > second ? first : second) << shift;
  }
  return result;
#endif
}

/* sum + the products of both pairs of int16, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlad(uint32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  const int32_t low = (int16_t)(a & 0xffffu) * (int16_t)(b & 0xffffu);
  const int32_t high = (int16_t)(a >> 16) * (int16_t)(b >> 16);
  return (int32_t)((uint32_t)sum + (uint32_t)low + (uint32_t)high);
#endif
}

/* sum + the high half of a * b. The host has proved that this stays within 32 bits. */
TINYML_INLINE int32_t tinyml_smmla(int32_t a, int32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return sum + (int32_t)(((int64_t)a * b) >> 32);
#endif
}

/* The low halves of two words as one. */
TINYML_INLINE uint32_t tinyml_pkhbt(uint32_t low, uint32_t high) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(low), "r"(high));
  return result;
#else
  return (low & 0xffffu) | (high << 16);
#endif
}

/* The high halves of two words as one. */
TINYML_INLINE uint32_t tinyml_pkhtb(uint32_t high, uint32_t low) {
#if TINYML_HAS_DSP
  uint32_t result;
  __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(high), "r"(low));
  return result;
#else
  return (high & 0xffff0000u) | (low >> 16);
#endif
}

/* sum + the low half of a * the low half of b, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlabb(uint32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlabb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)(a & 0xffffu) * (int16_t)(b & 0xffffu)));
#endif
}

/* sum + the high half of a * the high half of b, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlatt(uint32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return tinyml_smlabb(a >> 16, b >> 16, sum);
#endif
}

/* sum + the low half of a * the high half of b, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlabt(uint32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlabt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)(a & 0xffffu) * (int16_t)(b >> 16)));
#endif
}

/* sum + the high half of a * the low half of b, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlatb(uint32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)(a >> 16) * (int16_t)(b & 0xffffu)));
#endif
}

/* sum + the rounded high half of a * b. The host has proved that this stays within 32 bits. */
TINYML_INLINE int32_t tinyml_smmlar(int32_t a, int32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return sum + (int32_t)(((int64_t)a * b + (INT64_C(1) << 31)) >> 32);
#endif
}

/* sum + a * the low half of b / 2^16, rounded down, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlawb(int32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlawb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  const int64_t product = (int64_t)a * (int16_t)(b & 0xffffu);
  return (int32_t)((uint32_t)sum + (uint32_t)(product >> 16));
#endif
}

/* sum + a * the high half of b / 2^16, rounded down, modulo 2^32. */
TINYML_INLINE int32_t tinyml_smlawt(int32_t a, uint32_t b, int32_t sum) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("smlawt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
#else
  return tinyml_smlawb(a, b >> 16, sum);
#endif
}

/* The nearest int8. */
TINYML_INLINE int8_t tinyml_ssat8(int32_t value) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(value));
  return (int8_t)result;
#else
  return (int8_t)tinyml_clamp(value, INT8_MIN, INT8_MAX);
#endif
}

/* The nearest int16. */
TINYML_INLINE int32_t tinyml_ssat16(int32_t value) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("ssat %0, #16, %1" : "=r"(result) : "r"(value));
  return result;
#else
  return tinyml_clamp(value, INT16_MIN, INT16_MAX);
#endif
}

/* A value with TINYML_DSP_FRACTION fractional bits as int8: rounded down, then saturated. */
TINYML_INLINE int8_t tinyml_saturate_output(int32_t value) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1, asr #15" : "=r"(result) : "r"(value));
  return (int8_t)result;
#else
  return (int8_t)tinyml_clamp(value >> TINYML_DSP_FRACTION, -128, 127);
#endif
}

/* The same with TINYML_DSP_SUM_FRACTION fractional bits. */
TINYML_INLINE int8_t tinyml_saturate_sum(int32_t value) {
#if TINYML_HAS_DSP
  int32_t result;
  __asm__("ssat %0, #8, %1, asr #20" : "=r"(result) : "r"(value));
  return (int8_t)result;
#else
  return (int8_t)tinyml_clamp(value >> TINYML_DSP_SUM_FRACTION, -128, 127);
#endif
}

#endif
