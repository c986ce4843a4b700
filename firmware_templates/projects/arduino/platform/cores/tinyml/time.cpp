/* Time by the counter of the board, which counts what the emulator executes: instructions as if
 * each were a cycle. */
#include "Arduino.h"
#include "board/port.h"

static uint64_t since_start(uint32_t ticks_per_second) {
  const uint64_t ticks = port_counter();
  const uint32_t hz = port_counter_hz();
  return ticks / hz * ticks_per_second + ticks % hz * ticks_per_second / hz;
}

unsigned long micros(void) {
  return static_cast<unsigned long>(since_start(1000000u));
}

unsigned long millis(void) {
  return static_cast<unsigned long>(since_start(1000u));
}

static void wait(uint64_t microseconds) {
  const uint64_t start = since_start(1000000u);
  while (since_start(1000000u) - start < microseconds) {
  }
}

void delay(unsigned long milliseconds) {
  wait(static_cast<uint64_t>(milliseconds) * 1000u);
}

void delayMicroseconds(unsigned int microseconds) {
  wait(microseconds);
}
