/* Counts the instructions that a core executes in unicorn, at the speed of translated code.
 *
 * Unicorn calls on_block before each translated block. How many instructions a block has is found
 * once, from their lengths, and remembered in a table, with how often the block was entered and how
 * often it was left by a jump. Within a block only accesses to peripherals can look at the count:
 * they are mapped without permissions, so that unicorn calls on_access first, with the program
 * counter brought up to date.
 *
 * A RISC-V core has counters of its own, which unicorn takes from the clock of this machine. An
 * instruction that reads one is the last of its block, so the right value is put into its register
 * before the next block.
 *
 * Compiled for this machine by counting.py, which mirrors struct block_counter.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TABLE_ENTRIES = 1 << 14, MOST_PROBES = 64 };

enum instruction_set { THUMB, RV32 };

struct block {
  uint32_t address;
  uint32_t size; /* in bytes; 0 in an entry that is free */
  uint32_t instructions;
  uint32_t counter_read; /* register that its end reads a counter into, + 32: its high half; or 0 */
  uint64_t entered;
  uint64_t left; /* for another place than the instruction behind its last */
};

struct block_counter {
  uint64_t total; /* instructions of all blocks that were entered */
  uint64_t limit; /* no block is entered once the total is here */
  struct block *current;
  uint32_t pending_read; /* counter_read of the current block until that is done */
  uint32_t replaced;     /* blocks that another took the place of: their counts are lost */
  uint32_t access_pc;    /* of the instruction that accesses a peripheral */
  int32_t instruction_set;
  int32_t pc_register;
  int32_t first_register; /* x0 of a RISC-V core */
  /* uc_mem_read, uc_reg_read, uc_reg_write and uc_emu_stop of the loaded unicorn */
  int (*read_memory)(void *engine, uint64_t address, void *bytes, uint64_t size);
  int (*read_register)(void *engine, int id, void *value);
  int (*write_register)(void *engine, int id, const void *value);
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

/* Thumb: an instruction has 32 bits if its first half begins with 0b11101, 0b11110 or 0b11111
 * (Armv7-M ARM A5.1), else 16. RISC-V: if that half ends with 0b11 (volume I, 1.5). */
static uint32_t length_of(const struct block_counter *counter, uint16_t first_half) {
  const bool is_long =
      counter->instruction_set == RV32 ? (first_half & 3u) == 3u : first_half >> 11 >= 0x1Du;
  return is_long ? 4u : 2u;
}

/* Instructions from address to end. */
static uint32_t instructions_between(void *engine, const struct block_counter *counter,
                                     uint32_t address, uint32_t end) {
  uint32_t instructions = 0;
  while (address < end) {
    uint16_t half = 0;
    (void)counter->read_memory(engine, address, &half, sizeof half);
    address += length_of(counter, half);
    ++instructions;
  }
  return instructions;
}

/* csrrs rd, csr, x0 of mcycle, minstret, cycle or instret, or of their high halves (RISC-V
 * Instruction Set Manual, volume II). */
static uint32_t counter_read_by(void *engine, const struct block_counter *counter, uint32_t address,
                                uint32_t size) {
  uint32_t last = 0;
  if (counter->instruction_set != RV32 || size < sizeof last) {
    return 0;
  }
  (void)counter->read_memory(engine, address + size - sizeof last, &last, sizeof last);
  const uint32_t csr = last >> 20, low = csr & ~0x080u, target = last >> 7 & 31u;
  const bool is_counter = low == 0xB00u || low == 0xB02u || low == 0xC00u || low == 0xC02u;
  if (!is_counter || (last & 0xFF07Fu) != 0x02073u || target == 0) {
    return 0;
  }
  return target | (csr & 0x080u ? 32u : 0u);
}

static void fill(void *engine, const struct block_counter *counter, struct block *block) {
  const uint32_t end = block->address + block->size;
  block->instructions = instructions_between(engine, counter, block->address, end);
  block->counter_read = counter_read_by(engine, counter, block->address, block->size);
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
      fill(engine, counter, block);
      return block;
    }
  }
  struct block *block = &counter->table[home & (TABLE_ENTRIES - 1)];
  *block = (struct block){.address = address, .size = size};
  fill(engine, counter, block);
  ++counter->replaced;
  return block;
}

/* Gives the block that has just ended the value of the counter that it has read. */
static void deliver(void *engine, struct block_counter *counter) {
  const uint64_t before = counter->total - 1u;
  const uint32_t value = (uint32_t)(counter->pending_read & 32u ? before >> 32 : before);
  const int id = counter->first_register + (int)(counter->pending_read & 31u);
  (void)counter->write_register(engine, id, &value);
  counter->pending_read = 0;
}

void on_block(void *engine, uint64_t address, uint32_t size, void *user) {
  struct block_counter *counter = user;
  if (counter->pending_read != 0) {
    deliver(engine, counter);
  }
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
  counter->pending_read = block->counter_read;
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
