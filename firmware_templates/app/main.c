/* The benchmark application: runs the model on request and tells what it cost. */
#include "port.h"
#include "protocol.h"

int main(void) {
  port_init();
  protocol_run();
  return 0;
}
