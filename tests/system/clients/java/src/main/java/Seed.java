import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** The example that the sqlite engine was first written for. */
public final class Seed {
  public static void main(String[] arguments) throws SQLException {
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/myapp";
    Properties props = new Properties();
    props.setProperty("user", "postgres");
    props.setProperty("password", System.getenv("PGPASSWORD"));

    Connection conn = DriverManager.getConnection(url, props);

    // Create table
    Statement stmt = conn.createStatement();
    stmt.executeUpdate("CREATE TABLE IF NOT EXISTS items (id INT PRIMARY KEY, name TEXT)");

    // Transaction
    conn.setAutoCommit(false);
    try {
      PreparedStatement pstmt = conn.prepareStatement("INSERT INTO items VALUES (?, ?)");
      pstmt.setInt(1, 1);
      pstmt.setString(2, "Item 1");
      pstmt.executeUpdate();
      conn.commit();
    } catch (SQLException e) {
      conn.rollback();
      throw e;
    }

    conn.close();
  }
}
