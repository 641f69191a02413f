defmodule Pglite.InstanceTest do
  use Pglite.InstanceCase, async: true

  test "is ready when start_link returns, and gone when stop does" do
    assert {:ok, {manager, nil}} = Pglite.start_link(driver: false)
    assert Pglite.health_check(manager) == :ok
    info = Pglite.get_socket_info(manager)
    process = os_process(manager)
    assert Pglite.stop(manager) == :ok
    refute OsProcess.alive?(process)
    refute File.exists?(info.socket_dir)
  end

  test "GenServer.stop is as good" do
    {:ok, {manager, nil}} = Pglite.start_link(driver: false)
    process = os_process(manager)
    assert GenServer.stop(manager) == :ok
    refute OsProcess.alive?(process)
  end

  test "the socket's folder is private" do
    %{socket_dir: folder, socket_path: path, port: port} = Pglite.get_socket_info(start())
    assert {:ok, %File.Stat{mode: mode}} = File.stat(folder)
    assert Bitwise.band(mode, 0o777) == 0o700
    assert path == Path.join(folder, ".s.PGSQL.#{port}")
    assert File.exists?(path)
  end

  test "the pool of the driver is started, and stops with the instance" do
    {:ok, {manager, conn}} = Pglite.start_link(driver: TestDriver.module(), pool_size: 2)
    assert Pglite.conn(manager) == conn
    assert {:ok, %{rows: [["PostgreSQL" <> _]]}} = TestDriver.module().query(conn, "select version()", [])
    assert Pglite.health_check(manager) == :ok
    assert Pglite.stop(manager) == :ok
    refute Process.alive?(conn)
  end

  test "conn_name registers the pool" do
    start(driver: TestDriver.module(), conn_name: :pool_of_the_test)
    assert {:ok, %{rows: [["x"]]}} = TestDriver.module().query(:pool_of_the_test, "select 'x'", [])
  end

  test "a pool of two has two sessions at work at once" do
    manager = start(driver: TestDriver.module(), pool_size: 2)
    driver = TestDriver.module()
    # Each one waits for the other.
    sql(manager, """
    create function meet() returns text language plpgsql as $$ begin
      perform pg_advisory_lock_shared(1);
      while (select count(*) from pg_locks where locktype = 'advisory') < 2 loop perform pg_sleep(0.01); end loop;
      return pg_backend_pid();
    end $$
    """)

    pids =
      1..2
      |> Enum.map(fn _ -> Task.async(fn -> driver.query(Pglite.conn(manager), "select meet()", []) end) end)
      |> Task.await_many(20_000)
      |> Enum.map(fn {:ok, %{rows: [[pid]]}} -> pid end)

    assert length(Enum.uniq(pids)) == 2
  end

  test "ten instances at once are ten databases" do
    managers =
      1..10
      |> Enum.map(fn n -> Task.async(fn -> start_apart(n) end) end)
      |> Task.await_many(60_000)

    for {manager, n} <- managers do
      assert sql(manager, "select n from t") == [["#{n}"]]
      assert Pglite.health_check(manager) == :ok
    end

    assert managers |> Enum.map(fn {m, _} -> Pglite.get_socket_info(m).os_pid end) |> Enum.uniq() |> length() ==
             10

    for {manager, _n} <- managers, do: assert(Pglite.stop(manager) == :ok)
  end

  # Linked to nobody that ends before the test does.
  defp start_apart(n) do
    {:ok, manager} = GenServer.start(Pglite.Server, elem(Pglite.Options.parse(driver: false), 1))
    sql(manager, "create table t as select #{n} as n")
    {manager, n}
  end

  test "data is kept in a directory, and not in memory" do
    data_dir = Path.join(temporary_folder(), "data")

    for memory <- [false, true, false] do
      {:ok, {manager, nil}} = Pglite.start_link(driver: false, data_dir: data_dir, memory: memory)
      there? = sql(manager, "select to_regclass('kept') is not null")
      unless memory, do: sql(manager, "create table if not exists kept()")
      send(self(), {:there, there?})
      Pglite.stop(manager)
    end

    assert_received {:there, [["f"]]}
    assert_received {:there, [["f"]]}
    assert_received {:there, [["t"]]}
  end

  test "user, database, extensions and settings" do
    manager =
      start(
        username: "Ann O'Hara",
        database: "the shop",
        extensions: [:pg_trgm, "vector"],
        settings: [work_mem: "7MB", application_name: "a b"]
      )

    assert sql(manager, "select current_user, current_database()") == [["Ann O'Hara", "the shop"]]
    assert sql(manager, "show work_mem") == [["7MB"]]
    assert sql(manager, "select count(*) from pg_extension where extname in ('pg_trgm', 'vector')") == [["2"]]
  end

  test "names: the second of a name is refused, as with every GenServer" do
    manager = start(name: :taken)
    assert Pglite.start_link(name: :taken, driver: false) == {:error, {:already_started, manager}}
    assert Pglite.health_check(:taken) == :ok

    global = start(name: {:global, :also_taken})

    assert Pglite.start_link(name: {:global, :also_taken}, driver: false) ==
             {:error, {:already_started, global}}
  end

  test "a pool's name that is taken stops the instance again" do
    start(driver: TestDriver.module(), conn_name: :taken_pool)
    {:ok, calf} = Pglite.Executable.find()
    pid_file = Path.join(temporary_folder(), "pid")
    path = script(~s(echo $$ > #{pid_file}\nexec "#{calf}" "$@"\n))

    assert {:error, %Error{reason: :startup_failed, message: message}} =
             Pglite.start_link(driver: TestDriver.module(), conn_name: :taken_pool, calf_path: path)

    assert message =~ "already started"
    assert pid_file |> File.read!() |> String.trim() |> OsProcess.identify() == :gone
  end

  describe "a password" do
    test "is asked for" do
      manager = start(password: "s3cret ü'")
      assert Pglite.health_check(manager) == :ok
      info = Pglite.get_socket_info(manager)
      wrong = [username: "postgres", database: "postgres", password: "wrong"]
      assert {:error, %Error{sqlstate: "28P01"}} = Pglite.Wire.connect(info.socket_path, wrong)

      assert {:error, %Error{sqlstate: "28P01"}} =
               Pglite.Wire.connect(info.socket_path, Keyword.delete(wrong, :password))
    end

    test "is in the connection's options, and in nothing that others see" do
      manager =
        start(password: "hidden-from-view", driver: TestDriver.module(), settings: [log_statement: "all"])

      assert Pglite.get_connection_opts(manager)[:password] == "hidden-from-view"
      os_pid = Pglite.get_socket_info(manager).os_pid
      refute File.read!("/proc/#{os_pid}/cmdline") =~ "hidden-from-view"
      refute inspect(:sys.get_state(manager), limit: :infinity) =~ "hidden-from-view"
      refute inspect(Pglite.child_spec(password: "hidden-from-view")) =~ "hidden-from-view"
    end

    test "may come from a function" do
      assert Pglite.health_check(start(password: fn -> "made up" end)) == :ok
    end
  end

  test "what the BEAM's environment says about another database doesn't matter" do
    # For this process's children only: the environment is put into a script that runs the real program.
    {:ok, calf} = Pglite.Executable.find()
    path = script(~s(printenv PGHOST PGDATA POSTGRES_USER POSTGRES_PASSWORD >&2\nexec "#{calf}" "$@"\n))
    for name <- ~w(PGDATA POSTGRES_USER POSTGRES_PASSWORD), do: System.put_env(name, "elsewhere")
    on_exit(fn -> for name <- ~w(PGDATA POSTGRES_USER POSTGRES_PASSWORD), do: System.delete_env(name) end)
    manager = start(calf_path: path)
    assert sql(manager, "select current_user") == [["postgres"]]
  end

  describe "a failed start" do
    test "is a value, and leaves the caller alone" do
      assert {:error, %Error{reason: :invalid_option, message: message}} =
               Pglite.start_link(hostname: "example.org")

      assert message =~ ":hostname"
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(extensions: ["a,b"])
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(data_dir: "a\0b")
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(username: <<255>>)
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(settings: [{"x y", 1}])
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(password: "")
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(name: "a string")
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(mode: :port)
      assert {:error, %Error{reason: :invalid_option}} = Pglite.start_link(tcp_port: 70_000)
      assert {:error, %Error{reason: :driver_missing}} = Pglite.start_link(driver: NoSuchDriver)
    end

    test "names the program that isn't there" do
      assert {:error, %Error{reason: :executable_not_found, message: message}} =
               Pglite.start_link(driver: false, calf_path: "/nonexistent/calf")

      assert message =~ "/nonexistent/calf"
    end

    test "says what PostgreSQL says" do
      folder = temporary_folder()
      File.write!(Path.join(folder, "letter.txt"), "not a cluster")

      assert {:error, %Error{reason: :startup_failed, message: message}} =
               Pglite.start_link(driver: false, data_dir: folder)

      assert message =~ "is not empty and holds no cluster"

      assert {:error, %Error{reason: :startup_failed, message: message}} =
               Pglite.start_link(driver: false, data_dir: Path.join(folder, "letter.txt"))

      assert message =~ "is not a directory"

      assert {:error, %Error{reason: :startup_failed, message: message}} =
               Pglite.start_link(driver: false, settings: [no_such_setting: 1])

      assert message =~ "no_such_setting"
    end

    test "names the owner of a directory in use" do
      data_dir = Path.join(temporary_folder(), "data")
      manager = start(data_dir: data_dir)

      assert {:error, %Error{reason: :startup_failed, message: message}} =
               Pglite.start_link(driver: false, data_dir: data_dir)

      assert message =~ "is in use"
      assert message =~ "#{Pglite.get_socket_info(manager).os_pid}"
    end

    test "is bounded in time, and leaves no process" do
      pid_file = Path.join(temporary_folder(), "pid")
      path = script("echo $$ > #{pid_file}\nexec sleep 1000\n")
      began = System.monotonic_time(:millisecond)

      assert {:error, %Error{reason: :startup_timeout}} =
               Pglite.start_link(driver: false, calf_path: path, startup_timeout: 1_500)

      assert System.monotonic_time(:millisecond) - began < 15_000
      assert pid_file |> File.read!() |> String.trim() |> OsProcess.identify() == :gone
    end

    test "of a program that ends at once has its last words" do
      path = script("echo out of cheese >&2\nexit 3\n")

      assert {:error, %Error{reason: :startup_failed, message: message}} =
               Pglite.start_link(driver: false, calf_path: path)

      assert message =~ "status 3"
      assert message =~ "out of cheese"
    end
  end

  describe "health_check" do
    test "has a deadline" do
      manager = start()
      process = os_process(manager)
      freeze(process)
      on_exit(fn -> thaw(process) end)
      began = System.monotonic_time(:millisecond)
      assert {:error, %Error{}} = Pglite.health_check(manager, 300)
      assert System.monotonic_time(:millisecond) - began < 4_500
      thaw(process)
      assert Pglite.health_check(manager) == :ok
    end

    test "through a pool has one, too" do
      manager = start(driver: TestDriver.module())

      busy =
        Task.async(fn -> TestDriver.module().query(Pglite.conn(manager), "select pg_sleep(2)::text", []) end)

      assert eventually(fn -> match?({:error, %Error{}}, Pglite.health_check(manager, 200)) end)
      Task.await(busy, 20_000)
      assert eventually(fn -> Pglite.health_check(manager) == :ok end)
    end

    test "of an instance that isn't there" do
      assert {:error, %Error{reason: :not_running}} = Pglite.health_check(:nobody)
      assert {:error, %Error{reason: :not_running}} = Pglite.stop(:nobody)
    end
  end
end
