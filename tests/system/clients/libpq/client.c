/* Scenarios for libpq, in C. */
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char* url;
static char detail[512];

/* A scenario returns 1 when all went well, otherwise 0 with the reason in `detail`. */
#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) {                                                             \
      if (!detail[0]) snprintf(detail, sizeof detail, "%s", #condition);            \
      return 0;                                                                     \
    }                                                                               \
  } while (0)

static PGconn* connect_new(void) {
  PGconn* connection = PQconnectdb(url);
  if (PQstatus(connection) != CONNECTION_OK) snprintf(detail, sizeof detail, "%s", PQerrorMessage(connection));
  return connection;
}

static int exec_ok(PGconn* connection, const char* sql) {
  PGresult* result = PQexec(connection, sql);
  ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) snprintf(detail, sizeof detail, "%s", PQerrorMessage(connection));
  PQclear(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The single value of a query as an integer; -1 for an error. */
static long value(PGconn* connection, const char* sql) {
  PGresult* result = PQexec(connection, sql);
  long number = PQresultStatus(result) == PGRES_TUPLES_OK ? atol(PQgetvalue(result, 0, 0)) : -1;
  PQclear(result);
  return number;
}

static int has_sqlstate(PGresult* result, const char* state) {
  const char* got = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  int equal = got && strcmp(got, state) == 0;
  if (!equal) snprintf(detail, sizeof detail, "SQLSTATE %s instead of %s", got ? got : "(none)", state);
  PQclear(result);
  return equal;
}

static int typed_round_trip(PGconn* c) {
  CHECK(exec_ok(c, "create table typed (n numeric, t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool)"));
  CHECK(exec_ok(c, "set timezone = 'UTC'"));
  unsigned char all[256];
  for (int i = 0; i < 256; i++) all[i] = (unsigned char)i;
  const char* values[] = {"12345678901234567890.123456789", "2026-02-28 23:59:59.123456+00", "{\"a\": [1, null]}", (const char*)all,
                          "01234567-89ab-cdef-0123-456789abcdef", "{1,NULL,3}", NULL, "0.1", "t"};
  const int lengths[] = {0, 0, 0, sizeof all, 0, 0, 0, 0, 0}, formats[] = {0, 0, 0, 1, 0, 0, 0, 0, 0};
  PGresult* result = PQexecParams(c, "insert into typed values ($1,$2,$3,$4,$5,$6,$7,$8,$9)", 9, NULL, values, lengths, formats, 0);
  CHECK(PQresultStatus(result) == PGRES_COMMAND_OK && strcmp(PQcmdTuples(result), "1") == 0);
  PQclear(result);
  result = PQexec(c, "select * from typed");
  for (int column = 0; column < 9; column++) {
    if (column == 3) continue;
    CHECK(PQgetisnull(result, 0, column) == (values[column] == NULL));
    if (values[column]) CHECK(strcmp(PQgetvalue(result, 0, column), values[column]) == 0);
  }
  PQclear(result);
  result = PQexecParams(c, "select b from typed", 0, NULL, NULL, NULL, NULL, 1);
  CHECK(PQgetlength(result, 0, 0) == 256 && memcmp(PQgetvalue(result, 0, 0), all, 256) == 0);
  PQclear(result);
  return 1;
}

static int prepared_statements(PGconn* c) {
  PGresult* result = PQprepare(c, "twice", "select $1::int * 2", 0, NULL);
  CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
  PQclear(result);
  result = PQdescribePrepared(c, "twice");
  CHECK(PQnparams(result) == 1 && PQparamtype(result, 0) == 23 && PQftype(result, 0) == 23);
  PQclear(result);
  for (int n = 0; n < 100; n++) {
    char text[16];
    snprintf(text, sizeof text, "%d", n);
    const char* values[] = {text};
    result = PQexecPrepared(c, "twice", 1, values, NULL, NULL, 0);
    CHECK(atoi(PQgetvalue(result, 0, 0)) == n * 2);
    PQclear(result);
  }
  return 1;
}

static int transaction_rollback(PGconn* c) {
  CHECK(exec_ok(c, "create table tx (n int)"));
  CHECK(exec_ok(c, "begin") && exec_ok(c, "insert into tx values (1)"));
  CHECK(PQtransactionStatus(c) == PQTRANS_INTRANS);
  CHECK(exec_ok(c, "rollback") && exec_ok(c, "begin; insert into tx values (2); commit"));
  CHECK(PQtransactionStatus(c) == PQTRANS_IDLE);
  CHECK(value(c, "select sum(n) from tx") == 2);
  return 1;
}

static int unique_violation(PGconn* c) {
  CHECK(exec_ok(c, "create table once (n int primary key); insert into once values (1)"));
  CHECK(has_sqlstate(PQexec(c, "insert into once values (1)"), "23505"));
  CHECK(value(c, "select 1") == 1);
  return 1;
}

static int copy_in_out(PGconn* c) {
  CHECK(exec_ok(c, "create table copied (n int, x text)"));
  PGresult* result = PQexec(c, "copy copied from stdin");
  CHECK(PQresultStatus(result) == PGRES_COPY_IN);
  PQclear(result);
  for (int n = 0; n < 10000; n++) {
    char line[64];
    int length = snprintf(line, sizeof line, "%d\trow %d\n", n, n);
    CHECK(PQputCopyData(c, line, length) == 1);
  }
  CHECK(PQputCopyEnd(c, NULL) == 1);
  while ((result = PQgetResult(c))) {
    CHECK(PQresultStatus(result) == PGRES_COMMAND_OK);
    PQclear(result);
  }
  result = PQexec(c, "copy copied to stdout");
  CHECK(PQresultStatus(result) == PGRES_COPY_OUT);
  PQclear(result);
  char* line;
  int count = 0;
  while (PQgetCopyData(c, &line, 0) > 0) {
    count++;
    PQfreemem(line);
  }
  while ((result = PQgetResult(c))) PQclear(result);
  CHECK(count == 10000);
  return 1;
}

static int listen_notify(PGconn* c) {
  PGconn* other = connect_new();
  CHECK(exec_ok(other, "listen ch") && exec_ok(c, "notify ch, 'hi'"));
  PGnotify* notification = NULL;
  for (int tries = 0; tries < 50 && !notification; tries++) {
    struct pollfd wait = {PQsocket(other), POLLIN, 0};
    poll(&wait, 1, 100);
    CHECK(PQconsumeInput(other));
    notification = PQnotifies(other);
  }
  CHECK(notification && strcmp(notification->extra, "hi") == 0 && notification->be_pid == PQbackendPID(c));
  PQfreemem(notification);
  PQfinish(other);
  return 1;
}

static void* cancel_soon(void* handle) {
  char reason[256];
  usleep(300 * 1000);
  PQcancel(handle, reason, sizeof reason);
  return NULL;
}

static int cancel(PGconn* c) {
  pthread_t thread;
  PGcancel* handle = PQgetCancel(c);
  pthread_create(&thread, NULL, cancel_soon, handle);
  PGresult* result = PQexec(c, "select pg_sleep(20)");
  pthread_join(thread, NULL);
  PQfreeCancel(handle);
  CHECK(has_sqlstate(result, "57014"));
  CHECK(value(c, "select 1") == 1);
  return 1;
}

static void* add_twenty(void* failed) {
  PGconn* mine = connect_new();
  for (int n = 0; n < 20; n++)
    if (!exec_ok(mine, "update counter set n = n + 1")) *(int*)failed = 1;
  PQfinish(mine);
  return NULL;
}

static int concurrent_sessions(PGconn* c) {
  CHECK(exec_ok(c, "create table counter (n int); insert into counter values (0)"));
  pthread_t threads[8];
  int failed = 0;
  for (int n = 0; n < 8; n++) pthread_create(&threads[n], NULL, add_twenty, &failed);
  for (int n = 0; n < 8; n++) pthread_join(threads[n], NULL);
  CHECK(!failed);
  CHECK(value(c, "select n from counter") == 160);
  return 1;
}

static int pipeline_batch(PGconn* c) {
  CHECK(exec_ok(c, "create table batch (n int)"));
  CHECK(PQenterPipelineMode(c));
  for (int n = 0; n < 500; n++) {
    char text[16];
    snprintf(text, sizeof text, "%d", n);
    const char* values[] = {text};
    CHECK(PQsendQueryParams(c, "insert into batch values ($1)", 1, NULL, values, NULL, NULL, 0));
  }
  CHECK(PQpipelineSync(c));
  int done = 0, synced = 0;
  while (!synced) {
    PGresult* result = PQgetResult(c);
    if (!result) continue;
    if (PQresultStatus(result) == PGRES_COMMAND_OK) done++;
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) return 0;
    synced = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
  }
  CHECK(PQexitPipelineMode(c));
  CHECK(done == 500 && value(c, "select sum(n) from batch") == 124750);
  /* Single-row mode. */
  CHECK(PQsendQuery(c, "select n from batch") && PQsetSingleRowMode(c));
  int rows = 0;
  PGresult* result;
  while ((result = PQgetResult(c))) {
    rows += PQresultStatus(result) == PGRES_SINGLE_TUPLE;
    PQclear(result);
  }
  CHECK(rows == 500);
  return 1;
}

static void report(const char* name, int (*scenario)(PGconn*)) {
  detail[0] = 0;
  alarm(30);
  PGconn* connection = connect_new();
  int ok = PQstatus(connection) == CONNECTION_OK && scenario(connection);
  PQfinish(connection);
  for (char* p = detail; *p; p++)
    if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ') *p = ' ';
  printf("{\"test\": \"%s\", \"ok\": %s, \"detail\": \"%s\"}\n", name, ok ? "true" : "false", ok ? "" : detail);
  fflush(stdout);
}

int main(void) {
  url = getenv("DATABASE_URL");
  report("typed_round_trip", typed_round_trip);
  report("prepared_statements", prepared_statements);
  report("transaction_rollback", transaction_rollback);
  report("unique_violation", unique_violation);
  report("copy_in_out", copy_in_out);
  report("listen_notify", listen_notify);
  report("cancel", cancel);
  report("concurrent_sessions", concurrent_sessions);
  report("pipeline_batch", pipeline_batch);
  return 0;
}
