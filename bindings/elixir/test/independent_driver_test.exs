defmodule Pglite.IndependentDriverTest do
  # A client that is not ours: Debian's p1_pgsql, over TCP.
  use Pglite.InstanceCase, async: false

  @moduletag :p1_pgsql

  @password "over tcp"

  setup_all do
    for application <- [:p1_pgsql, :stringprep], do: {:ok, _} = Application.ensure_all_started(application)
    :ok
  end

  setup do
    %{manager: start(tcp_port: 0, password: @password)}
  end

  defp connect(manager, options \\ []) do
    defaults = [
      host: ~c"127.0.0.1",
      port: Pglite.get_socket_info(manager).tcp_port,
      user: ~c"postgres",
      password: String.to_charlist(@password),
      database: ~c"postgres"
    ]

    :pgsql.connect(Keyword.merge(defaults, options))
  end

  # Ends with its server.
  defp connect!(manager, options \\ []) do
    {:ok, connection} = connect(manager, options)
    connection
  end

  # The rows of one statement, or its SQLSTATE.
  defp rows(connection, sql) do
    case :pgsql.squery(connection, sql) do
      {:ok, [{:error, fields}]} -> fields |> List.keyfind(:code, 0) |> elem(1) |> to_string()
      {:ok, [{_tag, _columns, rows}]} -> for row <- rows, do: Enum.map(row, &to_string/1)
      {:ok, [tag]} -> to_string(tag)
    end
  end

  test "logs in with the password, and not without", %{manager: manager} do
    assert rows(connect!(manager), "select 6 * 7 as answer") == [["42"]]
    assert {:error, _} = connect(manager, password: ~c"no")
  end

  test "has as many sessions at once as it likes", %{manager: manager} do
    [holder, waiter | others] = for _ <- 1..6, do: connect!(manager)
    rows(holder, "create table counter as select 0 as n")
    rows(holder, "begin")
    assert rows(holder, "update counter set n = n + 1") == "UPDATE 1"

    waiting = Task.async(fn -> rows(waiter, "update counter set n = n + 10") end)

    assert eventually(fn -> rows(hd(others), "select count(*) from pg_locks where not granted") == [["1"]] end)

    # Sessions that wait keep nobody else from working, and nobody sees what is not committed.
    sleeps = for other <- others, do: Task.async(fn -> rows(other, "select n, pg_sleep(1) from counter") end)

    began = System.monotonic_time(:millisecond)
    assert Task.await_many(sleeps, 20_000) == List.duplicate([["0", ""]], 4)
    assert System.monotonic_time(:millisecond) - began < 4 * 1_000
    assert Task.yield(waiting, 0) == nil

    assert rows(holder, "commit") == "COMMIT"
    assert Task.await(waiting, 20_000) == "UPDATE 1"
    assert rows(holder, "select n from counter") == [["11"]]
  end

  test "a transaction per test, rolled back, is a sandbox", %{manager: manager} do
    rows(connect!(manager), "create table guests (name text)")

    for name <- ["first", "second"] do
      connection = connect!(manager)
      rows(connection, "begin")
      assert rows(connection, "select name from guests") == []
      rows(connection, "insert into guests values ('#{name}')")
      rows(connection, "rollback")
    end
  end

  @tag :branches
  test "a branch per test is one, too", %{manager: manager} do
    rows(connect!(manager), "create table guests (name text primary key)")

    for name <- ["one", "two"] do
      {:ok, options} = Pglite.branch(manager, name)
      connections = for _ <- 1..2, do: connect!(manager, database: String.to_charlist(options[:database]))
      assert rows(hd(connections), "insert into guests values ('x')") == "INSERT 0 1"
      assert rows(List.last(connections), "insert into guests values ('x')") == "23505"
    end

    assert rows(connect!(manager), "select count(*) from guests") == [["0"]]
  end
end
