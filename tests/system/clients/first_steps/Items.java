import java.sql.*;

String url = "jdbc:postgresql://localhost:5432/myapp";
Properties props = new Properties();
props.setProperty("user", "postgres");
props.setProperty("password", "mysecretpassword");

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
