defmodule Pglite.WireTest do
  use Pglite.InstanceCase, async: true

  alias Pglite.Wire

  @login [username: "postgres", database: "postgres", timeout: 20_000]

  defp connect(manager) do
    {:ok, wire} = Wire.connect(Pglite.get_socket_info(manager).socket_path, @login)
    wire
  end

  test "results, nulls, several statements, errors, and on it goes" do
    wire = connect(start())
    assert {:ok, [one, two], wire} = Wire.query(wire, "select 1 as a, null as b; create table t()", 20_000)
    assert one == %{columns: ["a", "b"], rows: [["1", nil]], command: "SELECT 1"}
    assert two.command == "CREATE TABLE"
    assert {:error, %Error{reason: :sql, sqlstate: "22012"}, wire} = Wire.query(wire, "select 1/0", 20_000)
    assert {:ok, [], wire} = Wire.query(wire, "", 20_000)
    assert {:error, %Error{sqlstate: "57014"}, wire} = Wire.query(wire, "copy t from stdin", 20_000)
    assert {:ok, [%{command: "COPY 0"}], wire} = Wire.query(wire, "copy t to stdout", 20_000)

    assert {:ok, [%{rows: rows}], wire} =
             Wire.query(wire, "select repeat('x', 100000) from generate_series(1, 50)", 20_000)

    assert length(rows) == 50 and Enum.all?(rows, fn [text] -> byte_size(text) == 100_000 end)
    assert Wire.close(wire) == :ok
  end

  test "literals come back as they were" do
    wire = connect(start())

    for text <- ["", "it's", "a\\b", "ü\n\t", "'';--"] do
      assert {:ok, [%{rows: [[^text]]}], _} = Wire.query(wire, "select #{Wire.literal(text)}", 20_000)
    end
  end

  test "a query has a deadline" do
    wire = connect(start())
    assert {:error, %Error{reason: :timeout}, _wire} = Wire.query(wire, "select pg_sleep(10)", 200)
  end

  test "login errors are PostgreSQL's" do
    path = Pglite.get_socket_info(start()).socket_path
    assert {:error, %Error{sqlstate: "3D000"}} = Wire.connect(path, Keyword.put(@login, :database, "nope"))
    assert {:error, %Error{sqlstate: "28000"}} = Wire.connect(path, Keyword.put(@login, :username, "nobody"))
    assert {:error, %Error{reason: :connection}} = Wire.connect(path <> "x", @login)
  end

  describe "a server that" do
    # Answers a login with the bytes, and then with nothing.
    defp hostile(bytes, then \\ :wait, timeout \\ 20_000) do
      path = Path.join(temporary_folder(), "socket")
      {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ifaddr: {:local, path}])

      start_supervised!({Task, fn -> answer(listener, bytes, then) end}, id: make_ref())
      Wire.connect(path, Keyword.merge(@login, timeout: timeout, password: "x"))
    end

    defp answer(listener, bytes, then) do
      {:ok, socket} = :gen_tcp.accept(listener)
      {:ok, _startup} = :gen_tcp.recv(socket, 0)
      :gen_tcp.send(socket, bytes)
      if then == :close, do: :gen_tcp.close(socket)
      Process.sleep(:infinity)
    end

    test "says nothing" do
      assert {:error, %Error{reason: :timeout}} = hostile("", :wait, 300)
    end

    test "hangs up" do
      assert {:error, %Error{reason: :connection}} = hostile("R", :close)
    end

    test "lies about lengths" do
      assert {:error, %Error{reason: :protocol}} = hostile(<<?R, 3::32>>)
      assert {:error, %Error{reason: :protocol}} = hostile(<<?R, 0xFFFFFFFF::32>>)
      assert {:error, %Error{reason: :timeout}} = hostile(<<?R, 1000::32, 0::32>>, :wait, 300)
    end

    test "talks something else" do
      assert {:error, %Error{reason: :protocol}} = hostile("HTTP/1.1 400 Bad Request\r\n\r\n")
      assert {:error, %Error{reason: :protocol}} = hostile(<<?R, 8::32, 7::32>>)
      assert {:error, %Error{reason: :protocol}} = hostile(<<?D, 6::32, 0::16>>)
    end

    test "plays tricks with SCRAM" do
      assert {:error, %Error{reason: :protocol}} = hostile(<<?R, 17::32, 10::32, "SCRAM-X", 0, 0>>)
      # Done before it was begun.
      assert {:error, %Error{reason: :protocol}} = hostile(<<?R, 12::32, 12::32, "v=YQ">>)
      offer = <<?R, 23::32, 10::32, "SCRAM-SHA-256", 0, 0>>

      assert {:error, %Error{reason: :protocol}} =
               hostile(offer <> <<?R, 28::32, 11::32, "r=mine,s=YQ==,i=4096">>)

      # Logged in without having shown that it knows the password.
      assert {:error, %Error{}} = hostile(offer <> <<?R, 8::32, 0::32>>)
    end
  end
end
