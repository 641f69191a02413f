/* The extension `calf`: how SQL talks to the program around this PostgreSQL. One function in C, calf.command(), carries a
 * command and its answer; calf--1.0.sql gives it names.
 *
 * The commands themselves are the host's (src/branches). Compiled to a side module like every other extension. */
#include "postgres_abi.h"

/* Runs `verb` of `name` and `argument`. Writes an SQLSTATE, "00000" if the command is done, and a text without the
 * terminating 0: the answer, or a message and, after a line feed, a hint. Returns the size of all of it, of which as much
 * as fits is written. "00001": not done yet; ask again, or, when there is a text, await what it names. */
unsigned int calf_command(const char* verb, const char* name, const char* argument, char* answer,
                          unsigned int answer_size);

enum { kStateSize = 5, kPollMicroseconds = 200 };

PGEXPORT const Pg_magic_struct* Pg_magic_func(void) {
  static const Pg_magic_struct magic = {
      sizeof(Pg_magic_struct), {1800, 100, 32, 64, 0, "PostgreSQL"}, "calf", "1.0"};
  return &magic;
}

static int is_state(const char* answer, const char* state) {
  for (int i = 0; i < kStateSize; ++i) {
    if (answer[i] != state[i]) return 0;
  }
  return 1;
}

static void raise_error(char* answer, unsigned int size) {
  char* message = answer + kStateSize;
  char* hint = 0;
  for (char* c = message; c < answer + size; ++c) {
    if (*c != '\n') continue;
    *c = 0;
    hint = c + 1;
    break;
  }
  errstart(ERROR, 0);
  int code = 0;
  for (int i = 0; i < kStateSize; ++i) code |= PGSIXBIT(answer[i]) << (6 * i);
  errcode(code);
  errmsg_internal("%s", message);
  if (hint) errhint("%s", hint);
  errfinish("calf.c", 0, "calf_command");
}

PGEXPORT const Pg_finfo_record* pg_finfo_calf_sql_command(void) {
  static const Pg_finfo_record record = {1};
  return &record;
}

/* calf.command(verb text, name text, argument text) returns text, strict. */
PGEXPORT Datum calf_sql_command(FunctionCallInfoBaseData* call) {
  const char* verb = text_to_cstring((const void*)call->args[0].value);
  const char* name = text_to_cstring((const void*)call->args[1].value);
  const char* argument = text_to_cstring((const void*)call->args[2].value);
  unsigned int room = 1024;
  for (;;) {
    char* answer = palloc(room);
    const unsigned int size = calf_command(verb, name, argument, answer, room - 1);
    if (size >= room) { /* only what can be asked again has long answers */
      room = size + 1;
      continue;
    }
    answer[size] = 0;
    if (is_state(answer, "00000")) return (Datum)cstring_to_text(answer + kStateSize);
    if (!is_state(answer, "00001")) raise_error(answer, size);
    if (size > kStateSize) {
      verb = "await";
      name = answer + kStateSize;
    }
    pg_usleep(kPollMicroseconds);
    ProcessInterrupts();
  }
}
