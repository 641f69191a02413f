defmodule Pglite.BranchTest do
  use Pglite.InstanceCase, async: false

  @moduletag :branches

  setup do
    manager = start(driver: TestDriver.module())
    sql(manager, "create table t as select 'before' as word")
    %{manager: manager}
  end

  defp words(options) do
    {:ok, conn} = TestDriver.module().start_link(options)
    {:ok, %{rows: rows}} = TestDriver.module().query(conn, "select word from t order by word", [])
    GenServer.stop(conn)
    List.flatten(rows)
  end

  defp write(options, word) do
    {:ok, conn} = TestDriver.module().start_link(options)
    {:ok, _} = TestDriver.module().query(conn, "insert into t values ('#{word}')", [])
    GenServer.stop(conn)
  end

  test "a branch and its parent go on apart", %{manager: manager} do
    assert {:ok, options} = Pglite.branch(manager, "b1")
    assert options[:database] == "postgres@b1"
    write(options, "in the branch")
    write(Pglite.get_connection_opts(manager), "in the parent")
    assert words(options) == ["before", "in the branch"]
    assert words(Pglite.get_connection_opts(manager)) == ["before", "in the parent"]
    assert Pglite.reset_branch(manager, "b1") == :ok
    assert words(options) == ["before", "in the parent"]
    assert Pglite.branches(manager) == {:ok, ["b1"]}
    assert Pglite.drop_branch(manager, "b1") == :ok
    assert Pglite.branches(manager) == {:ok, []}
  end

  test "errors are values", %{manager: manager} do
    assert {:ok, _} = Pglite.branch(manager, "twice")
    assert {:error, %Error{reason: :sql}} = Pglite.branch(manager, "twice")
    assert {:error, %Error{reason: :sql}} = Pglite.drop_branch(manager, "never-made")
    assert {:error, %Error{}} = Pglite.branch(manager, "'; drop table t; --")
    assert sql(manager, "select count(*) from t") == [["1"]]
  end
end

defmodule Pglite.CaseTest do
  use ExUnit.Case, async: false
  @moduletag :branches

  setup_all do
    manager = start_supervised!({Pglite, name: :case_database, driver: false})
    Pglite.TestDriver.once(manager, "create table guests (name text)")
    :ok
  end

  use Pglite.Case, server: :case_database, driver: Pglite.TestDriver.module()

  for n <- 1..5 do
    test "each test finds an empty table (#{n})", %{conn: conn, branch: "test_" <> _} do
      driver = Pglite.TestDriver.module()
      assert {:ok, %{rows: []}} = driver.query(conn, "select name from guests", [])
      assert {:ok, _} = driver.query(conn, "insert into guests values ('#{unquote(n)}')", [])
    end
  end
end

defmodule Pglite.RepoCaseTest do
  use ExUnit.Case, async: false
  @moduletag :branches

  setup_all do
    manager = start_supervised!({Pglite, name: :repo_case_database, driver: false})
    Pglite.TestDriver.once(manager, "create table guests (name text)")
    :ok
  end

  use Pglite.Case, server: :repo_case_database, repo: Pglite.TestRepo, options: [pool_size: 2]

  for n <- 1..3 do
    test "the test's process has a repository on its branch (#{n})", %{repo: repo} do
      assert is_pid(repo)
      assert Pglite.TestRepo.query!("select name from guests").rows == []
      Pglite.TestRepo.query!("insert into guests values ('x')")
    end
  end

  test "branches go with their tests" do
    assert {:ok, [_mine]} = Pglite.branches(:repo_case_database)
  end
end
