/* Runs a translated test module as a host would: linear memory, traps, then every exported function without parameters.
 * Prints one line for each: its name and the result, or the reason of the trap. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#if CALF_MEMORY_GS
#include <asm/prctl.h>
#endif

#include "calf_abi.h"

static sigjmp_buf trapped;
static u8* base;

#if !CALF_MEMORY_GS
__thread u8* calf_memory_base;
#endif

void calf_trap(calf_trap_reason reason) { siglongjmp(trapped, (int)reason); }
static void on_fault(int signal) { siglongjmp(trapped, CALF_TRAP_OUT_OF_BOUNDS); }
static calf_process_state* state(void) { return (calf_process_state*)(base - 4096); }

u32 calf_memory_grow(u32 delta) {
  u64 pages = state()->pages;
  if (pages + delta > calf_image_maximum_pages) return ~0u;
  mprotect(base + pages * 65536, (u64)delta * 65536, PROT_READ | PROT_WRITE);
  state()->pages += delta;
  return (u32)pages;
}
static u8* range(u32 address, u32 size) {
  if ((u64)address + size > state()->pages * 65536) calf_trap(CALF_TRAP_OUT_OF_BOUNDS);
  return base + address;
}
void calf_memory_copy(u32 to, u32 from, u32 size) { memmove(range(to, size), range(from, size), size); }
void calf_memory_fill(u32 to, u32 byte, u32 size) { memset(range(to, size), (int)byte, size); }

static void load(const calf_module* module) {
  for (u32 i = 0; i < module->segment_count; ++i) {
    memcpy(base + module->segments[i].address, module->segments[i].bytes, module->segments[i].size);
  }
  if (module->start) module->start();
  if (module->apply_relocations) module->apply_relocations();
  if (module->call_constructors) module->call_constructors();
}

static void set_up(void) {
  const u64 size = (u64)8 << 30;
  base = (u8*)mmap(0, size + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) + 4096;
  mprotect(base - 4096, 4096 + (u64)calf_image_initial_pages * 65536, PROT_READ | PROT_WRITE);
#if CALF_MEMORY_GS
  syscall(SYS_arch_prctl, ARCH_SET_GS, base);
#else
  calf_memory_base = base;
#endif
  state()->base = base;
  state()->pages = calf_image_initial_pages;
  state()->pid = 1234;
  memcpy(state()->globals, calf_image_globals, sizeof calf_image_globals);
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, 0);
  sigaction(SIGBUS, &action, 0);
  load(&calf_image);
  for (u32 i = 0; i < calf_side_module_count; ++i) {
    const calf_module* module = calf_side_modules[i];
    mprotect(base + module->memory_base, ((u64)module->memory_size + 65535) / 65536 * 65536, PROT_READ | PROT_WRITE);
    if (!module->missing_count) load(module);
  }
}

static u64 hash_of(const char* signature) {
  u64 hash = 0xcbf29ce484222325u;
  for (; *signature; ++signature) hash = (hash ^ (u8)*signature) * 0x100000001b3u;
  return hash;
}

static void run(const calf_module* module) {
  for (u32 i = 0; i < module->function_count; ++i) {
    const char* name = module->functions[i].name;
    const calf_table_entry* entry = &calf_table[module->functions[i].value];
    const int wide = entry->type == hash_of("()->i64");
    if (!wide && entry->type != hash_of("()->i32")) continue;
    int reason = sigsetjmp(trapped, 1);
    if (reason) printf("%s trap %d\n", name, reason);
    else if (wide) printf("%s %llu\n", name, (unsigned long long)((u64(*)(void))entry->function)());
    else printf("%s %u\n", name, ((u32(*)(void))entry->function)());
  }
  for (u32 i = 0; i < module->missing_count; ++i) printf("missing %s\n", module->missing[i]);
}

int main(void) {
  set_up();
  run(&calf_image);
  for (u32 i = 0; i < calf_side_module_count; ++i) run(calf_side_modules[i]);
  return 0;
}
