/* ESP-IDF starts the application here, in its main task. */
#include "port.h"
#include "protocol.h"

void app_main(void);

void app_main(void) {
  port_init();
  protocol_run();
}
