defmodule Pglite.SupervisionTest do
  use Pglite.InstanceCase, async: true

  defp start_kept(name) do
    data_dir = Path.join(temporary_folder(), "data")
    start(name: name, data_dir: data_dir, driver: TestDriver.module(), conn_name: :"#{name}_pool")
    sql(name, "create table kept as select 'still here' as word")
    name
  end

  defp back?(name, before) do
    eventually(fn -> Process.whereis(name) not in [nil, before] and Pglite.health_check(name) == :ok end)
  end

  test "a killed server comes back with its data, at the same socket" do
    name = start_kept(:killed_server)
    before = Process.whereis(name)
    process = os_process(name)
    socket = Pglite.get_socket_info(name).socket_path
    OsProcess.signal(process, :kill)
    assert back?(name, before)
    assert sql(name, "select word from kept") == [["still here"]]

    assert {:ok, %{rows: [["still here"]]}} =
             TestDriver.module().query(:killed_server_pool, "select word from kept", [])

    assert Pglite.get_socket_info(name).socket_path == socket
    refute os_process(name) == process
  end

  test "a killed manager takes its server with it, and comes back with the data" do
    name = start_kept(:killed_manager)
    before = Process.whereis(name)
    process = os_process(name)
    Process.exit(before, :kill)
    assert back?(name, before)
    refute OsProcess.alive?(process)
    assert sql(name, "select word from kept") == [["still here"]]
  end

  test "a name in a registry is as good" do
    start_supervised!({Registry, keys: :unique, name: Pglite.TestRegistry})
    name = {:via, Registry, {Pglite.TestRegistry, "one of many"}}
    process = os_process(start(name: name))
    socket = Pglite.get_socket_info(name).socket_path
    OsProcess.signal(process, :kill)
    assert eventually(fn -> Pglite.health_check(name) == :ok end)
    assert Pglite.get_socket_info(name).socket_path == socket
  end

  test "a dead pool is started anew with its instance" do
    name = start_kept(:killed_pool)
    before = Process.whereis(name)
    Process.exit(Pglite.conn(name), :kill)
    assert back?(name, before)
  end

  test "a manager that was killed for good leaves nothing" do
    {:ok, manager} = GenServer.start(Pglite.Server, elem(Pglite.Options.parse(driver: false), 1))
    process = os_process(manager)
    folder = Pglite.get_socket_info(manager).socket_dir
    Process.exit(manager, :kill)
    assert eventually(fn -> not OsProcess.alive?(process) and not File.exists?(folder) end)
  end

  test "an instance ends with the process that started it" do
    test = self()

    {starter, reference} =
      spawn_monitor(fn ->
        {:ok, {manager, nil}} = Pglite.start_link(driver: false)
        send(test, {:started, os_process(manager)})
        Process.sleep(:infinity)
      end)

    assert_receive {:started, process}, 10_000
    Process.exit(starter, :kill)
    assert_receive {:DOWN, ^reference, :process, _, _}, 10_000
    assert eventually(fn -> not OsProcess.alive?(process) end)
  end

  test "the server is in a process group of its own: Ctrl-C in iex is not for it" do
    {pid, _} = os_process(start())
    [_, fields] = Regex.run(~r/\) (.*)$/, File.read!("/proc/#{pid}/stat"))
    assert fields |> String.split() |> Enum.at(2) == "#{pid}"
  end

  @tag :slow
  test "a server that doesn't react is killed when its time is over" do
    {:ok, {manager, nil}} = Pglite.start_link(driver: false, stop_timeout: 500)
    process = os_process(manager)
    freeze(process)
    assert Pglite.stop(manager) == :ok
    refute OsProcess.alive?(process)
  end
end
