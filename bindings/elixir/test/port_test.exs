defmodule Pglite.PortTest do
  use Pglite.InstanceCase, async: true

  alias Pglite.Port, as: Database

  @moduletag :calf_port

  test "queries, errors, and on it goes" do
    {:ok, database} = Database.start_link()
    assert {:ok, [%{columns: ["n"], rows: [["1"]]}]} = Database.query(database, "select 1 as n")
    assert {:error, %Error{reason: :sql, sqlstate: "22012"}} = Database.query(database, "select 1/0")

    assert {:ok, [_, %{rows: [["3"]]}]} =
             Database.query(
               database,
               "create table t as select generate_series(1, 3); select count(*) from t"
             )

    assert {:ok, [%{rows: [[text]]}]} = Database.query(database, "select repeat('ERROR: ', 1000000)")
    assert byte_size(text) == 7_000_000
    assert Database.stop(database) == :ok
    assert {:error, %Error{reason: :not_running}} = Database.query(database, "select 1")
  end

  test "data in a directory outlives the database" do
    data_dir = Path.join(temporary_folder(), "data")
    {:ok, database} = Database.start_link(data_dir: data_dir)
    assert {:ok, _} = Database.query(database, "create table t as select 'kept' as word")
    Database.stop(database)
    {:ok, database} = Database.start_link(data_dir: data_dir)
    assert {:ok, [%{rows: [["kept"]]}]} = Database.query(database, "select word from t")
    Database.stop(database)
  end

  test "an answer that doesn't come in time ends the database" do
    {:ok, database} = Database.start_link(stop_timeout: 3_000)
    Process.unlink(database)
    assert {:error, %Error{reason: :timeout}} = Database.query(database, "select pg_sleep(20)", 200)
    assert eventually(fn -> not Process.alive?(database) end)
  end

  test "the process ends with its owner, however that ends" do
    {:ok, database} = Database.start_link()
    Process.unlink(database)
    process = :sys.get_state(database).process
    assert OsProcess.alive?(process)
    Process.exit(database, :kill)
    assert OsProcess.await_exit(process, 10_000) == :ok
  end

  test "a database that is killed ends its owner" do
    {:ok, database} = Database.start_link()
    Process.unlink(database)
    reference = Process.monitor(database)
    OsProcess.signal(:sys.get_state(database).process, :kill)
    assert_receive {:DOWN, ^reference, :process, _pid, %Error{reason: :exited}}, 10_000
  end

  test "what comes unasked is no answer" do
    {:ok, database} = Database.start_link()
    assert {:ok, _} = Database.query(database, "listen news; set client_min_messages = notice")
    assert {:ok, _} = Database.query(database, "do $$ begin raise notice 'hear'; end $$; notify news")
    assert {:ok, [%{rows: [["1"]]}]} = Database.query(database, "select 1")
    assert Database.stop(database) == :ok
  end

  test "user and database are made" do
    {:ok, database} = Database.start_link(username: "ann", database: "shop")

    assert {:ok, [%{rows: [["ann", "shop"]]}]} =
             Database.query(database, "select current_user, current_database()")

    assert Database.stop(database) == :ok
  end

  test "a start that fails is a value" do
    folder = temporary_folder()
    File.write!(Path.join(folder, "letter.txt"), "not a cluster")
    assert {:error, %Error{}} = Database.start_link(data_dir: folder)
    assert {:error, %Error{reason: :invalid_option}} = Database.start_link(debug: 9)

    assert {:error, %Error{reason: :executable_not_found}} =
             Database.start_link(calf_path: "/nonexistent/calf")
  end
end
