/*
 * libcalf: a whole PostgreSQL 18 inside your process.
 *
 *     calf_cluster *cluster; calf_session *session; calf_result *result; calf_error *error = NULL;
 *     if (calf_open(NULL, &cluster, &error) == CALF_OK &&
 *         calf_session_open(cluster, NULL, &session, &error) == CALF_OK &&
 *         calf_query(session, "select 1 + 1", NULL, 0, CALF_TEXT, &result, &error) == CALF_OK)
 *       puts(calf_result_value(result, 0, 0, NULL));
 *
 * A cluster is one data directory that is running: in memory, or in a directory. A process may have
 * many of them, and each has many sessions, which run concurrently as they do on a PostgreSQL
 * server. docs/embedding.md tells the story; this file is the reference.
 *
 * Rules that hold for every call, unless it says otherwise:
 *
 *   Threads     A cluster may be used by any threads at once. A session, and what was made from it
 * (statements, streams, copies), by any thread, but one at a time: a second one gets
 * CALF_ERROR_BUSY. What may be called at any time from any thread says "any thread". Results and
 * errors are plain memory: reading one from several threads is fine. Errors      Functions that can
 * fail return a calf_status. `error` may be NULL; if it is not, it is set to NULL on success and to
 * a new calf_error otherwise (only when memory has run out it stays NULL), to be freed with
 *               calf_error_free. Other outputs are set to NULL or 0 when a call fails, unless it
 * says otherwise. There is no errno, no "last error", no exception, and no exit or abort because of
 * what PostgreSQL does. Ownership   What a call makes through a pointer to a pointer is the
 * caller's, and is freed by the function named there. Everything that goes in is copied or no
 * longer used when the call returns. NULL        Freeing or closing NULL does nothing. Any other
 * NULL handle or required argument is CALF_ERROR_INVALID, or 0, NULL or an empty string from a
 * function without a status. Time        Calls that wait obey the session's timeout
 * (calf_session_set_timeout) or take one of their own, and all of them can be cut short:
 * calf_session_cancel, or calf_close, from another thread. Text        UTF-8, ending in a NUL,
 * unless a size is given beside it. SQL of more than CALF_MAX_MESSAGE bytes is CALF_ERROR_INVALID.
 *   Structs     Options begin with their size: set struct_size to sizeof the struct, and everything
 * else to zero but what you want. Later versions add members at the end; a struct of an older one
 * goes on to work. A size that no version had is CALF_ERROR_INVALID. Signals     SIGSEGV, SIGBUS,
 * SIGFPE and SIGILL get a handler at the first calf_open; faults that are not ours go on to the
 * handler that was there before. Nothing else is touched: no signal mask, no SIGPIPE, no atexit.
 *   fork        Handles do not survive fork(): in the child every call on them is
 * CALF_ERROR_INVALID, and closing them does nothing. The child may open clusters of its own. exec
 * and posix_spawn are fine. Output      Nothing is ever written to stdout or stderr; PostgreSQL's
 * log goes to calf_options.log.
 */
#ifndef CALF_CALF_H
#define CALF_CALF_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CALF_API __attribute__((visibility("default")))
#else
#define CALF_API
#endif

/* Of this header. The library's own are calf_version() and calf_abi_version(). */
#define CALF_VERSION_MAJOR 0
#define CALF_VERSION_MINOR 1
#define CALF_VERSION_PATCH 0
/* Raised when a program built for an older one would break; the SONAME follows it. */
#define CALF_ABI_VERSION 0

/* The longest message: SQL, a value, a row (PostgreSQL's own limit, just under 1 GiB). */
#define CALF_MAX_MESSAGE 0x3fffffff

typedef struct calf_cluster calf_cluster;     /* a running cluster */
typedef struct calf_session calf_session;     /* a logged-in session of one, with the typed API */
typedef struct calf_statement calf_statement; /* a prepared statement of a session */
typedef struct calf_stream
    calf_stream; /* a query of a session whose rows are fetched as they are wanted */
typedef struct calf_copy calf_copy; /* a COPY of a session under way */
typedef struct calf_result
    calf_result; /* what a statement answered; plain memory, outlives its session */
typedef struct calf_wire calf_wire;   /* a connection that speaks the wire protocol in raw bytes */
typedef struct calf_error calf_error; /* what went wrong; plain memory */

typedef enum calf_status {
  CALF_OK = 0,
  CALF_DONE = 1,         /* no error: there is no further row, chunk, or notification */
  CALF_ERROR_SQL = 2,    /* PostgreSQL's own error, with a SQLSTATE; the session goes on */
  CALF_ERROR_CLOSED = 3, /* the session or its cluster has ended; close the handle. Has PostgreSQL's
                            last message, if any */
  CALF_ERROR_TIMEOUT = 4, /* the time was up; what ran was cancelled, and the session goes on */
  CALF_ERROR_INVALID = 5, /* a wrong argument, or a call that makes no sense now */
  CALF_ERROR_BUSY = 6, /* the session is in use: by another thread, or by an open stream or copy */
  CALF_ERROR_NOT_FOUND = 7,  /* no such database (3D000), branch, file, … */
  CALF_ERROR_PERMISSION = 8, /* of the file system, or the login was refused (28…) */
  CALF_ERROR_IN_USE = 9, /* another process has the data directory open, or the address is taken */
  CALF_ERROR_UNAVAILABLE = 10, /* PostgreSQL did not start or is stopping; the message says why */
  CALF_ERROR_RESOURCES = 11,   /* memory, descriptors, disk, or max_connections (53…) */
  CALF_ERROR_IO = 12,          /* the operating system refused */
  CALF_ERROR_CORRUPT = 13,     /* the data directory or a message breaks its own format */
  CALF_ERROR_UNSUPPORTED = 14,
  CALF_ERROR_INTERNAL = 15 /* a mistake of this library */
} calf_status;

/* ---------------------------------------------------------------- Version and memory. Any thread;
 * never fails. */

/* "0.1.0": of the library that runs. Static. */
CALF_API const char* calf_version(void);
/* CALF_ABI_VERSION of the library that runs. */
CALF_API int calf_abi_version(void);
/* "18.3": of the PostgreSQL inside. Static. */
CALF_API const char* calf_postgres_version(void);
/* Frees a string that a call below has made. */
CALF_API void calf_free(void* memory);

/* ---------------------------------------------------------------- Errors. Any thread; never fail.
 */

/* What a report says, by the letters of the protocol ("Error and Notice Message Fields"). */
typedef enum calf_field {
  CALF_FIELD_SEVERITY = 'S', /* ERROR, FATAL, NOTICE, … as the server says it; may be translated */
  CALF_FIELD_SEVERITY_ENGLISH = 'V', /* the same, never translated */
  CALF_FIELD_SQLSTATE = 'C',
  CALF_FIELD_MESSAGE = 'M',
  CALF_FIELD_DETAIL = 'D',
  CALF_FIELD_HINT = 'H',
  CALF_FIELD_POSITION = 'P', /* decimal, in characters, from 1 */
  CALF_FIELD_INTERNAL_POSITION = 'p',
  CALF_FIELD_INTERNAL_QUERY = 'q',
  CALF_FIELD_CONTEXT = 'W',
  CALF_FIELD_SCHEMA = 's',
  CALF_FIELD_TABLE = 't',
  CALF_FIELD_COLUMN = 'c',
  CALF_FIELD_DATA_TYPE = 'd',
  CALF_FIELD_CONSTRAINT = 'n',
  CALF_FIELD_FILE = 'F',
  CALF_FIELD_LINE = 'L',
  CALF_FIELD_ROUTINE = 'R'
} calf_field;

CALF_API calf_status calf_error_status(const calf_error* error);
/* PostgreSQL's primary message, or the library's. Never NULL; lives as long as `error`. */
CALF_API const char* calf_error_message(const calf_error* error);
/* Five characters; for the library's own errors the one that fits best (08006 closed, 57014
 * timeout, 22023 invalid, …). */
CALF_API const char* calf_error_sqlstate(const calf_error* error);
/* One field, or NULL when the report has none; lives as long as `error`. The library's own errors
 * have severity, SQLSTATE, message, and mostly a hint. */
CALF_API const char* calf_error_field(const calf_error* error, calf_field field);
CALF_API void calf_error_free(calf_error* error);

/* ---------------------------------------------------------------- Clusters */

/* A line of PostgreSQL's log, without its line feed; `line` is valid during the call only. Called
 * on a thread of the library, or on one that waits in a call on this cluster. It must be quick, and
 * may not call the library. */
typedef void (*calf_log_function)(void* context, const char* line, size_t size);

/* Puts the next bytes of an archive, at most `size`, into `buffer`, and returns how many; 0 at its
 * end, negative when they cannot be had. Called by the thread that is in calf_open. It may not call
 * the library. */
typedef int64_t (*calf_read_function)(void* context, void* buffer, size_t size);

typedef struct calf_options {
  size_t struct_size;
  /* "memory://" or "memory://name" (gone when closed; the name is for people), a path, or
   * "file://path". A directory is created when it is missing or empty. NULL: "memory://". */
  const char* data_dir;
  /* Settings of PostgreSQL for this run, each "name=value", as of postgres -c; later ones win. */
  const char* const* settings;
  size_t settings_count;
  /* User and database that sessions have unless they say otherwise; made when they are missing (the
   * user as a superuser). NULL: "postgres". */
  const char* user;
  const char* database;
  /* Set as the user's password: for clients that come through calf_listen. NULL: none is set. */
  const char* password;
  /* How clients that come through calf_listen log in: "trust", "password" or "scram-sha-256" for
   * all of them. NULL: as the directory's pg_hba.conf says; a new one trusts Unix sockets and
   * loopback. */
  const char* auth;
  /* CREATE EXTENSION IF NOT EXISTS … CASCADE in `database`: "vector", "pg_trgm", … */
  const char* const* extensions;
  size_t extensions_count;
  calf_log_function log; /* NULL: nowhere */
  void* log_context;
  /* A file of calf_snapshot_save (or of `calf snapshot save`) that the cluster starts with; a
   * directory must be missing or empty then. NULL: none. */
  const char* snapshot;
  /* Instead of a snapshot: a tar archive of a data directory that the cluster starts with, not
   * compressed, as pg_basebackup -Ft -X fetch or tar (of a stopped cluster) makes it; no
   * tablespaces. A directory must be missing or empty then. It is read while calf_open runs, and
   * goes straight to where the data will be. NULL: none. */
  calf_read_function archive;
  void* archive_context;
} calf_options;

/* Starts a cluster and returns when it serves; recovery, if it is needed, is done then. `options`
 * may be NULL. Any thread. Blocks: some 10 ms in memory, longer for a directory, a snapshot or
 * an archive. Errors: INVALID, IN_USE, NOT_FOUND (the snapshot), PERMISSION, CORRUPT, UNSUPPORTED
 * (what is in the archive), IO, RESOURCES, UNAVAILABLE, SQL (extensions, user, database). Close
 * with calf_close. */
CALF_API calf_status calf_open(const calf_options* options, calf_cluster** cluster,
                               calf_error** error);

/* Shuts down: listeners close, sessions end (57P01), a checkpoint is written, locks are released.
 * Handles of sessions that are still open stay valid: calls on them, waiting ones too, get
 * CALF_ERROR_CLOSED, and they are still to be closed. Any thread, once; `cluster` is gone
 * afterwards whatever the status. Blocks: for at most 10 s; a cluster in memory ends at once.
 * Errors: UNAVAILABLE when it did not end in order (the next start recovers; nothing committed is
 * lost). */
CALF_API calf_status calf_close(calf_cluster* cluster, calf_error** error);

typedef struct calf_listen_options {
  size_t struct_size;
  const char* host;          /* TCP address or host name; NULL: no TCP */
  uint16_t port;             /* 0: a free one */
  const char* socket_dir;    /* directory for a Unix socket .s.PGSQL.<port>; NULL: none */
  const char* tls_cert_file; /* PEM; with tls_key_file. NULL: no TLS, but see tls_self_signed */
  const char* tls_key_file;
  int tls_self_signed; /* not 0: TLS with a certificate made now */
} calf_listen_options;

/* Lets drivers of other processes (and of this one) in. `options` NULL: 127.0.0.1 and a free port.
 * An address that other machines can reach needs calf_options.auth "password" or "scram-sha-256",
 * and a password. May be called several times for several addresses. *connection_string, if wanted
 * (may be NULL), is "postgresql://user@host:port/database", without the password, for the TCP
 * address if there is one; free it with calf_free. Any thread; does not wait for clients. Errors:
 * INVALID, IN_USE, PERMISSION, IO. */
CALF_API calf_status calf_listen(calf_cluster* cluster, const calf_listen_options* options,
                                 char** connection_string, calf_error** error);

/* Closes what calf_listen has opened; clients that are connected stay. Any thread. */
CALF_API calf_status calf_stop_listening(calf_cluster* cluster, calf_error** error);

/* ---------------------------------------------------------------- Branches: copies of the database
 * `postgres`, made in milliseconds, that share what neither has changed. A session on one names the
 * database "postgres@branch". Each call runs one function of the schema `calf` in a session of its
 * own as the superuser. Any thread; blocks until it is done. Errors: SQL, CLOSED. */

CALF_API calf_status calf_branch_create(calf_cluster* cluster, const char* name,
                                        calf_error** error);
/* Ends the sessions that are on it. */
CALF_API calf_status calf_branch_drop(calf_cluster* cluster, const char* name, calf_error** error);
/* Makes it what it was when it was created. */
CALF_API calf_status calf_branch_reset(calf_cluster* cluster, const char* name, calf_error** error);
/* One row a branch, columns as those of the SQL function calf.branches(). Free with
 * calf_result_free. */
CALF_API calf_status calf_branch_list(calf_cluster* cluster, calf_result** result,
                                      calf_error** error);

/* ---------------------------------------------------------------- Snapshots */

/* Saves the cluster as it is at one instant, which lies within the call, into one file: portable,
 * compressed and checksummed; all databases, roles and the configuration. What was committed is in
 * it, unlogged tables are empty. Other sessions go on meanwhile. A file that is there is replaced
 * in one step, or stays as it is when the call fails. While it is being saved the cluster has a
 * branch called "snapshot-…". calf_options.snapshot opens it. Any thread; blocks. Errors: INVALID,
 * SQL, PERMISSION, IO, RESOURCES, CLOSED. */
CALF_API calf_status calf_snapshot_save(calf_cluster* cluster, const char* file,
                                        calf_error** error);

/* ---------------------------------------------------------------- Sessions */

/* A NOTICE, WARNING, … for a session: `notice` is read by calf_error_field, and valid during the
 * call only. Called by the thread that is in a call on this session. It may not use the session. */
typedef void (*calf_notice_function)(void* context, const calf_error* notice);

typedef struct calf_session_options {
  size_t struct_size;
  const char* user;     /* NULL: the cluster's */
  const char* database; /* NULL: the cluster's */
  /* Further parameters of the startup packet, each "name=value": application_name, options,
   * search_path, any setting. */
  const char* const* parameters;
  size_t parameters_count;
  int64_t timeout_ms;          /* of the login, and see calf_session_set_timeout. 0 or less: none */
  calf_notice_function notice; /* NULL: dropped */
  void* notice_context;
} calf_session_options;

/* Logs in. No password is asked for: who is in the process owns it; but the session has its user's
 * rights only. `options` may be NULL. Any thread; blocks for some milliseconds. Errors: PERMISSION
 * (28000: no such role), NOT_FOUND (3D000), RESOURCES (53300: max_connections), CLOSED, TIMEOUT,
 * INVALID. Close with calf_session_close. */
CALF_API calf_status calf_session_open(calf_cluster* cluster, const calf_session_options* options,
                                       calf_session** session, calf_error** error);

/* Ends the session: a transaction is rolled back, locks and temporary tables go. Statements,
 * streams and copies of it that are still open become useless (CALF_ERROR_CLOSED) and are still to
 * be closed. A call on it that waits on another thread ends (CLOSED) before this one returns. */
CALF_API void calf_session_close(calf_session* session);

/* How long each later call on the session may wait. When it is over, what runs is cancelled, the
 * transaction fails as it does with statement_timeout, and the call returns CALF_ERROR_TIMEOUT;
 * should PostgreSQL not answer the cancelling within 5 s, the session is closed. 0 or less: no
 * limit. */
CALF_API calf_status calf_session_set_timeout(calf_session* session, int64_t timeout_ms,
                                              calf_error** error);

/* Asks PostgreSQL to cancel what the session runs, which then fails with 57014; nothing happens
 * when nothing runs. Any thread; does not block. */
CALF_API calf_status calf_session_cancel(calf_session* session, calf_error** error);

/* 'I' idle, 'T' in a transaction, 'E' in a failed one, as of the last call; 0 when the session has
 * ended. */
CALF_API char calf_session_transaction(const calf_session* session);
/* pg_backend_pid(). Any thread. */
CALF_API int32_t calf_session_pid(const calf_session* session);
/* What the server has reported: "server_version", "TimeZone", "client_encoding", … or NULL. Valid
 * until the next call on the session. */
CALF_API const char* calf_session_parameter(const calf_session* session, const char* name);

/* ---------------------------------------------------------------- Queries */

#define CALF_TEXT 0 /* values as psql shows them */
#define CALF_BINARY \
  1 /* values as PostgreSQL's send and receive functions have them: big-endian numbers, … */

/* A parameter $n. This struct never changes. */
typedef struct calf_parameter {
  const void* data; /* NULL: SQL NULL */
  size_t size;      /* bytes of data, without a NUL that may follow a text */
  uint32_t type;    /* OID of its type; 0: as the statement says. Ignored for prepared statements */
  int32_t format;   /* CALF_TEXT or CALF_BINARY */
} calf_parameter;

/* Runs one statement with parameters. `parameters` may be NULL if their count, at most 65535, is 0.
 * `result_format` is CALF_TEXT or CALF_BINARY and holds for all columns. The whole result is
 * fetched; for large ones see calf_stream. Errors: SQL, CLOSED, TIMEOUT, INVALID, BUSY, RESOURCES.
 * Free *result with calf_result_free. */
CALF_API calf_status calf_query(calf_session* session, const char* sql,
                                const calf_parameter* parameters, size_t parameter_count,
                                int result_format, calf_result** result, calf_error** error);

/* Runs any number of statements, separated by semicolons, as one transaction (unless they say
 * otherwise); no parameters, values as text. *result is the first one's, and calf_result_next leads
 * to the others; NULL when there was none. When a statement fails, the results of those before it
 * are there besides the error. COPY is refused here (see calf_copy_begin). `result` may be NULL.
 * Errors: as calf_query. Free *result, and the others with it, with calf_result_free. */
CALF_API calf_status calf_execute(calf_session* session, const char* sql, calf_result** result,
                                  calf_error** error);

/* ---------------------------------------------------------------- Prepared statements */

/* Parses and plans `sql` once and describes it: types of its parameters and columns. `types` are
 * OIDs of the first type_count parameters, 0 for those that PostgreSQL shall find out; may be NULL
 * if type_count is 0. Errors: as calf_query. Close with calf_statement_close. */
CALF_API calf_status calf_prepare(calf_session* session, const char* sql, const uint32_t* types,
                                  size_t type_count, calf_statement** statement,
                                  calf_error** error);

/* Runs it: the fastest way. Arguments and errors as calf_query. */
CALF_API calf_status calf_statement_query(calf_statement* statement,
                                          const calf_parameter* parameters, size_t parameter_count,
                                          int result_format, calf_result** result,
                                          calf_error** error);

/* Drops it. It may be closed after its session. */
CALF_API void calf_statement_close(calf_statement* statement);

/* A column of a result. This struct never changes; `name` lives as long as what the column was
 * asked of. */
typedef struct calf_column {
  const char* name;
  uint32_t type;         /* OID */
  int32_t type_modifier; /* as pg_attribute.atttypmod; -1: none */
  int32_t type_size;     /* as pg_type.typlen */
  uint32_t table;        /* OID of the table, or 0 */
  int32_t column_number; /* pg_attribute.attnum in it, or 0 */
  int32_t format;        /* CALF_TEXT or CALF_BINARY */
} calf_column;

/* What calf_prepare has found out. Columns: none for statements that return no rows. */
CALF_API size_t calf_statement_parameter_count(const calf_statement* statement);
CALF_API uint32_t calf_statement_parameter_type(const calf_statement* statement, size_t index);
CALF_API size_t calf_statement_column_count(const calf_statement* statement);
/* All columns as one array; NULL when there are none. */
CALF_API const calf_column* calf_statement_columns(const calf_statement* statement);

/* ---------------------------------------------------------------- Results. Any thread; never fail.
 */

/* A value. This struct never changes. */
typedef struct calf_value {
  const char* data; /* NULL: SQL NULL. Followed by a NUL that `size` does not count */
  size_t size;
} calf_value;

CALF_API size_t calf_result_row_count(const calf_result* result);
CALF_API size_t calf_result_column_count(const calf_result* result);
/* All columns as one array, valid until calf_result_free; NULL when there are none. */
CALF_API const calf_column* calf_result_columns(const calf_result* result);
/* The values of a row, one a column, valid until calf_result_free; NULL when there is no such row.
 */
CALF_API const calf_value* calf_result_row(const calf_result* result, size_t row);
/* One value; NULL for SQL NULL and when there is no such row or column. *size may be NULL. */
CALF_API const char* calf_result_value(const calf_result* result, size_t row, size_t column,
                                       size_t* size);
/* "SELECT 1", "INSERT 0 3", …; "" for an empty query. */
CALF_API const char* calf_result_command_tag(const calf_result* result);
/* The number at the end of the command tag: rows inserted, updated, deleted, selected, copied; -1:
 * it has none. */
CALF_API int64_t calf_result_affected_rows(const calf_result* result);
/* The next statement's result of calf_execute, owned by the first; NULL at the end. */
CALF_API const calf_result* calf_result_next(const calf_result* result);
CALF_API void calf_result_free(calf_result* result);

/* ---------------------------------------------------------------- Streams: results of any size,
 * row by row */

/* Begins a statement, as calf_query. PostgreSQL makes `batch_rows` rows at a time (0: as many as
 * fit into a buffer of a few 100 KB), whenever those before have been taken, so memory stays small.
 * The session is busy with it until it is closed. Errors: as calf_query. Close with
 * calf_stream_close. */
CALF_API calf_status calf_stream_query(calf_session* session, const char* sql,
                                       const calf_parameter* parameters, size_t parameter_count,
                                       int result_format, uint32_t batch_rows, calf_stream** stream,
                                       calf_error** error);
/* The same for a prepared statement. */
CALF_API calf_status calf_stream_statement(calf_statement* statement,
                                           const calf_parameter* parameters, size_t parameter_count,
                                           int result_format, uint32_t batch_rows,
                                           calf_stream** stream, calf_error** error);
/* The next row, one value a column, valid until the next call on the stream. CALF_DONE: there was
 * no further one. Errors: as calf_query; the stream is at its end then. */
CALF_API calf_status calf_stream_next(calf_stream* stream, const calf_value** row,
                                      calf_error** error);
CALF_API size_t calf_stream_column_count(const calf_stream* stream);
CALF_API const calf_column* calf_stream_columns(const calf_stream* stream);
/* After CALF_DONE; "" before. Valid until calf_stream_close. */
CALF_API const char* calf_stream_command_tag(const calf_stream* stream);
/* Ends the statement, wherever it is. With batch_rows 0 a result that was not fetched to its end is
 * cancelled, which fails the transaction that it is in; otherwise nothing fails. */
CALF_API void calf_stream_close(calf_stream* stream);

/* ---------------------------------------------------------------- COPY */

/* Begins `sql`, which must be one COPY … FROM STDIN or COPY … TO STDOUT. The session is busy with
 * it until it has ended. Errors: as calf_query; INVALID when it was not a COPY (it has run then).
 * End with calf_copy_end. */
CALF_API calf_status calf_copy_begin(calf_session* session, const char* sql, calf_copy** copy,
                                     calf_error** error);
/* Not 0: FROM STDIN, to be written; 0: TO STDOUT, to be read. */
CALF_API int calf_copy_is_in(const calf_copy* copy);
CALF_API size_t calf_copy_column_count(const calf_copy* copy);
/* CALF_TEXT (also for CSV) or CALF_BINARY. */
CALF_API int calf_copy_format(const calf_copy* copy);
/* Sends data of any size, cut anywhere. Blocks while PostgreSQL has not taken what came before.
 * Errors: SQL, as soon as PostgreSQL has refused something (then only calf_copy_end is left),
 * CLOSED, TIMEOUT, INVALID, BUSY. */
CALF_API calf_status calf_copy_write(calf_copy* copy, const void* data, size_t size,
                                     calf_error** error);
/* The next piece, mostly one row; valid until the next call on the copy. CALF_DONE: there was no
 * further one. */
CALF_API calf_status calf_copy_read(calf_copy* copy, const void** data, size_t* size,
                                    calf_error** error);
/* Ends and frees it. FROM STDIN: `failure` NULL completes it, otherwise it fails with this message
 * and nothing is stored. TO STDOUT before its end: it is cancelled. *result (may be NULL) has the
 * command tag; free with calf_result_free. `copy` is gone whatever the status. Errors: SQL, CLOSED,
 * TIMEOUT, BUSY (then it is not gone). */
CALF_API calf_status calf_copy_end(calf_copy* copy, const char* failure, calf_result** result,
                                   calf_error** error);

/* ---------------------------------------------------------------- Notifications (LISTEN on the
 * session first) */

/* This struct never changes. */
typedef struct calf_notification {
  const char* channel;
  const char* payload; /* "" without one */
  int32_t pid;         /* of the session that sent it */
} calf_notification;

/* The oldest notification that has not been taken; waits for one for up to timeout_ms (0: does not
 * wait; negative: for ever). Those that come during other calls are kept for this one. The strings
 * are valid until the next call on the session. CALF_DONE: none came. Errors: CLOSED, INVALID,
 * BUSY. */
CALF_API calf_status calf_session_next_notification(calf_session* session, int64_t timeout_ms,
                                                    calf_notification* notification,
                                                    calf_error** error);

/* A descriptor for event loops (poll, epoll, select, libuv): readable when something has come for
 * the session while no call was waiting; then call calf_session_next_notification with timeout 0
 * until CALF_DONE, which makes it unreadable again. Only wait for it: do not read or close it. It
 * belongs to the session; -1 when there is none. */
CALF_API int calf_session_descriptor(calf_session* session);

/* ---------------------------------------------------------------- The wire protocol */

/* Receives bytes of the backend; `data` is valid during the call only. Not 0 ends the call that it
 * is called from. It may not use the session. */
typedef int (*calf_bytes_function)(void* context, const void* data, size_t size);

/* Sends whole messages of the frontend on a session and hands everything that PostgreSQL answers to
 * them to `receive`: up to ReadyForQuery when they end with Query, Sync or FunctionCall, or to
 * CopyInResponse; otherwise a Flush is sent behind them, and the answer to the last one is waited
 * for. Terminate and startup packets are refused. Errors of SQL are part of the answer, not of the
 * status. NoticeResponse, ParameterStatus and NotificationResponse are handed over too, and go
 * their usual ways besides. When `receive` ends the call, the rest is dropped and CALF_DONE
 * returned. Errors: CLOSED, TIMEOUT, INVALID (not whole messages), BUSY. */
CALF_API calf_status calf_session_exchange(calf_session* session, const void* messages, size_t size,
                                           calf_bytes_function receive, void* context,
                                           calf_error** error);

/* A connection as a socket would be: bytes both ways, beginning with a startup packet (SSLRequest
 * and GSSENCRequest are answered 'N'). Nobody is asked for a password. One thread may send while
 * another one receives. Any thread; does not block. Errors: CLOSED, RESOURCES. Close with
 * calf_wire_close. */
CALF_API calf_status calf_wire_open(calf_cluster* cluster, calf_wire** wire, calf_error** error);
/* Sends some of `data` (at least a byte unless size is 0), waiting up to timeout_ms for room
 * (negative: for ever). *sent says how many. Errors: TIMEOUT, CLOSED (what the backend said last
 * can still be received), CORRUPT (no startup packet), INVALID, BUSY (another thread is sending).
 */
CALF_API calf_status calf_wire_send(calf_wire* wire, const void* data, size_t size,
                                    int64_t timeout_ms, size_t* sent, calf_error** error);
/* Receives at most `size` bytes, waiting up to timeout_ms for the first one. *received says how
 * many. With timeout_ms 0 it takes what is there and runs nothing: what a send has asked for comes
 * later, when the cluster's own thread has answered (calf_wire_descriptor tells); a timeout, even
 * of 1 ms, lets the calling thread run the session, and is quicker. CALF_DONE: the backend has
 * closed, and everything was received. Errors: TIMEOUT (nothing came; call again), INVALID, BUSY.
 */
CALF_API calf_status calf_wire_receive(calf_wire* wire, void* data, size_t size, int64_t timeout_ms,
                                       size_t* received, calf_error** error);
/* Sends what there is room for (*sent: none of it is fine, too), then receives as calf_wire_receive
 * does. The fastest way to ask and wait for the answer: the calling thread runs the session, rather
 * than wake another one. Errors: as calf_wire_receive; that a backend has closed is known by
 * CALF_DONE. */
CALF_API calf_status calf_wire_exchange(calf_wire* wire, const void* data, size_t size,
                                        size_t* sent, void* buffer, size_t capacity,
                                        int64_t timeout_ms, size_t* received, calf_error** error);
/* As calf_session_descriptor: readable when bytes have come or the backend has closed; unreadable
 * again when calf_wire_receive with timeout 0 returns CALF_ERROR_TIMEOUT. */
CALF_API int calf_wire_descriptor(calf_wire* wire);
/* Cancels what the session runs, as calf_session_cancel; nothing happens before it has logged in.
 * Any thread. */
CALF_API calf_status calf_wire_cancel(calf_wire* wire, calf_error** error);
/* Ends it. Calls that wait on other threads return before this one does. */
CALF_API void calf_wire_close(calf_wire* wire);

#ifdef __cplusplus
}
#endif

#endif /* CALF_CALF_H */
