defmodule Pglite.LogTest do
  # Not beside others: captures the log of the whole BEAM.
  use Pglite.InstanceCase, async: false

  import ExUnit.CaptureLog

  test "lines of the server are Logger's, with their level, and without the password" do
    log =
      capture_log(fn ->
        {:ok, {manager, nil}} =
          Pglite.start_link(
            driver: false,
            name: :logged,
            password: "s3cret-word",
            settings: [log_statement: "all"]
          )

        sql(manager, "do $$ begin raise warning 'out of %', 'milk'; end $$")
        sql(manager, "alter role postgres password 's3cret-word'")
        Pglite.stop(manager)
      end)

    assert log =~ ~r/\[warning\]\s+\[calf :logged\] WARNING:  out of milk/
    assert log =~ ~r/\[info\]\s+\[calf :logged\] LOG:  .*alter role postgres password '\*+'/
    assert log =~ "database system is shut down"
    refute log =~ "s3cret-word"
  end

  test "the level for the application counts" do
    Logger.put_application_level(:pglite, :warning)
    on_exit(fn -> Logger.delete_application_level(:pglite) end)

    log =
      capture_log(fn ->
        {:ok, {manager, nil}} = Pglite.start_link(driver: false)
        sql(manager, "do $$ begin raise warning 'still heard'; end $$")
        Pglite.stop(manager)
      end)

    assert log =~ "still heard"
    refute log =~ "[info]"
  end

  test "an error has its details at its level" do
    log =
      capture_log(fn ->
        {:ok, {manager, nil}} = Pglite.start_link(driver: false)
        path = Pglite.get_socket_info(manager).socket_path
        {:ok, wire} = Pglite.Wire.connect(path, username: "postgres", database: "postgres")
        {:error, _, wire} = Pglite.Wire.query(wire, "select no_such_function()", 2_000)
        Pglite.Wire.close(wire)
        Pglite.stop(manager)
      end)

    assert log =~ ~r/\[error\]\s+\[calf\] ERROR:  function no_such_function\(\) does not exist/
    assert log =~ ~r/\[error\]\s+\[calf\] STATEMENT:  select no_such_function/
  end
end
