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

#endif
