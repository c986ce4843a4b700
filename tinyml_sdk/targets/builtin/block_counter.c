/* Counts the instructions that a Cortex-M executes in unicorn, at the speed of translated code.
 *
 * Unicorn calls on_block before each translated block. How many instructions a block has is found
 * once, from the lengths of its Thumb instructions, and remembered in a table, with how often the
 * block was entered and how often it was left by a jump. Within a block only accesses to
 * peripherals can look at the count: they are mapped without permissions, so that unicorn calls
 * on_access first, with the program counter brought up to date.
 *
 * Compiled for this machine by counting.py, which mirrors struct block_counter.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TABLE_ENTRIES = 1 << 14, MOST_PROBES = 64 };

struct block {
  uint32_t address;
  uint32_t size; /* in bytes; 0 in an entry that is free */
  uint32_t instructions;
  uint32_t reserved;
  uint64_t entered;
  uint64_t left; /* for another place than the instruction behind its last */
};

struct block_counter {
  uint64_t total; /* instructions of all blocks that were entered */
  uint64_t limit; /* no block is entered once the total is here */
  struct block *current;
  uint32_t replaced;  /* blocks that another took the place of: their counts are lost */
  uint32_t access_pc; /* of the instruction that accesses a peripheral */
  int32_t pc_register;
  /* uc_mem_read, uc_reg_read and uc_emu_stop of the loaded unicorn */
  int (*read_memory)(void *engine, uint64_t address, void *bytes, uint64_t size);
  int (*read_register)(void *engine, int id, void *value);
  int (*stop)(void *engine);
  struct block table[TABLE_ENTRIES];
};

uint32_t block_counter_bytes(void);
void on_block(void *engine, uint64_t address, uint32_t size, void *user);
bool on_access(void *engine, int kind, uint64_t address, int size, int64_t value, void *user);
uint64_t count_at_access(void *engine, const struct block_counter *counter);

/* For a check that both sides mean the same structure. */
uint32_t block_counter_bytes(void) {
  return (uint32_t)sizeof(struct block_counter);
}

/* Instructions from address to end. A Thumb instruction has 32 bits if its first half begins with
 * 0b11101, 0b11110 or 0b11111 (Armv7-M ARM A5.1), else 16. */
static uint32_t instructions_between(void *engine, const struct block_counter *counter,
                                     uint32_t address, uint32_t end) {
  uint32_t instructions = 0;
  while (address < end) {
    uint16_t half = 0;
    (void)counter->read_memory(engine, address, &half, sizeof half);
    address += half >> 11 >= 0x1Du ? 4u : 2u;
    ++instructions;
  }
  return instructions;
}

/* The block's entry, a new one where it has none. Places are tried from the address on; a firmware
 * has far fewer blocks than there are. */
static struct block *find_block(void *engine, struct block_counter *counter, uint32_t address,
                                uint32_t size) {
  const uint32_t home = address >> 1;
  for (uint32_t probe = 0; probe < MOST_PROBES; ++probe) {
    struct block *block = &counter->table[(home + probe) & (TABLE_ENTRIES - 1)];
    if (block->address == address && block->size == size) {
      return block;
    }
    if (block->size == 0) {
      block->address = address;
      block->size = size;
      block->instructions = instructions_between(engine, counter, address, address + size);
      return block;
    }
  }
  struct block *block = &counter->table[home & (TABLE_ENTRIES - 1)];
  *block = (struct block){.address = address, .size = size};
  block->instructions = instructions_between(engine, counter, address, address + size);
  ++counter->replaced;
  return block;
}

void on_block(void *engine, uint64_t address, uint32_t size, void *user) {
  struct block_counter *counter = user;
  if (counter->total >= counter->limit) {
    (void)counter->stop(engine); /* before the block, which is entered again when this goes on */
    return;
  }
  struct block *before = counter->current;
  if (before != NULL && before->address + before->size != (uint32_t)address) {
    ++before->left;
  }
  struct block *block = find_block(engine, counter, (uint32_t)address, size);
  ++block->entered;
  counter->current = block;
  counter->total += block->instructions;
}

/* True: go on with the access. */
bool on_access(void *engine, int kind, uint64_t address, int size, int64_t value, void *user) {
  struct block_counter *counter = user;
  (void)kind;
  (void)address;
  (void)size;
  (void)value;
  (void)counter->read_register(engine, counter->pc_register, &counter->access_pc);
  return true;
}

/* Instructions before the one that accesses a peripheral just now. */
uint64_t count_at_access(void *engine, const struct block_counter *counter) {
  const struct block *block = counter->current;
  const uint32_t end = block == NULL ? counter->access_pc : block->address + block->size;
  return counter->total - instructions_between(engine, counter, counter->access_pc, end);
}
