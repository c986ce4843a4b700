/* What a crash prints. A sketch with a protocol_fault of its own, as the benchmark has, is linked
 * without this. */
#include "HardwareSerial.h"
#include "board/protocol.h"

void protocol_fault(const struct port_fault *fault) {
  Serial.print("crashed: exception ");
  Serial.print(fault->exception);
  Serial.print(" at 0x");
  Serial.print(fault->program_counter, HEX);
  Serial.println(fault->stack_pointer < fault->stack_limit ? ", the stack has run over" : "");
  for (;;) {
  }
}
