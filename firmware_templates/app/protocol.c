#include "protocol.h"

#include "app_config.h"
#include "frame.h"
#include "little_endian.h"
#include "small_code.h"

SMALL_CODE_BEGIN

enum {
  REQUEST_INFO = 0x01,
  REQUEST_WRITE_INPUT = 0x02,
  REQUEST_INVOKE = 0x03,
  REQUEST_READ_OUTPUT = 0x04,
  REQUEST_RUN_LAYERS = 0x05,
  REQUEST_READ_ARENA = 0x06,
  REQUEST_MEMORY = 0x07,
  REQUEST_RESET = 0x08,
  REQUEST_SESSION = 0x09,
  REPLY = 0x80,
  FAULT = 0xFE,
  ERROR = 0xFF
};

#define LAYERS_MAX (FRAME_BODY_MAX / 8u)
#define INVOKE_MAX (LAYERS_MAX < 16u ? LAYERS_MAX : 16u)
#define NAME_MAX 40u
#define NAME_BYTES(name) (sizeof(name) - 1u < NAME_MAX ? sizeof(name) : NAME_MAX + 1u)

/* A handler fills the reply's body and returns its size, or the negative of a protocol_error. */
#define FAILURE(error) (-(int)(error))

#define INFO_BYTES                                                                                 \
  (56u + 4u * (APP_INPUT_COUNT + APP_OUTPUT_COUNT) + NAME_BYTES(APP_BOARD_NAME) +                  \
   NAME_BYTES(APP_MODEL_NAME))

/* Arrays of a negative size are errors: info fits a frame, and tells its length in words. */
typedef char info_fits_a_frame[INFO_BYTES <= FRAME_BODY_MAX ? 1 : -1];
typedef char a_byte_tells_a_frame[FRAME_BODY_MAX % 4u == 0 && FRAME_BODY_MAX <= 4u * 255u ? 1 : -1];

static const uint32_t input_bytes[] = APP_INPUT_BYTES;
static const uint32_t output_bytes[] = APP_OUTPUT_BYTES;

static int32_t arena[(APP_ARENA_BYTES + 3u) / 4u] __attribute__((aligned(APP_ARENA_ALIGNMENT)));

/* All else that changes. One object, so that one address in a register serves for all of it; small
 * members first, where short instructions reach them. */
static struct {
  const struct port_fault *fault; /* set once the program has crashed */
  size_t reply_size;              /* of header and body; 0 before the first request */
  uint32_t answered_crc;          /* of the request that `reply` answers */
  uint32_t counter_overhead;      /* ticks that reading the counter twice takes by itself */
  uint32_t session_token;         /* set by the host, so that it notices a reset */
  bool model_ready;
  uint8_t reply[FRAME_MAX];
  struct frame_receiver receiver;
} device;

static void copy(uint8_t *to, const uint8_t *from, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    to[i] = from[i];
  }
}

static bool within(uint32_t offset, uint32_t size, uint32_t total) {
  return offset <= total && size <= total - offset;
}

static void calibrate_counter(void) {
  uint32_t ticks = 0;
  for (int i = 0; i < 16; ++i) {
    const uint64_t start = port_counter();
    ticks += (uint32_t)(port_counter() - start);
  }
  device.counter_overhead = (ticks + 8u) / 16u;
}

static uint8_t *put_elapsed(uint8_t *to, uint64_t start, uint64_t end) {
  const uint64_t ticks = end - start;
  return put_u64(to, ticks > device.counter_overhead ? ticks - device.counter_overhead : 0);
}

static uint8_t *put_name(uint8_t *to, const char *name, size_t size) {
  const size_t kept = size < NAME_MAX ? size : NAME_MAX;
  *to++ = (uint8_t)kept;
  for (size_t i = 0; i < kept; ++i) {
    *to++ = (uint8_t)name[i];
  }
  return to;
}

static int info(uint8_t *body) {
  static const struct {
    uint8_t counts[8];
    uint8_t sha256[32];
  } facts = {{PROTOCOL_VERSION, 0, 0, APP_INPUT_COUNT, APP_OUTPUT_COUNT, FRAME_BODY_MAX / 4u,
              APP_LAYER_COUNT & 0xFFu, APP_LAYER_COUNT >> 8},
             APP_MODEL_SHA256};
  static const char board[] = APP_BOARD_NAME;
  static const char model[] = APP_MODEL_NAME;
  copy(body, (const uint8_t *)&facts, sizeof facts);
  body[1] = device.model_ready ? 0 : 1;
  body[2] = port_counter_kind();
  uint8_t *to = put_u32(body + sizeof facts, port_counter_hz());
  to = put_u32(to, port_clock_hz());
  to = put_u32(to, APP_ARENA_BYTES);
  to = put_u32(to, port_stack_bytes());
  for (size_t i = 0; i < APP_INPUT_COUNT; ++i) {
    to = put_u32(to, input_bytes[i]);
  }
  for (size_t i = 0; i < APP_OUTPUT_COUNT; ++i) {
    to = put_u32(to, output_bytes[i]);
  }
  to = put_name(to, board, sizeof board - 1u);
  to = put_name(to, model, sizeof model - 1u);
  return (int)(to - body);
}

static int write_input(const uint8_t *request, size_t size) {
  if (size < 5u) {
    return FAILURE(PROTOCOL_MALFORMED);
  }
  const uint8_t index = request[0];
  const uint32_t offset = get_u32(request + 1);
  const uint32_t count = (uint32_t)size - 5u;
  if (index >= APP_INPUT_COUNT || !within(offset, count, input_bytes[index])) {
    return FAILURE(PROTOCOL_OUT_OF_RANGE);
  }
  if (!device.model_ready) {
    return FAILURE(PROTOCOL_MODEL_FAILED);
  }
  copy((uint8_t *)APP_MODEL(input)(index) + offset, request + 5, count);
  return 0;
}

/* Copies from a memory of `total` bytes what the request's last six bytes ask for. */
static int read_bytes(const uint8_t *from, uint32_t total, const uint8_t *request, uint8_t *body) {
  const uint32_t offset = get_u32(request);
  const uint32_t count = get_u16(request + 4);
  if (count > FRAME_BODY_MAX || !within(offset, count, total)) {
    return FAILURE(PROTOCOL_OUT_OF_RANGE);
  }
  copy(body, from + offset, count);
  return (int)count;
}

static int read_output(const uint8_t *request, size_t size, uint8_t *body) {
  if (size != 7u) {
    return FAILURE(PROTOCOL_MALFORMED);
  }
  const uint8_t index = request[0];
  if (index >= APP_OUTPUT_COUNT) {
    return FAILURE(PROTOCOL_OUT_OF_RANGE);
  }
  if (!device.model_ready) {
    return FAILURE(PROTOCOL_MODEL_FAILED);
  }
  return read_bytes((const uint8_t *)APP_MODEL(output)(index), output_bytes[index], request + 1,
                    body);
}

static int read_arena(const uint8_t *request, size_t size, uint8_t *body) {
  if (size != 6u) {
    return FAILURE(PROTOCOL_MALFORMED);
  }
  return read_bytes((const uint8_t *)arena, APP_ARENA_BYTES, request, body);
}

/* Has recurrent layers forget the inference before, as every one measured stands for itself. */
static void start_sequence(void) {
  device.model_ready = APP_MODEL(init)(arena, sizeof arena) == 0;
}

/* Inferences, or layers of one, each with its ticks in the reply. The counter is read right before
 * and after the call, so that nothing else counts. */
static int count_ticks(bool layers, uint32_t first, uint32_t end, uint8_t *body) {
  uint8_t *to = body;
  for (uint32_t i = first; i < end; ++i) {
    uint64_t start, stop;
    int status;
    if (!layers || i == 0) {
      start_sequence();
    }
    if (layers) {
      start = port_counter();
      status = APP_MODEL(invoke_layer)(i);
      stop = port_counter();
    } else {
      start = port_counter();
      status = APP_MODEL(invoke)();
      stop = port_counter();
    }
    if (status != 0) {
      return FAILURE(PROTOCOL_MODEL_FAILED);
    }
    to = put_elapsed(to, start, stop);
  }
  return (int)(to - body);
}

/* Inferences behind the first run on what it left in the arena: good for timing, not for results.
 */
static int invoke(const uint8_t *request, size_t size, uint8_t *body) {
  if (size != 2u) {
    return FAILURE(PROTOCOL_MALFORMED);
  }
  const uint32_t count = get_u16(request);
  if (count == 0 || count > INVOKE_MAX) {
    return FAILURE(PROTOCOL_OUT_OF_RANGE);
  }
  return count_ticks(false, 0, count, body);
}

static int run_layers(const uint8_t *request, size_t size, uint8_t *body) {
  if (size != 4u) {
    return FAILURE(PROTOCOL_MALFORMED);
  }
  const uint32_t first = get_u16(request);
  const uint32_t count = get_u16(request + 2);
  if (count == 0 || count > LAYERS_MAX || !within(first, count, APP_LAYER_COUNT)) {
    return FAILURE(PROTOCOL_OUT_OF_RANGE);
  }
  return count_ticks(true, first, first + count, body);
}

static int memory(uint8_t *body) {
  uint8_t *to = put_u32(body, port_stack_high_water());
  to = put_u32(to, port_stack_bytes());
  to = put_u32(to, APP_ARENA_BYTES);
  return (int)(to - body);
}

static int session(const uint8_t *request, size_t size, uint8_t *body) {
  if (size != 0 && size != 4u) {
    return FAILURE(PROTOCOL_MALFORMED);
  }
  if (size == 4u) {
    device.session_token = get_u32(request);
  }
  put_u32(body, device.session_token);
  return 4;
}

static int handle(uint8_t type, const uint8_t *request, size_t size, uint8_t *body) {
  switch (type) {
  case REQUEST_WRITE_INPUT:
    return write_input(request, size);
  case REQUEST_INVOKE:
    return invoke(request, size, body);
  case REQUEST_READ_OUTPUT:
    return read_output(request, size, body);
  case REQUEST_RUN_LAYERS:
    return run_layers(request, size, body);
  case REQUEST_READ_ARENA:
    return read_arena(request, size, body);
  case REQUEST_SESSION:
    return session(request, size, body);
  case REQUEST_INFO:
  case REQUEST_MEMORY:
  case REQUEST_RESET:
    if (size != 0) {
      return FAILURE(PROTOCOL_MALFORMED);
    }
    return type == REQUEST_INFO ? info(body) : type == REQUEST_MEMORY ? memory(body) : 0;
  default:
    return FAILURE(PROTOCOL_UNKNOWN_REQUEST);
  }
}

/* Does what the request asks and leaves the reply in `reply`. */
static void execute(const uint8_t *request, size_t size) {
  const uint8_t type = request[1];
  uint8_t *const body = device.reply + FRAME_HEADER_BYTES;
  int result = handle(type, request + FRAME_HEADER_BYTES, size - FRAME_HEADER_BYTES, body);
  device.reply[0] = request[0];
  device.reply[1] = (uint8_t)(type | REPLY);
  if (result < 0) {
    device.reply[1] = ERROR;
    body[0] = (uint8_t)-result;
    body[1] = type;
    result = 2;
  }
  device.reply_size = FRAME_HEADER_BYTES + (size_t)result;
}

static void send_fault(uint8_t sequence) {
  uint8_t *to = device.reply;
  *to++ = sequence;
  *to++ = FAULT;
  to = put_u32(to, device.fault->exception);
  to = put_u32(to, device.fault->program_counter);
  to = put_u32(to, device.fault->link_register);
  to = put_u32(to, device.fault->status);
  to = put_u32(to, device.fault->address);
  to = put_u32(to, device.fault->stack_pointer);
  to = put_u32(to, device.fault->stack_limit);
  frame_send(device.reply, (size_t)(to - device.reply));
}

static void answer(const uint8_t *request, size_t size) {
  const uint32_t crc = get_u32(request + size);
  if (device.fault != NULL && request[1] != REQUEST_RESET) {
    send_fault(request[0]);
    return;
  }
  if (device.reply_size == 0 || crc != device.answered_crc) {
    execute(request, size);
    device.answered_crc = crc;
  }
  frame_send(device.reply, device.reply_size);
  if (device.reply[1] == (REQUEST_RESET | REPLY)) {
    port_reset();
  }
}

void protocol_poll(void) {
  for (int byte = port_read(); byte >= 0; byte = port_read()) {
    const size_t size = frame_receive(&device.receiver, (uint8_t)byte);
    if (size != 0) {
      answer(device.receiver.bytes, size);
    }
  }
}

static void serve(void) {
  for (;;) {
    protocol_poll();
  }
}

void protocol_start(void) {
  calibrate_counter();
  start_sequence();
}

void protocol_run(void) {
  protocol_start();
  serve();
}

void protocol_fault(const struct port_fault *crash) {
  device.fault = crash;
  device.reply_size = 0;
  send_fault(0);
  serve();
}

SMALL_CODE_END
