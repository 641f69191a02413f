import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.net.URI;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

/** Scenarios for pgjdbc. */
public final class Client {
  interface Scenario {
    void run(Connection connection) throws Exception;
  }

  static final ExecutorService THREADS = Executors.newCachedThreadPool();
  static String url;

  static Connection connect() throws SQLException {
    return DriverManager.getConnection(url);
  }

  static void same(Object got, Object wanted) {
    if (!Objects.deepEquals(got, wanted)) throw new AssertionError(got + " is not " + wanted);
  }

  static void report(String test, Scenario scenario) {
    String detail = "";
    Future<?> running = THREADS.submit(() -> {
      try (Connection connection = connect()) {
        scenario.run(connection);
      }
      return null;
    });
    try {
      running.get(30, TimeUnit.SECONDS);
    } catch (Exception error) {
      Throwable cause = error.getCause() == null ? error : error.getCause();
      detail = cause.toString().replaceAll("[\"\\\\\\p{Cntrl}]", " ");
    }
    System.out.println("{\"test\": \"" + test + "\", \"ok\": " + detail.isEmpty() + ", \"detail\": \"" + detail + "\"}");
    System.out.flush();
  }

  static void exec(Connection connection, String... statements) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String each : statements) statement.execute(each);
    }
  }

  static Object value(Connection connection, String query) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
      rows.next();
      return rows.getObject(1);
    }
  }

  static void typedRoundTrip(Connection c) throws Exception {
    exec(c, "create table typed (n numeric, t timestamptz, j jsonb, b bytea, u uuid, a int[], x text, f float8, o bool)");
    byte[] bytes = new byte[256];
    for (int i = 0; i < 256; i++) bytes[i] = (byte) i;
    BigDecimal number = new BigDecimal("12345678901234567890.123456789");
    OffsetDateTime moment = OffsetDateTime.ofInstant(Instant.parse("2026-02-28T23:59:59.123456Z"), ZoneOffset.UTC);
    UUID name = UUID.fromString("01234567-89ab-cdef-0123-456789abcdef");
    // Eight rounds: after five executions the driver prepares on the server and turns to binary.
    for (int round = 0; round < 8; round++) {
      exec(c, "truncate typed");
      try (PreparedStatement insert = c.prepareStatement("insert into typed values (?, ?, ?::jsonb, ?, ?, ?, ?, ?, ?)")) {
        insert.setBigDecimal(1, number);
        insert.setObject(2, moment);
        insert.setString(3, "{\"a\": [1, null]}");
        insert.setBytes(4, bytes);
        insert.setObject(5, name);
        insert.setArray(6, c.createArrayOf("int4", new Integer[] {1, null, 3}));
        insert.setString(7, null);
        insert.setDouble(8, 0.1);
        insert.setBoolean(9, true);
        same(insert.executeUpdate(), 1);
      }
      try (PreparedStatement select = c.prepareStatement("select * from typed"); ResultSet row = select.executeQuery()) {
        row.next();
        same(row.getBigDecimal(1), number);
        same(row.getObject(2, OffsetDateTime.class).toInstant(), moment.toInstant());
        same(row.getString(3), "{\"a\": [1, null]}");
        same(row.getBytes(4), bytes);
        same(row.getObject(5), name);
        Array array = row.getArray(6);
        same(array.getArray(), new Integer[] {1, null, 3});
        same(row.getString(7), null);
        same(row.getDouble(8), 0.1);
        same(row.getBoolean(9), true);
      }
    }
  }

  static void preparedStatements(Connection c) throws Exception {
    try (PreparedStatement twice = c.prepareStatement("select ?::int * 2")) {
      for (int n = 0; n < 100; n++) {
        twice.setInt(1, n);
        try (ResultSet row = twice.executeQuery()) {
          row.next();
          same(row.getInt(1), n * 2);
        }
      }
    }
    same(((Long) value(c, "select count(*) from pg_prepared_statements")) > 0, true);
  }

  static void transactionRollback(Connection c) throws Exception {
    exec(c, "create table tx (n int)");
    c.setAutoCommit(false);
    exec(c, "insert into tx values (1)");
    c.rollback();
    exec(c, "insert into tx values (2)");
    java.sql.Savepoint here = c.setSavepoint();
    exec(c, "insert into tx values (3)");
    c.rollback(here);
    c.commit();
    c.setAutoCommit(true);
    same(value(c, "select sum(n) from tx"), 2L);
    c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
    same(value(c, "show transaction_isolation"), "serializable");
  }

  static void uniqueViolation(Connection c) throws Exception {
    exec(c, "create table once (n int primary key)", "insert into once values (1)");
    try {
      exec(c, "insert into once values (1)");
    } catch (SQLException error) {
      same(error.getSQLState(), "23505");
      same(value(c, "select 1"), 1);
      return;
    }
    throw new AssertionError("no error");
  }

  static void copyInOut(Connection c) throws Exception {
    exec(c, "create table copied (n int, x text)");
    StringBuilder lines = new StringBuilder();
    for (int n = 0; n < 10000; n++) lines.append(n).append("\trow ").append(n).append('\n');
    CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
    same(copy.copyIn("copy copied from stdin", new StringReader(lines.toString())), 10000L);
    StringWriter out = new StringWriter();
    copy.copyOut("copy copied to stdout", out);
    same(out.toString(), lines.toString());
  }

  static void listenNotify(Connection c) throws Exception {
    exec(c, "listen ch");
    try (Connection other = connect()) {
      exec(other, "notify ch, 'hi'");
    }
    PGNotification[] got = c.unwrap(PGConnection.class).getNotifications(5000);
    same(got != null && got.length == 1 && got[0].getParameter().equals("hi"), true);
  }

  static void cancel(Connection c) throws Exception {
    try (Statement statement = c.createStatement()) {
      THREADS.submit(() -> {
        Thread.sleep(300);
        statement.cancel();
        return null;
      });
      statement.execute("select pg_sleep(20)");
    } catch (SQLException error) {
      same(error.getSQLState(), "57014");
      return;
    }
    throw new AssertionError("not cancelled");
  }

  static void concurrentSessions(Connection c) throws Exception {
    exec(c, "create table counter (n int)", "insert into counter values (0)");
    List<Callable<Void>> work = new ArrayList<>();
    for (int worker = 0; worker < 8; worker++) {
      work.add(() -> {
        try (Connection mine = connect()) {
          for (int n = 0; n < 20; n++) exec(mine, "update counter set n = n + 1");
        }
        return null;
      });
    }
    for (Future<Void> each : THREADS.invokeAll(work)) each.get();
    same(value(c, "select n from counter"), 160);
  }

  static void pipelineBatch(Connection c) throws Exception {
    exec(c, "create table batch (n int)");
    try (PreparedStatement insert = c.prepareStatement("insert into batch values (?)")) {
      for (int n = 0; n < 500; n++) {
        insert.setInt(1, n);
        insert.addBatch();
      }
      same(Arrays.stream(insert.executeBatch()).sum(), 500);
    }
    same(value(c, "select sum(n)::int from batch"), 124750);
    c.setAutoCommit(false);
    try (Statement statement = c.createStatement()) {
      statement.setFetchSize(100); // a portal, fetched in pieces
      int count = 0;
      try (ResultSet rows = statement.executeQuery("select n from batch")) {
        while (rows.next()) count++;
      }
      same(count, 500);
    }
    c.commit();
    c.setAutoCommit(true);
    try (ResultSet columns = c.getMetaData().getColumns(null, "public", "batch", null)) {
      same(columns.next() && columns.getString("TYPE_NAME").equals("int4"), true);
    }
  }

  public static void main(String[] arguments) throws Exception {
    URI address = new URI(System.getenv("DATABASE_URL"));
    url = "jdbc:postgresql://" + address.getHost() + ":" + address.getPort() + address.getPath() + "?user=postgres&loginTimeout=10";
    report("typed_round_trip", Client::typedRoundTrip);
    report("prepared_statements", Client::preparedStatements);
    report("transaction_rollback", Client::transactionRollback);
    report("unique_violation", Client::uniqueViolation);
    report("copy_in_out", Client::copyInOut);
    report("listen_notify", Client::listenNotify);
    report("cancel", Client::cancel);
    report("concurrent_sessions", Client::concurrentSessions);
    report("pipeline_batch", Client::pipelineBatch);
    THREADS.shutdownNow();
  }
}
