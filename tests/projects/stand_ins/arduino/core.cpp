#include "Arduino.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

HardwareSerial Serial;

void HardwareSerial::begin(unsigned long) {
}

int HardwareSerial::available() {
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  return poll(&input, 1, 1) == 1;
}

int HardwareSerial::read() {
  uint8_t byte;
  if (::read(STDIN_FILENO, &byte, 1) != 1) {
    exit(EXIT_SUCCESS);
  }
  return byte;
}

/* A little at a time, as a core whose buffer is full. */
size_t HardwareSerial::write(const uint8_t *data, size_t size) {
  const ssize_t written = ::write(STDOUT_FILENO, data, size < 64 ? size : 64);
  if (written <= 0) {
    exit(EXIT_FAILURE);
  }
  return (size_t)written;
}

void HardwareSerial::flush() {
}

size_t HardwareSerial::print(const char *text) {
  return write((const uint8_t *)text, strlen(text));
}

size_t HardwareSerial::print(unsigned long value) {
  char text[24];
  snprintf(text, sizeof text, "%lu", value);
  return print(text);
}

size_t HardwareSerial::println(const char *text) {
  return print(text) + print("\r\n");
}

unsigned long micros() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (unsigned long)now.tv_sec * 1000000u + (unsigned long)now.tv_nsec / 1000u;
}

void delay(unsigned long) {
}

#if defined(ARDUINO_ARCH_ESP32)
EspClass ESP;

uint32_t EspClass::getCycleCount() {
  return (uint32_t)micros() * 240u;
}

void EspClass::restart() {
  exit(EXIT_SUCCESS);
}

uint32_t getCpuFrequencyMhz() {
  return 240;
}

size_t getArduinoLoopTaskStackSize() {
  return 8192;
}

unsigned uxTaskGetStackHighWaterMark(void *) {
  return 6000;
}
#endif

int main() {
  setup();
  for (;;) {
    loop();
  }
}
