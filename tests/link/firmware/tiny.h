/* A model small enough to know by heart, with the face of a generated one (see aot/model.h.j2): two
 * inputs of 600 and 3 bytes, two outputs in their places. Layer 0 adds 1 to every byte of the
 * first, layer 1 doubles the second and counts inferences in the last byte of the arena. */
#ifndef TINY_H
#define TINY_H

#include <stddef.h>
#include <stdint.h>

#define TINY_ARENA_BYTES 604u
#define TINY_LAYER_COUNT 2u
#define TINY_INPUT_COUNT 2u
#define TINY_OUTPUT_COUNT 2u

int tiny_init(void *arena, size_t arena_bytes);
int8_t *tiny_input(unsigned index);
const int8_t *tiny_output(unsigned index);
int tiny_invoke(void);
int tiny_invoke_layer(unsigned index);

#endif
