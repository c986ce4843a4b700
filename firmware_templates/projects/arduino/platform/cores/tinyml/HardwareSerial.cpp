#include "HardwareSerial.h"

#include "board/port.h"

HardwareSerial Serial;

int HardwareSerial::peek() {
  if (waiting < 0) {
    waiting = port_read();
  }
  return waiting;
}

int HardwareSerial::available() {
  return peek() < 0 ? 0 : 1;
}

int HardwareSerial::read() {
  const int byte = peek();
  waiting = -1;
  return byte;
}

size_t HardwareSerial::write(uint8_t byte) {
  port_write(&byte, 1);
  return 1;
}

size_t HardwareSerial::write(const uint8_t *data, size_t size) {
  port_write(data, size);
  return size;
}
