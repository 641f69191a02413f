/* The contract between the translated image (generated C) and the host (C++): the state of one process of PostgreSQL,
 * how linear memory is reached, the function table, traps and non-local jumps.
 *
 * One `calf_process_state` lies directly below linear memory; its end is linear address 0. On x86-64 the GS segment base
 * is linear address 0, so that a switch to another process is one register (CALF_MEMORY_GS = 1). The portable form keeps
 * the base pointer in a thread-local variable instead (CALF_MEMORY_GS = 0).
 *
 * Not here: what the imports do (src/wasm, src/postgres), and nothing of PostgreSQL. */
#ifndef CALF_ABI_H_
#define CALF_ABI_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;
typedef double f64;

/* A frame of invoke_*: where _emscripten_throw_longjmp lands. Lives on the native stack of its process. */
typedef struct calf_jump_frame {
  void* buffer[5]; /* for __builtin_setjmp */
  struct calf_jump_frame* outer;
  u32 stack_pointer; /* the guest's stack pointer to restore */
} calf_jump_frame;

enum { CALF_GLOBAL_SLOTS = 8 };

/* The private state of one process that is not in linear memory. One page; the fields that generated code uses often are
 * at its end, close to linear address 0. */
typedef struct calf_process_state {
  u8 reserved_[4096 - 5 * 8 - 4 * CALF_GLOBAL_SLOTS];
  void* host;                  /* the host's object for this process */
  calf_jump_frame* jump_frame; /* newest frame of invoke_*, or NULL */
  u8* base;                    /* linear address 0 */
  u64 pages;                   /* linear memory's size in WASM pages of 64 KiB */
  s32 pid;                     /* what getpid() answers in this process */
  u32 unused_;
  u32 globals[CALF_GLOBAL_SLOTS]; /* the image's mutable globals; 0 is __stack_pointer */
} calf_process_state;

#ifdef __cplusplus
static_assert(sizeof(calf_process_state) == 4096, "one page");
#else
_Static_assert(sizeof(calf_process_state) == 4096, "one page");
#endif

#if CALF_MEMORY_GS
#define CALF_GUEST __attribute__((address_space(256)))
#define CALF_STATE ((calf_process_state CALF_GUEST*)(s64)(-4096))
#else
#define CALF_GUEST
extern __thread u8* calf_memory_base __attribute__((tls_model("initial-exec")));
#define CALF_STATE ((calf_process_state*)(calf_memory_base - 4096))
#endif

/* The function table, shared by all processes. `type` is the hash of the signature, 0 for an empty entry. */
typedef struct calf_table_entry {
  void (*function)(void);
  u64 type;
} calf_table_entry;
extern const calf_table_entry calf_table[];
extern const u32 calf_table_size;

/* Traps: end the running process the way a crashed one ends. Provided by the host; never return. */
typedef enum calf_trap_reason {
  CALF_TRAP_UNREACHABLE = 1,
  CALF_TRAP_INTEGER_DIVISION_BY_ZERO,
  CALF_TRAP_INTEGER_OVERFLOW,
  CALF_TRAP_INVALID_CONVERSION,
  CALF_TRAP_INDIRECT_CALL,
  CALF_TRAP_OUT_OF_BOUNDS,
  CALF_TRAP_STACK_OVERFLOW,
} calf_trap_reason;
__attribute__((noreturn, cold)) void calf_trap(calf_trap_reason reason);

/* memory.grow, memory.copy and memory.fill, provided by the host. The range is within 4 GiB by construction of the
 * operands; what is not mapped faults and becomes a trap. */
u32 calf_memory_grow(u32 delta_pages);
void calf_memory_copy(u32 destination, u32 source, u32 size);
void calf_memory_fill(u32 destination, u32 byte, u32 size);

/* A piece of a module's initial memory. */
typedef struct calf_data_segment {
  u32 address; /* linear address, final */
  u32 size;
  const u8* bytes;
} calf_data_segment;

/* A function or datum that a module exports. */
typedef struct calf_export {
  const char* name;
  u32 value; /* function: index in calf_table; datum: linear address */
} calf_export;

/* One translated module. Everything is fixed at build time: its place in linear memory and in the table. */
typedef struct calf_module {
  const char* path;            /* guest path, e.g. "/pglite/lib/postgresql/plpgsql.so"; "" for the image itself */
  u32 memory_base;             /* side modules: where its data begins, page aligned (64 KiB), above the image's maximum */
  u32 memory_size;             /* bytes, including zeroed data */
  u32 table_base, table_size;  /* its slice of calf_table */
  const calf_data_segment* segments;
  u32 segment_count;
  const calf_export* functions; /* sorted by name (strcmp) */
  u32 function_count;
  const calf_export* data; /* sorted by name */
  u32 data_count;
  const char* const* missing; /* imports that nothing supplies; a module with any of them cannot be loaded */
  u32 missing_count;
  void (*start)(void);            /* start function, or NULL: runs in the process that loads the module */
  void (*apply_relocations)(void); /* __wasm_apply_data_relocs, or NULL */
  void (*call_constructors)(void); /* __wasm_call_ctors, or NULL */
} calf_module;

extern const calf_module calf_image;          /* pglite.wasm */
extern const calf_module* const calf_side_modules[]; /* sorted by path */
extern const u32 calf_side_module_count;

/* How the image starts. */
extern const u32 calf_image_initial_pages;
extern const u32 calf_image_maximum_pages;
extern const u32 calf_image_globals[CALF_GLOBAL_SLOTS]; /* initial values of the mutable globals */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CALF_ABI_H_ */
