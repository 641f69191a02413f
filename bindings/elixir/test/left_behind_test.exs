defmodule Pglite.LeftBehindTest do
  # Another BEAM is killed; the next one tidies up. Folders of others are left alone.
  use Pglite.InstanceCase, async: true

  # Starts a BEAM that runs the code and prints lines for us; it lives until it is killed or told to end.
  defp start_beam(code, environment \\ []) do
    paths = ["-pa", Path.join(:code.lib_dir(:pglite), "ebin")]
    source = "{:ok, _} = Application.ensure_all_started(:pglite); #{code}"

    Port.open({:spawn_executable, System.find_executable("elixir")}, [
      :binary,
      :exit_status,
      :hide,
      :stderr_to_stdout,
      line: 4_096,
      env: environment,
      args: paths ++ ["-e", source]
    ])
  end

  defp line_of(port) do
    receive do
      {^port, {:data, {:eol, "told: " <> line}}} -> line
      {^port, {:data, _log}} -> line_of(port)
    after
      20_000 -> flunk("the other BEAM is silent")
    end
  end

  @starts """
  options = [driver: false] ++ if(dir = System.get_env("PGLITE_TEST_DIR"), do: [data_dir: dir], else: [])
  {:ok, {manager, _}} = Pglite.start_link(options)
  info = Pglite.get_socket_info(manager)
  IO.puts("told: \#{System.pid()} \#{info.os_pid} \#{info.socket_dir}")
  """

  defp told(port) do
    [beam, server, folder] = port |> line_of() |> String.split(" ")
    {:ok, beam} = OsProcess.identify(beam)
    {:ok, server} = OsProcess.identify(server)
    {beam, server, folder}
  end

  test "kill -9 of the BEAM: no process stays, and no folder after the next start" do
    {beam, server, folder} = told(start_beam(@starts <> "Process.sleep(:infinity)"))
    assert OsProcess.alive?(server)
    OsProcess.signal(beam, :kill)
    assert OsProcess.await_exit(server, 10_000) == :ok
    assert File.dir?(folder)

    {_, _, other} = told(start_beam(@starts <> "Process.sleep(:infinity)")) |> tap(&end_with_test/1)
    assert eventually(fn -> not File.exists?(folder) end)
    assert File.dir?(other)
  end

  defp end_with_test({beam, server, folder}) do
    on_exit(fn ->
      OsProcess.signal(beam, :kill)
      OsProcess.await_exit(server, 10_000)
      File.rm_rf!(folder)
    end)
  end

  test "a BEAM that ends in order leaves nothing" do
    {beam, server, folder} = told(start_beam(@starts <> "System.stop(); Process.sleep(:infinity)"))
    assert OsProcess.await_exit(beam, 20_000) == :ok
    assert OsProcess.await_exit(server, 10_000) == :ok
    refute File.exists?(folder)
  end

  test "a folder that a living BEAM uses stays, and so does what only looks like one" do
    {:ok, beam} = OsProcess.identify(System.pid())
    mine = Pglite.get_socket_info(start()).socket_dir
    namespace = OsProcess.pid_namespace()
    precious = temporary_folder()
    File.write!(Path.join(precious, "letter"), "precious")
    # A dead BEAM's name, but a link to somebody's folder.
    link = Path.join(System.tmp_dir!(), "pglite-#{namespace}-#{elem(beam, 0)}-1-0123456789ab")
    File.ln_s!(precious, link)
    on_exit(fn -> File.rm(link) end)
    elsewhere = Path.join(System.tmp_dir!(), "pglite-1-#{elem(beam, 0)}-1-0123456789ab")
    File.mkdir_p!(elsewhere)
    on_exit(fn -> File.rm_rf(elsewhere) end)

    left = Pglite.SocketFolder.left_behind()
    refute mine in left
    refute link in left
    refute elsewhere in left
    assert File.read!(Path.join(precious, "letter")) == "precious"
  end

  test "a password beyond ASCII arrives whatever the locale is" do
    code = """
    {:ok, {manager, _}} = Pglite.start_link(driver: false, password: "gr\\u00fcn \\u20ac")
    IO.puts("told: \#{:file.native_name_encoding()} \#{inspect(Pglite.health_check(manager))}")
    """

    assert line_of(start_beam(code, [{~c"LC_ALL", ~c"C"}])) == "latin1 :ok"
    assert line_of(start_beam(code, [{~c"LC_ALL", ~c"C.UTF-8"}])) == "utf8 :ok"
  end

  @tag :slow
  @tag timeout: 60_000
  test "a server that doesn't notice its BEAM's end is killed by the next one" do
    {beam, server, folder} = told(start_beam(@starts <> "Process.sleep(:infinity)"))
    freeze(server)
    OsProcess.signal(beam, :kill)
    start_beam(@starts <> "Process.sleep(:infinity)") |> told() |> end_with_test()
    assert OsProcess.await_exit(server, 20_000) == :ok
    assert eventually(fn -> not File.exists?(folder) end)
  end
end
