defmodule UsersTest do
  use Calf.Case, async: true

  test "the table is empty", %{database: database} do
    assert Calf.query(database, "select count(*) from users") == {:ok, "0"}
  end

  for attempt <- 1..3 do
    test "every test has its own Ada, #{attempt}", %{database: database} do
      ada = "insert into users (name) values ('Ada') returning id"
      assert Calf.query(database, ada) == {:ok, "1"}
      assert {:error, message} = Calf.query(database, ada)
      assert message =~ "users_name_key"
    end
  end
end
