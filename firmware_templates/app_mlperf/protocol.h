/* The device's side of MLPerf Tiny's protocol (mlcommons/tiny, benchmark/api), so that its runner
 * can measure this firmware in performance and accuracy mode.
 *
 * A command is text that ends in '%'; words are parted by spaces. The answer is lines that end in
 * CR LF, the last of which is m-ready. A line that begins with e-[ tells of an error.
 *
 *   command      answer
 *   name         m-name-dut-[BOARD]
 *   timestamp    m-lap-us-MICROSECONDS
 *   profile      m-profile-[ULPMark for tinyML Firmware V0.0.1], m-model-[MODEL]
 *   help         the commands
 *   db load N    m-[Expecting N bytes]
 *   db HH...     nothing, and after the last of the N bytes m-load-done
 *   db print     what was loaded: m-buffer-HH-HH-..., eight bytes a line
 *   infer N W    W inferences to warm up, then N between two lines m-lap-us-; then as results
 *   results      m-results-[...]
 *
 * There is no check on what comes over the line, and no energy mode, which needs a pin and not a
 * time.
 *
 * The functions have the names of the benchmark application's, as ports call either.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Initialises the model, then answers commands for ever. */
void protocol_run(void);

/* The same in two steps, for frameworks that have a main loop of their own: once, then again and
 * again. A poll takes what waits on the console, and returns when nothing does. */
void protocol_start(void);
void protocol_poll(void);

/* For ports that catch crashes: tells the host, then waits to be reset by hand. Does not return. */
void protocol_fault(const struct port_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
