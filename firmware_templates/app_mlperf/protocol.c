#include "protocol.h"

#include <stdbool.h>

#include "app_config.h"
#include "print.h"
#include "small_code.h"
#include "tensors.h"

SMALL_CODE_BEGIN

#define COMMAND_MAX 80u
#define COMMAND_END '%'
#define DEFAULT_INFERENCES 1u
#define DEFAULT_WARMUPS 10u
#define BYTES_A_LINE 8u

/* Parsed numbers end here: more is an error whatever was asked for. */
#define NUMBER_MAX 100000000u

static int32_t arena[(APP_ARENA_BYTES + 3u) / 4u] __attribute__((aligned(APP_ARENA_ALIGNMENT)));

static char command[COMMAND_MAX + 1u]; /* the last byte stays 0 */
static size_t command_size;
static bool command_too_long;

static uint32_t expected; /* bytes that `db load` announced */
static uint32_t received; /* of these */

static void print_error(const char *text) {
  print("e-[");
  print(text);
  print("]\r\n");
}

static void print_tagged(const char *tag, uint32_t number) {
  print(tag);
  print_number(number);
  print("\r\n");
}

/* -- words of a command ----------------------------------------------------------------------- */

/* The next word, cut off from what is left; empty at the end. */
static const char *next_word(char **rest) {
  char *word = *rest;
  while (*word == ' ') {
    ++word;
  }
  char *end = word;
  while (*end != 0 && *end != ' ') {
    ++end;
  }
  *rest = *end == 0 ? end : end + 1;
  *end = 0;
  return word;
}

static bool is(const char *word, const char *other) {
  while (*word != 0 && *word == *other) {
    ++word;
    ++other;
  }
  return *word == *other;
}

/* A whole number, or -1 where the word is none or too large. */
static int32_t number_of(const char *word) {
  uint32_t number = 0;
  if (*word == 0) {
    return -1;
  }
  for (; *word != 0; ++word) {
    if (*word < '0' || *word > '9' || number > NUMBER_MAX) {
      return -1;
    }
    number = 10u * number + (uint32_t)(*word - '0');
  }
  return (int32_t)number;
}

static int digit_of(char character) {
  if (character >= '0' && character <= '9') {
    return character - '0';
  }
  const char lower = (char)(character | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* -- the buffer ------------------------------------------------------------------------------- */

static void buffer_load(const char *word) {
  const int32_t size = number_of(word);
  expected = received = 0;
  if (size <= 0) {
    print_error("Command 'db load' requires a number of bytes above 0");
  } else if ((uint32_t)size > LOAD_BYTES) {
    print("e-[Supplied buffer size ");
    print_number((uint32_t)size);
    print(" exceeds maximum of ");
    print_number(LOAD_BYTES);
    print("]\r\n");
  } else {
    expected = (uint32_t)size;
    print("m-[Expecting ");
    print_number(expected);
    print(" bytes]\r\n");
  }
}

static void buffer_bytes(const char *digits) {
  if (received == expected) {
    print_error("More bytes than 'db load' announced");
    return;
  }
  while (*digits != 0 && received < expected) {
    const int high = digit_of(digits[0]);
    const int low = digits[1] != 0 ? digit_of(digits[1]) : -1;
    if (high < 0 || low < 0) {
      print_error("A byte is two hex digits");
      return;
    }
    tensors_load(received, (uint8_t)(16 * high + low));
    ++received;
    digits += 2;
  }
  if (received == expected) {
    print("m-load-done\r\n");
  }
}

static void buffer_print(void) {
  for (uint32_t i = 0; i < received; ++i) {
    print(i % BYTES_A_LINE == 0 ? "m-buffer-" : "-");
    print_hex(tensors_loaded(i), 2);
    if ((i + 1u) % BYTES_A_LINE == 0 || i + 1u == received) {
      print("\r\n");
    }
  }
}

static void buffer(char *rest) {
  const char *word = next_word(&rest);
  if (*word == 0) {
    print_error("Command 'db' requires a subcommand");
  } else if (is(word, "load")) {
    buffer_load(next_word(&rest));
  } else if (is(word, "print")) {
    buffer_print();
  } else {
    buffer_bytes(word);
  }
}

/* -- inference -------------------------------------------------------------------------------- */

static void timestamp(void) {
  const uint32_t hz = port_counter_hz();
  const uint64_t ticks = port_counter();
  /* In two parts, as ticks times a million would overflow after days. */
  const uint64_t microseconds =
      hz == 0 ? 0 : ticks / hz * 1000000u + ticks % hz * UINT64_C(1000000) / hz;
  print("m-lap-us-");
  print_number(microseconds);
  print("\r\n");
}

static void print_results(void) {
  print("m-results-[");
  tensors_print_results();
  print("]\r\n");
}

static bool run(uint32_t count) {
  for (; count != 0; --count) {
    /* Has recurrent layers forget the inference before. */
    if (APP_MODEL(init)(arena, sizeof arena) != 0) {
      return false;
    }
    tensors_set_input();
    if (APP_MODEL(invoke)() != 0) {
      return false;
    }
    (void)port_counter(); /* a counter of 32 bits must be read once a turn */
  }
  return true;
}

static void infer(char *rest) {
  const char *count_word = next_word(&rest);
  const char *warmups_word = next_word(&rest);
  const int32_t count = *count_word != 0 ? number_of(count_word) : (int32_t)DEFAULT_INFERENCES;
  const int32_t warmups = *warmups_word != 0 ? number_of(warmups_word) : (int32_t)DEFAULT_WARMUPS;
  if (count <= 0) {
    print_error("Inference iterations must be >0");
    return;
  }
  if (warmups < 0) {
    print_error("Inference warmup must be >=0");
    return;
  }
  if (received != LOAD_BYTES) {
    print("e-[Input db has ");
    print_number(received);
    print(" bytes, expected ");
    print_number(LOAD_BYTES);
    print("]\r\n");
    return;
  }
  tensors_prepare();
  print_tagged("m-warmup-start-", (uint32_t)warmups);
  bool good = run((uint32_t)warmups);
  print("m-warmup-done\r\n");
  print_tagged("m-infer-start-", (uint32_t)count);
  timestamp();
  good = run((uint32_t)count) && good;
  timestamp();
  print("m-infer-done\r\n");
  if (good) {
    print_results();
  } else {
    print_error("The model does not run");
  }
}

/* -- commands --------------------------------------------------------------------------------- */

static void help(void) {
  print("help         : Print this information\r\n"
        "name         : Print the name of the device\r\n"
        "timestamp    : Print the time in microseconds\r\n"
        "profile      : Print the versions of benchmark and model\r\n"
        "db load N    : Expect N bytes of input\r\n"
        "db HH[HH]*   : Load bytes, as hex\r\n"
        "db print     : Print what was loaded\r\n"
        "infer N [W]  : Execute N inferences after W to warm up\r\n"
        "results      : Print the result of the last inference\r\n");
}

static void obey(char *rest) {
  const char *word = next_word(&rest);
  if (is(word, "name")) {
    print("m-name-dut-[" APP_BOARD_NAME "]\r\n");
  } else if (is(word, "timestamp")) {
    timestamp();
  } else if (is(word, "profile")) {
    print("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n"
          "m-model-[" APP_MLPERF_MODEL "]\r\n");
  } else if (is(word, "db")) {
    buffer(rest);
  } else if (is(word, "infer")) {
    infer(rest);
  } else if (is(word, "results")) {
    print_results();
  } else if (is(word, "help")) {
    help();
  } else {
    print("e-[Unknown command: ");
    print(word);
    print("]\r\n");
  }
}

static void end_of_command(void) {
  command[command_size] = 0;
  command_size = 0;
  if (command_too_long) {
    print_error("Command of more than 80 characters");
  } else {
    obey(command);
  }
  command_too_long = false;
  print("m-ready\r\n");
}

void protocol_poll(void) {
  for (int byte = port_read(); byte >= 0; byte = port_read()) {
    if (byte == COMMAND_END) {
      end_of_command();
    } else if (byte < ' ') {
      continue; /* what a terminal sends at the end of a line */
    } else if (command_size == COMMAND_MAX) {
      command_too_long = true;
    } else {
      command[command_size++] = (char)byte;
    }
  }
}

void protocol_start(void) {
  print("m-timestamp-mode-performance\r\n");
  timestamp();
  if (APP_MODEL(init)(arena, sizeof arena) != 0) {
    print_error("The model did not initialise");
  }
  print("m-init-done\r\nm-ready\r\n");
}

void protocol_run(void) {
  protocol_start();
  for (;;) {
    protocol_poll();
  }
}

void protocol_fault(const struct port_fault *fault) {
  print("\r\ne-[Crashed with exception ");
  print_number(fault->exception);
  print(" at 0x");
  print_hex(fault->program_counter, 8);
  print("]\r\n");
  for (;;) {
  }
}

SMALL_CODE_END
