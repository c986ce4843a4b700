/* RESHAPE: the same bytes under another shape. Runs only where the output is not planned into the
 * input's place.
 *
 * Memory: copies forwards, so the output may overlap an input that starts at or above it.
 */
#ifndef TINYML_RESHAPE_H
#define TINYML_RESHAPE_H

#include "tinyml_bytes.h"

typedef struct {
  int32_t bytes;
} tinyml_reshape_params;

TINYML_KERNEL void tinyml_reshape(const tinyml_reshape_params *p, const int8_t *input,
                                  int8_t *output) {
  tinyml_copy(output, input, p->bytes);
}

#endif
