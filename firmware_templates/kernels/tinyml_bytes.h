/* Moving bytes: what operators are made of that only rearrange their input. */
#ifndef TINYML_BYTES_H
#define TINYML_BYTES_H

#include "tinyml_arithmetic.h"

/* Copies forwards, one to four words at a time, so `to` may lie below `from` and overlap it. The
 * words need no alignment: where the core cannot load them, the compiler makes bytes of them. */
TINYML_STEP void tinyml_copy(int8_t *to, const int8_t *from, int32_t bytes) {
  if (to == from) {
    return;
  }
#ifndef TINYML_OPTIMIZE_SIZE
  TINYML_ROLLED
  for (; bytes >= 16; bytes -= 16) {
    /* Word by word: clang would make a call of memmove of all sixteen bytes. */
    uint32_t a, b, c, d;
    __builtin_memcpy(&a, from, 4);
    __builtin_memcpy(&b, from + 4, 4);
    __builtin_memcpy(&c, from + 8, 4);
    __builtin_memcpy(&d, from + 12, 4);
    __builtin_memcpy(to, &a, 4);
    __builtin_memcpy(to + 4, &b, 4);
    __builtin_memcpy(to + 8, &c, 4);
    __builtin_memcpy(to + 12, &d, 4);
    from += 16;
    to += 16;
  }
#endif
  TINYML_ROLLED
  for (; bytes >= 4; bytes -= 4) {
    uint32_t word;
    __builtin_memcpy(&word, from, 4);
    __builtin_memcpy(to, &word, 4);
    from += 4;
    to += 4;
  }
  TINYML_ROLLED
  for (; bytes > 0; --bytes) {
    *to++ = *from++;
  }
}

TINYML_STEP void tinyml_fill(int8_t *to, int32_t value, int32_t bytes) {
  const uint32_t word = (uint32_t)(uint8_t)value * UINT32_C(0x01010101);
  TINYML_ROLLED
  for (; bytes >= 4; bytes -= 4) {
    __builtin_memcpy(to, &word, 4);
    to += 4;
  }
  TINYML_ROLLED
  for (; bytes > 0; --bytes) {
    *to++ = (int8_t)value;
  }
}

/* How a core copies bytes forwards. */
typedef void tinyml_copier(int8_t *to, const int8_t *from, int32_t bytes);

/* The input of a kernel that writes each channel over itself, channel after channel, where a whole
 * number of pixels lies between it and the output, or no byte is shared. Else it is moved down to
 * where it does. pixel: bytes of one, of input and output. */
TINYML_INLINE const int8_t *tinyml_whole_pixels_above(const int8_t *input, int32_t input_bytes,
                                                      int8_t *output, int32_t output_bytes,
                                                      int32_t pixel, tinyml_copier *copy) {
  const uintptr_t distance = (uintptr_t)input - (uintptr_t)output;
  const uintptr_t excess = distance % (uintptr_t)pixel;
  if (excess == 0 || distance >= (uintptr_t)output_bytes) {
    return input;
  }
  int8_t *moved = output + (distance - excess);
  copy(moved, input, input_bytes);
  return moved;
}

#endif
