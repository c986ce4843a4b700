#include "tiny.h"

static int8_t *memory;

int tiny_init(void *arena, size_t arena_bytes) {
#ifdef TINY_REFUSES
  arena_bytes = 0;
#endif
  if (arena == NULL || arena_bytes < TINY_ARENA_BYTES) {
    return -1;
  }
  memory = (int8_t *)arena;
  return 0;
}

int8_t *tiny_input(unsigned index) {
  return index == 0 ? memory : memory + 600;
}

const int8_t *tiny_output(unsigned index) {
  return tiny_input(index);
}

int tiny_invoke_layer(unsigned index) {
  if (memory == NULL || index >= TINY_LAYER_COUNT) {
    return -1;
  }
#ifdef TINY_CRASHES
  volatile int zero = 0;
  return 1 / zero;
#endif
  if (index == 0) {
    for (int i = 0; i < 600; ++i) {
      memory[i] = (int8_t)(memory[i] + 1);
    }
  } else {
    for (int i = 600; i < 603; ++i) {
      memory[i] = (int8_t)(memory[i] * 2);
    }
    ++memory[603];
  }
  return 0;
}

int tiny_invoke(void) {
  const int first = tiny_invoke_layer(0);
  return first != 0 ? first : tiny_invoke_layer(1);
}
