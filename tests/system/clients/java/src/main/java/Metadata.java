import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** pgjdbc's DatabaseMetaData: what tools ask of a database that they see for the first time. */
public final class Metadata {
  static void check(String what, Object got, Object wanted) {
    if (!wanted.equals(got)) throw new AssertionError(what + ": " + got + " instead of " + wanted);
  }

  /** Some columns of each row, with '/' between them. */
  static List<String> rows(ResultSet result, String... columns) throws SQLException {
    List<String> rows = new ArrayList<>();
    while (result.next()) {
      List<String> values = new ArrayList<>();
      for (String column : columns) values.add(result.getString(column));
      rows.add(String.join("/", values));
    }
    result.close();
    return rows;
  }

  public static void main(String[] arguments) throws SQLException {
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/postgres?user=postgres";
    try (Connection connection = DriverManager.getConnection(url); Statement statement = connection.createStatement()) {
      statement.execute("create type mood as enum ('sad', 'happy')");
      statement.execute("create table customer (id serial primary key, name varchar(40) not null unique, mood mood default 'sad', note text)");
      statement.execute("create table orders (customer_id int references customer on delete cascade, number int, total numeric(10, 2) default 0,"
          + " at timestamptz, tags text[], primary key (customer_id, number))");
      statement.execute("create index orders_total on orders (total desc, number)");
      statement.execute("create view big as select * from orders where total > 100");
      statement.execute("comment on table customer is 'who buys'");
      statement.execute("comment on column customer.note is 'anything'");
      DatabaseMetaData meta = connection.getMetaData();
      check("product", meta.getDatabaseProductName(), "PostgreSQL");
      check("tables", rows(meta.getTables(null, "public", "%", new String[] {"TABLE", "VIEW"}), "TABLE_NAME", "TABLE_TYPE", "REMARKS").toString(),
          "[customer/TABLE/who buys, orders/TABLE/null, big/VIEW/null]");
      check("columns", rows(meta.getColumns(null, "public", "customer", null), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE", "NULLABLE", "IS_AUTOINCREMENT", "REMARKS")
              .toString(),
          "[id/serial/10/0/YES/null, name/varchar/40/0/NO/null, mood/mood/2147483647/1/NO/null, note/text/2147483647/1/NO/anything]");
      check("types", rows(meta.getColumns(null, "public", "orders", null), "DATA_TYPE", "DECIMAL_DIGITS").toString(), "[4/0, 4/0, 2/2, 93/6, 2003/0]");
      check("key", rows(meta.getPrimaryKeys(null, "public", "orders"), "COLUMN_NAME", "KEY_SEQ", "PK_NAME").toString(),
          "[customer_id/1/orders_pkey, number/2/orders_pkey]");
      check("indexes", rows(meta.getIndexInfo(null, "public", "orders", false, false), "INDEX_NAME", "NON_UNIQUE", "ORDINAL_POSITION", "COLUMN_NAME", "ASC_OR_DESC")
              .toString(),
          "[orders_pkey/f/1/customer_id/A, orders_pkey/f/2/number/A, orders_total/t/1/total/D, orders_total/t/2/number/A]");
      check("imported", rows(meta.getImportedKeys(null, "public", "orders"), "PKTABLE_NAME", "PKCOLUMN_NAME", "FKCOLUMN_NAME", "DELETE_RULE", "FK_NAME").toString(),
          "[customer/id/customer_id/0/orders_customer_id_fkey]");
      check("exported", rows(meta.getExportedKeys(null, "public", "customer"), "FKTABLE_NAME", "KEY_SEQ").toString(), "[orders/1]");
      check("schemas", rows(meta.getSchemas(), "TABLE_SCHEM").contains("public"), true);
      check("catalogs", rows(meta.getCatalogs(), "TABLE_CAT").contains("postgres"), true);
      check("row identifier", rows(meta.getBestRowIdentifier(null, "public", "customer", 0, true), "COLUMN_NAME").toString(), "[id]");
      check("types known", rows(meta.getTypeInfo(), "TYPE_NAME").contains("int4"), true);
      check("privileges", rows(meta.getTablePrivileges(null, "public", "customer"), "PRIVILEGE").isEmpty(), false);
      check("functions", rows(meta.getFunctions(null, "pg_catalog", "lower"), "FUNCTION_NAME").contains("lower"), true);

      PreparedStatement insert = connection.prepareStatement("insert into customer (name) values (?)", Statement.RETURN_GENERATED_KEYS);
      connection.setAutoCommit(false);
      for (int n = 0; n < 250; n++) {
        insert.setString(1, "customer " + n);
        insert.addBatch();
      }
      check("batch", insert.executeBatch().length, 250);
      connection.commit();
      ResultSet keys = insert.getGeneratedKeys();
      check("generated", keys.next() && keys.getInt("id") == 1, true);
      PreparedStatement select = connection.prepareStatement("select id, name, mood from customer where id > ? order by id");
      select.setFetchSize(40);
      for (int round = 0; round < 8; round++) { // the driver changes to prepared statements and binary values in between
        select.setInt(1, 100);
        int count = 0;
        ResultSet result = select.executeQuery();
        while (result.next()) check("mood", result.getString("mood") + result.getInt(1), "sad" + (101 + count++));
        check("rows", count, 150);
      }
      check("described", select.getMetaData().getColumnTypeName(3) + select.getParameterMetaData().getParameterTypeName(1), "moodint4");
      connection.rollback();
    }
  }
}
