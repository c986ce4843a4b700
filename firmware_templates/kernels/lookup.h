/* Operators that turn each byte into another: LOGISTIC, RELU and QUANTIZE between 8-bit types.
 * The host has applied the operator to all 256 bytes.
 *
 * Memory: each byte is read before its result is written, so the output may take the input's place.
 */
#ifndef TINYML_LOOKUP_H
#define TINYML_LOOKUP_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t elements;
} tinyml_lookup_params;

/* input, output: int8 or uint8. table: the result of each stored byte, taken as uint8. */
TINYML_KERNEL void tinyml_lookup(const tinyml_lookup_params *p, const void *input,
                                 const uint8_t *table, void *output) {
  const uint8_t *from = (const uint8_t *)input;
  uint8_t *to = (uint8_t *)output;
  for (int32_t i = 0; i < p->elements; ++i) {
    to[i] = table[from[i]];
  }
}

#endif
