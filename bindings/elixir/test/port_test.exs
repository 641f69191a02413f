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

  test "a start that fails is a value" do
    folder = temporary_folder()
    File.write!(Path.join(folder, "letter.txt"), "not a cluster")
    assert {:error, %Error{}} = Database.start_link(data_dir: folder)
    assert {:error, %Error{reason: :invalid_option}} = Database.start_link(debug: 9)

    assert {:error, %Error{reason: :executable_not_found}} =
             Database.start_link(calf_path: "/nonexistent/calf")
  end
end
