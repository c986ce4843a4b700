// Two models in one sketch. Its functions are used before they are declared, as sketches may.
#include <digits.h>
#include <other.h>

static int32_t arena[(DIGITS_ARENA_BYTES + 3u) / 4u] __attribute__((aligned(16)));
static int32_t other_arena[(OTHER_ARENA_BYTES + 3u) / 4u] __attribute__((aligned(16)));
static size_t step;

void setup() {
  Serial.begin(115200);
  if (digits_init(arena, sizeof arena) != 0 || other_init(other_arena, sizeof other_arena) != 0) {
    Serial.println("a model did not initialise");
  }
}

void loop() {
  fill(digits_input(0));
  fill(other_input(0));
  digits_invoke();
  other_invoke();
  show("digits", digits_output(0));
  show("other", other_output(0));
  ++step;
}

void fill(int8_t *input) {
  for (size_t i = 0; i < DIGITS_INPUT_0_BYTES; ++i) {
    input[i] = static_cast<int8_t>(static_cast<int>(i * step % 256) - 128);
  }
}

void show(const char *name, const int8_t *output) {
  Serial.print(name);
  for (size_t i = 0; i < DIGITS_OUTPUT_0_BYTES; ++i) {
    Serial.print(' ');
    Serial.print(output[i]);
  }
  Serial.println();
}
