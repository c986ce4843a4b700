/* As much of an Arduino core as the generated sketches use, as a program of this machine: `Serial`
 * is stdin and stdout. With ARDUINO_ARCH_ESP32 also what the ESP32's core adds. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

class HardwareSerial {
public:
  void begin(unsigned long baud);
  int available();
  int read();
  size_t write(const uint8_t *data, size_t size);
  void flush();
  size_t print(const char *text);
  size_t print(unsigned long value);
  size_t println(const char *text);
};
extern HardwareSerial Serial;

void setup();
void loop();
unsigned long micros();
void delay(unsigned long milliseconds);

#if defined(ARDUINO_ARCH_ESP32)
struct EspClass {
  uint32_t getCycleCount();
  void restart();
};
extern EspClass ESP;
uint32_t getCpuFrequencyMhz();
size_t getArduinoLoopTaskStackSize();
unsigned uxTaskGetStackHighWaterMark(void *task);
#endif

#endif
