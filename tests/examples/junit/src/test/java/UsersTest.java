import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.sql.SQLException;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class UsersTest {
  @RegisterExtension final TestDatabase database = new TestDatabase();

  @Test
  void theTableIsEmpty() throws SQLException {
    assertEquals(0, number("select count(*) from users"));
  }

  @RepeatedTest(3)
  void everyTestHasItsOwnAda() throws SQLException {
    assertEquals(1, number("insert into users (name) values ('Ada') returning id"));
    assertThrows(SQLException.class, () -> number("insert into users (name) values ('Ada')"));
  }

  private int number(String sql) throws SQLException {
    var row = database.connection().createStatement().executeQuery(sql);
    row.next();
    return row.getInt(1);
  }
}
