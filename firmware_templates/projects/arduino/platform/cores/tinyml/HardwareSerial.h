/* `Serial`: the console of the board, ready before setup(). */
#ifndef HARDWARE_SERIAL_H
#define HARDWARE_SERIAL_H

#include "Stream.h"

class HardwareSerial : public Stream {
public:
  void begin(unsigned long) { /* an emulated line has no speed */
  }
  void end() {
  }
  explicit operator bool() const {
    return true;
  }

  int available() override;
  int read() override;
  int peek() override;

  using Print::write;
  size_t write(uint8_t byte) override;
  size_t write(const uint8_t *data, size_t size) override;

private:
  int waiting = -1; /* a byte that was received and not yet read */
};

extern HardwareSerial Serial;

#endif
