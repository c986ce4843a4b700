/* Fixed-point arithmetic of TFLite, the device's half.
 *
 * The host computes every multiplier and shift; what remains are the rounding steps, which must
 * equal TFLM's to the bit: MultiplyByQuantizedMultiplier with double rounding
 * (tensorflow/lite/kernels/internal/common.cc) and gemmlowp's primitives below it.
 */
#ifndef TINYML_ARITHMETIC_H
#define TINYML_ARITHMETIC_H

#include <stdint.h>

/* Kernels are inlined into each layer, where all parameters are literals and the compiler makes a
 * version for that layer alone. With TINYML_OPTIMIZE_SIZE layers share one instance: the compiler
 * inlines what is called once. */
#ifdef TINYML_OPTIMIZE_SIZE
#define TINYML_KERNEL static __attribute__((unused))
#else
#define TINYML_KERNEL static inline __attribute__((always_inline))
#endif

/* Of what kernels call in many places: inlined for speed, one instance for size. */
#ifdef TINYML_OPTIMIZE_SIZE
#define TINYML_STEP static __attribute__((noinline, unused))
#else
#define TINYML_STEP static inline __attribute__((always_inline))
#endif

/* What a layer needs at its edges only: kept small, and out of the way. */
#define TINYML_RARE static __attribute__((noinline, cold, unused))

/* Before a loop that shall stay one: clang makes four turns of it, with all that takes at the ends.
 */
#ifdef __clang__
#define TINYML_ROLLED _Pragma("clang loop unroll(disable) vectorize(disable)")
#else
#define TINYML_ROLLED
#endif

#define TINYML_INLINE static inline __attribute__((always_inline))

/* The rounded high half of 2 * a * b. The multiplier is never INT32_MIN, so nothing saturates. */
TINYML_INLINE int32_t tinyml_doubling_high_multiply(int32_t value, int32_t multiplier) {
  return (int32_t)(((int64_t)value * multiplier + (INT64_C(1) << 30)) >> 31);
}

/* value / 2^exponent, to nearest, ties away from zero. 0 <= exponent <= 31. */
TINYML_INLINE int32_t tinyml_rounding_shift_right(int32_t value, int32_t exponent) {
  const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
  const int32_t remainder = value & mask;
  const int32_t threshold = (mask >> 1) + (value < 0);
  return (value >> exponent) + (remainder > threshold);
}

/* value * multiplier / 2^31 * 2^shift with shift <= 0, as all layers have that scale down. */
TINYML_INLINE int32_t tinyml_scale_down(int32_t value, int32_t multiplier, int32_t shift) {
  return tinyml_rounding_shift_right(tinyml_doubling_high_multiply(value, multiplier), -shift);
}

/* The same for any shift: a positive one is applied first, as in TFLM. */
TINYML_INLINE int32_t tinyml_scale(int32_t value, int32_t multiplier, int32_t shift) {
  if (shift > 0) {
    const int32_t shifted = (int32_t)((uint32_t)value << shift);
    return tinyml_doubling_high_multiply(shifted, multiplier);
  }
  return tinyml_scale_down(value, multiplier, shift);
}

TINYML_INLINE int32_t tinyml_clamp(int32_t value, int32_t low, int32_t high) {
  return value < low ? low : value > high ? high : value;
}

/* Hides a literal from the compiler. Clang takes the 64-bit product by a constant apart, into more
 * instructions than the one that multiplies by a register. */
TINYML_INLINE int32_t tinyml_in_register(int32_t value) {
  __asm__("" : "+r"(value));
  return value;
}

TINYML_INLINE int32_t tinyml_min(int32_t a, int32_t b) {
  return a < b ? a : b;
}

#endif
