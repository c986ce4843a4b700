/* What the start-up code calls once memory is set up. */
#include "Arduino.h"
#include "board/port.h"

/* board/link.ld */
using Constructor = void (*)();
extern Constructor _constructors_start[], _constructors_end[];

extern "C" int main() {
  port_init();
  for (Constructor *construct = _constructors_start; construct != _constructors_end; ++construct) {
    (*construct)();
  }
  setup();
  for (;;) {
    loop();
  }
}
