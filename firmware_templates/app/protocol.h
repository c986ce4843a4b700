/* The device's side of the benchmark protocol: request and reply, one frame each (see frame.h).
 *
 * A reply carries the request's sequence number and its type | 0x80. All numbers are little-endian.
 *
 *   type  request          body                            reply
 *   0x01  info                                             see below
 *   0x02  write_input      index u8, offset u32, bytes
 *   0x03  invoke           count u16 (1 to 16 *)           ticks u64 of each inference
 *   0x04  read_output      index u8, offset u32, size u16  bytes *
 *   0x05  run_layers       first u16, count u16 (*)        ticks u64 of each layer
 *   0x06  read_arena       offset u32, size u16            bytes *
 *   0x07  memory                                           stack high water, stack, arena: u32 each
 *   0x08  reset                                            empty; then the board starts again
 *   0x09  session          empty, or token u32             the token set last, 0 since the start
 *
 *   0xFF  error, in place of a reply: code u8 (enum protocol_error), type of the request u8
 *   0xFE  fault, the program has crashed: struct port_fault, u32 each. Sent once with sequence
 * number 0, then as the answer to every request but reset
 *
 * (*) As much as fits a body: small models have short frames, to save RAM.
 *
 * info: protocol version u8, state u8 (0 ready, 1 the model did not initialise), counter kind u8,
 * inputs u8, outputs u8, words of the longest body u8, layers u16, SHA-256 of the .tflite file (32
 * bytes), counter Hz u32, clock Hz u32, arena bytes u32, stack bytes u32, size u32 of each input
 * then each output, then board name and model name, each as length u8 and its bytes (longer names
 * are cut to 40).
 *
 * The host repeats a request until it is answered. The last reply is kept, and sent again when the
 * same request (its CRC covers the sequence number) comes again, so nothing is done twice.
 *
 * A board that is reset starts with its inputs lost, and looks as before. So the host sets a token,
 * and asks for it when it has read its outputs: 0 tells that it must begin again.
 *
 * There is no flow control: a host sends a request and waits, and the device is always reading
 * unless it works on one. A UART without a FIFO is enough.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PROTOCOL_VERSION 3u

enum protocol_error {
  PROTOCOL_UNKNOWN_REQUEST = 1,
  PROTOCOL_MALFORMED = 2,    /* a body of the wrong size */
  PROTOCOL_OUT_OF_RANGE = 3, /* no such input, output, layer or bytes; a count that is too large */
  PROTOCOL_MODEL_FAILED = 4  /* the model did not initialise */
};

/* Initialises the model, then answers requests for ever. */
void protocol_run(void);

/* The same in two steps, for frameworks that have a main loop of their own: once, then again and
 * again. A poll takes what waits on the console, and returns when nothing does. */
void protocol_start(void);
void protocol_poll(void);

/* For ports that catch crashes: tells the host, then waits to be reset. Does not return. */
void protocol_fault(const struct port_fault *fault);

#ifdef __cplusplus
}
#endif

#endif
