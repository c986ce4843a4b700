/* CONCATENATION, bytes, portable C: the inputs one after the other, for each index before the axis.
 *
 * Memory: each input is copied forwards and never after its share of an output row is written. The
 * output may overlap an input from as far below it as the input's last row lies behind its place in
 * the output; an input that lies just there costs nothing.
 */
#ifndef TINYML_CONCATENATION_H
#define TINYML_CONCATENATION_H

#include "tinyml_bytes.h"

#define TINYML_CONCATENATION_INPUTS 10

typedef struct {
  int32_t rows; /* product of the dimensions before the axis */
  int32_t inputs;
  int32_t bytes[TINYML_CONCATENATION_INPUTS]; /* of each input's row: the axis and all behind it */
} tinyml_concatenation_params;

/* tinyml_concatenation(params, output, input 0, input 1, ...) */
#define tinyml_concatenation(p, output, ...)                                                       \
  tinyml_concatenation_rows(p, output, (const int8_t *const[]){__VA_ARGS__})

TINYML_KERNEL void tinyml_concatenation_rows(const tinyml_concatenation_params *p, int8_t *output,
                                             const int8_t *const *inputs) {
  for (int32_t row = 0; row < p->rows; ++row) {
    for (int32_t i = 0; i < p->inputs; ++i) {
      tinyml_copy(output, inputs[i] + row * p->bytes[i], p->bytes[i]);
      output += p->bytes[i];
    }
  }
}

#endif
