/* A database in this process, from C: tables, parameters, an error, COPY, a result read row by row.
 *
 *     cc notes.c $(pkg-config --cflags --libs calf) -o notes && ./notes [DIRECTORY]
 */
#include <calf/calf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with what went wrong. */
static void check(calf_status status, calf_error *error) {
  if (status == CALF_OK || status == CALF_DONE) return;
  fprintf(stderr, "error %s: %s\n", calf_error_sqlstate(error), calf_error_message(error));
  exit(1);
}

static void add_note(calf_statement *insert, const char *text, calf_error **error) {
  const calf_parameter parameter = {.data = text, .size = strlen(text), .format = CALF_TEXT};
  calf_result *result;
  check(calf_statement_query(insert, &parameter, 1, CALF_TEXT, &result, error), *error);
  printf("note %s\n", calf_result_value(result, 0, 0, NULL));
  calf_result_free(result);
}

static void print_notes(calf_session *session, calf_error **error) {
  calf_stream *stream;
  const calf_value *row;
  calf_status status;
  check(calf_stream_query(session, "select id, words from note order by id", NULL, 0, CALF_TEXT, 100, &stream, error),
        *error);
  while ((status = calf_stream_next(stream, &row, error)) == CALF_OK) printf("%s: %s\n", row[0].data, row[1].data);
  check(status, *error);
  calf_stream_close(stream);
}

int main(int count, char **arguments) {
  calf_error *error = NULL;
  calf_cluster *cluster;
  calf_session *session;
  calf_statement *insert;
  calf_copy *copy;
  const char lines[] = "copied\nalso copied\n";
  calf_options options = {.struct_size = sizeof options, .data_dir = count > 1 ? arguments[1] : "memory://"};

  check(calf_open(&options, &cluster, &error), error);
  check(calf_session_open(cluster, NULL, &session, &error), error);
  check(calf_execute(session, "create table note (id int generated always as identity, words text not null)", NULL, &error),
        error);

  check(calf_prepare(session, "insert into note (words) values ($1) returning id", NULL, 0, &insert, &error), error);
  add_note(insert, "one", &error);
  add_note(insert, "two", &error);
  calf_statement_close(insert);

  if (calf_execute(session, "insert into note (words) values (null)", NULL, &error) == CALF_ERROR_SQL) {
    printf("refused: %s (column %s)\n", calf_error_sqlstate(error), calf_error_field(error, CALF_FIELD_COLUMN));
    calf_error_free(error);
  }

  check(calf_copy_begin(session, "copy note (words) from stdin", &copy, &error), error);
  check(calf_copy_write(copy, lines, strlen(lines), &error), error);
  check(calf_copy_end(copy, NULL, NULL, &error), error);

  print_notes(session, &error);
  calf_session_close(session);
  check(calf_close(cluster, &error), error);
  return 0;
}
