import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.UUID;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** A database for each test: a branch of one that has the schema. With @RegisterExtension. */
public final class TestDatabase implements BeforeEachCallback, AfterEachCallback {
  private static final String SCHEMA =
      "create table users (id serial primary key, name text unique not null)";
  private static Connection template;

  private String branch;
  private Connection connection;

  /** A session in this test's database. */
  public Connection connection() {
    return connection;
  }

  @Override
  public void beforeEach(ExtensionContext context) throws SQLException {
    branch = "test-" + UUID.randomUUID();
    connection = connect(branch(template(), "branch", branch));
  }

  @Override
  public void afterEach(ExtensionContext context) throws SQLException {
    connection.close();
    branch(template(), "drop_branch", branch);
  }

  private static synchronized Connection template() throws SQLException {
    if (template == null) {
      try (Connection server = connect(System.getenv("PGDATABASE"))) {
        template = connect(branch(server, "branch", "template-" + UUID.randomUUID()));
      }
      template.createStatement().execute(SCHEMA);
    }
    return template;
  }

  // PGHOST and PGPORT come from calf serve --run.
  private static Connection connect(String database) throws SQLException {
    String place = System.getenv("PGHOST") + ":" + System.getenv("PGPORT");
    String url = "jdbc:postgresql://" + place + "/" + database.replace("@", "%40");
    return DriverManager.getConnection(url, System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
  }

  // One session makes all branches: one at a time.
  private static synchronized String branch(Connection in, String function, String name)
      throws SQLException {
    try (PreparedStatement call = in.prepareStatement("select calf." + function + "(?)")) {
      call.setString(1, name);
      var row = call.executeQuery();
      row.next();
      return row.getString(1);
    }
  }
}
