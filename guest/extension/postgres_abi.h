/* The little of PostgreSQL 18's interface that the extension uses, as it is in the image (32-bit
 * WebAssembly): the pinned packages bring no headers. What a call of a mistyped function would do
 * is checked by the translator, which compares the signatures of imports. */
#ifndef CALF_POSTGRES_ABI_H_
#define CALF_POSTGRES_ABI_H_

typedef unsigned int Datum; /* pass-by-value types of up to four bytes; a pointer otherwise */

/* fmgr.h */
typedef struct NullableDatum {
  Datum value;
  _Bool isnull;
} NullableDatum;

typedef struct FunctionCallInfoBaseData {
  void* flinfo;
  void* context;
  void* resultinfo;
  Datum fncollation;
  _Bool isnull;
  short nargs;
  NullableDatum args[];
} FunctionCallInfoBaseData;

typedef struct Pg_finfo_record {
  int api_version;
} Pg_finfo_record;

typedef struct Pg_abi_values {
  int version; /* PG_VERSION_NUM / 100 */
  int funcmaxargs;
  int indexmaxkeys;
  int namedatalen;
  int float8byval;
  char abi_extra[32];
} Pg_abi_values;

typedef struct Pg_magic_struct {
  int len;
  Pg_abi_values abi_fields;
  const char* name;
  const char* version;
} Pg_magic_struct;

/* elog.h, errcodes.h */
enum { ERROR = 21 };
#define PGSIXBIT(ch) (((ch) - '0') & 0x3F)
_Bool errstart(int elevel, const char* domain);
int errcode(int sqlerrcode);
int errmsg_internal(const char* fmt, ...);
int errhint(const char* fmt, ...);
void errfinish(const char* filename, int lineno, const char* funcname);

void* palloc(unsigned int size);
char* text_to_cstring(const void* t);
void* cstring_to_text(const char* s);
void ProcessInterrupts(void);
void pg_usleep(int microseconds);

#define PGEXPORT __attribute__((visibility("default")))

#endif /* CALF_POSTGRES_ABI_H_ */
