/* Finds the least memory in which the interpreter sets the model up and runs it, and prints it:
 * "arena 3232 used 2580", or "arena 0 used 0" where all there is does not suffice.
 *
 * Takes the place of the benchmark application. What the interpreter says it uses is where the
 * search begins: setting up needs more for a moment, and TFLM does not tell how much.
 */
#include "app_config.h"
#include "port.h"
#include "protocol.h"

#define STEP 16u
#define GUARD_BYTES 64u
#define GUARD 0xA5u

static uint8_t arena[SIZING_ARENA_BYTES] __attribute__((aligned(APP_ARENA_ALIGNMENT)));

static const uint32_t input_bytes[] = APP_INPUT_BYTES;
static const uint32_t output_bytes[] = APP_OUTPUT_BYTES;

static void print(const char *text) {
  size_t size = 0;
  while (text[size] != '\0') {
    ++size;
  }
  port_write((const uint8_t *)text, size);
}

static void print_number(uint32_t value) {
  char digits[11];
  char *first = digits + sizeof digits - 1;
  *first = '\0';
  do {
    *--first = (char)('0' + value % 10u);
    value /= 10u;
  } while (value != 0);
  print(first);
}

/* Some input that is the same each time. */
static void write_inputs(void) {
  uint32_t state = 1;
  for (unsigned index = 0; index < APP_INPUT_COUNT; ++index) {
    int8_t *input = APP_MODEL(input)(index);
    for (uint32_t i = 0; i < input_bytes[index]; ++i) {
      state = state * 1664525u + 1013904223u;
      input[i] = (int8_t)(uint8_t)(state >> 24);
    }
  }
}

/* FNV-1a over all outputs. */
static uint32_t hash_outputs(void) {
  uint32_t hash = 2166136261u;
  for (unsigned index = 0; index < APP_OUTPUT_COUNT; ++index) {
    const int8_t *output = APP_MODEL(output)(index);
    for (uint32_t i = 0; i < output_bytes[index]; ++i) {
      hash = (hash ^ (uint8_t)output[i]) * 16777619u;
    }
  }
  return hash;
}

/* Whether the model runs in that much memory, touching nothing behind it. */
static int runs(uint32_t bytes, uint32_t *hash) {
  const uint32_t end = bytes + GUARD_BYTES;
  for (uint32_t i = bytes; i < end; ++i) {
    arena[i] = GUARD;
  }
  if (APP_MODEL(init)(arena, bytes) != 0) {
    return 0;
  }
  write_inputs();
  if (APP_MODEL(invoke)() != 0) {
    return 0;
  }
  for (uint32_t i = bytes; i < end; ++i) {
    if (arena[i] != GUARD) {
      return 0;
    }
  }
  *hash = hash_outputs();
  return 1;
}

/* The least multiple of STEP above `low` in which the outputs are those of plenty: in growing steps
 * upwards, as it is never far, then by halves. */
static uint32_t search(uint32_t low, uint32_t plenty, uint32_t expected) {
  uint32_t hash = 0;
  uint32_t step = STEP;
  while (step < plenty - low && !(runs(low + step, &hash) && hash == expected)) {
    low += step;
    step *= 2u;
  }
  uint32_t high = step < plenty - low ? low + step : plenty;
  while (high - low > STEP) {
    const uint32_t middle = low + (high - low) / (2u * STEP) * STEP;
    if (runs(middle, &hash) && hash == expected) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return high;
}

int main(void) {
  port_init();
  uint32_t needed = 0;
  uint32_t used = 0;
  uint32_t expected = 0;
  const uint32_t plenty = (SIZING_ARENA_BYTES - GUARD_BYTES) / STEP * STEP;
  if (runs(plenty, &expected)) {
    used = (uint32_t)APP_MODEL(arena_used_bytes)();
    needed = search((used - 1u) / STEP * STEP, plenty, expected);
  }
  print("arena ");
  print_number(needed);
  print(" used ");
  print_number(used);
  print("\n");
  for (;;) {
    (void)port_read();
  }
}

void protocol_fault(const struct port_fault *crash) {
  print("fault at ");
  print_number(crash->program_counter);
  print("\n");
  for (;;) {
    (void)port_read();
  }
}
