defmodule Pglite.Wire do
  @moduledoc """
  PostgreSQL's protocol in the least that the library itself needs: log in, run statements by the simple protocol, hang up.
  For health checks and branches when there is no Postgrex, and for `Pglite.Port`. Values are text, as PostgreSQL prints them.

  A connection is a value, not a process: it belongs to the process that made it, and every call returns its next state. After a
  `:timeout`, `:connection` or `:protocol` error it is of no further use; close it.
  """

  alias Pglite.{Error, Scram}

  # PostgreSQL's own limit of an allocation.
  @longest_message 0x3FFFFFFF
  @protocol_version 0x00030000

  @enforce_keys [:send, :receive, :close]
  defstruct [:send, :receive, :close, buffer: ""]

  @typedoc "How bytes get there and back: functions of the transport."
  @opaque t :: %__MODULE__{
            send: (iodata -> :ok | {:error, term}),
            receive:
              (timeout_ms :: non_neg_integer, at_boundary :: boolean -> {:ok, binary} | {:error, term}),
            close: (() -> term),
            buffer: binary
          }

  @typedoc "One statement's result."
  @type result :: %{columns: [String.t()], rows: [[String.t() | nil]], command: String.t()}

  @doc "Connects to a Unix socket and logs in. `options`: `:username`, `:database`, `:password`, `:timeout` (ms, all together)."
  @spec connect(Path.t(), keyword) :: {:ok, t} | {:error, Error.t()}
  def connect(socket_path, options) do
    timeout = Keyword.get(options, :timeout, 5_000)
    deadline = deadline(timeout)

    case :gen_tcp.connect({:local, socket_path}, 0, [:binary, active: false, send_timeout: timeout], timeout) do
      {:ok, socket} ->
        log_in(over_socket(socket), options, deadline)

      {:error, reason} ->
        {:error, Error.new(:connection, "cannot connect to #{socket_path}: #{:inet.format_error(reason)}")}
    end
  end

  defp over_socket(socket) do
    %__MODULE__{
      send: &:gen_tcp.send(socket, &1),
      receive: fn timeout, _at_boundary -> :gen_tcp.recv(socket, 0, timeout) end,
      close: fn -> :gen_tcp.close(socket) end
    }
  end

  @doc "A port of `{:packet, 4}` that the calling process owns. Closing it closes the program's standard input."
  @spec over_port(port) :: t
  def over_port(port) do
    %__MODULE__{
      send: &port_send(port, &1),
      receive: &port_receive(port, &1, &2),
      close: fn -> port_close(port) end
    }
  end

  defp port_send(port, data) do
    Port.command(port, data)
    :ok
  rescue
    ArgumentError -> {:error, :closed}
  end

  defp port_receive(port, timeout, at_boundary) do
    receive do
      # Only between messages: within one these are somebody's data.
      {^port, {:data, "ERROR: " <> message}} when at_boundary -> {:error, {:refused, message}}
      {^port, {:data, bytes}} -> {:ok, bytes}
      {^port, {:exit_status, _status}} -> {:error, :closed}
    after
      timeout -> {:error, :timeout}
    end
  end

  defp port_close(port) do
    Port.close(port)
  rescue
    ArgumentError -> true
  end

  @doc "Takes bytes that came unasked, between queries. Notices, changed parameters and notifications are dropped."
  @spec push(t, binary) :: t
  def push(%__MODULE__{} = wire, bytes), do: %{wire | buffer: drop_unasked(wire.buffer <> bytes)}

  defp drop_unasked(<<type, size::32, rest::binary>>)
       when type in [?N, ?S, ?A] and byte_size(rest) >= size - 4 and size >= 4 do
    <<_body::binary-size(size - 4), rest::binary>> = rest
    drop_unasked(rest)
  end

  defp drop_unasked(buffer), do: buffer

  @doc "Logs in over any transport."
  @spec log_in(t, keyword, integer) :: {:ok, t} | {:error, Error.t()}
  def log_in(%__MODULE__{} = wire, options, deadline) do
    parameters =
      for key <- [:username, :database], do: [parameter_name(key), 0, Keyword.fetch!(options, key), 0]

    body = [<<@protocol_version::32>>, parameters, 0]
    password = options[:password]

    with :ok <- transmit(wire, [<<IO.iodata_length(body) + 4::32>>, body]),
         {:ok, wire} <- authenticate(wire, password, nil, deadline),
         {:ok, wire} <- await_ready(wire, deadline) do
      {:ok, wire}
    else
      {:error, error} ->
        wire.close.()
        {:error, error}
    end
  end

  defp parameter_name(:username), do: "user"
  defp parameter_name(:database), do: "database"

  @doc "Runs a script of statements. The first error ends it; the connection is good for the next."
  @spec query(t, String.t(), timeout_ms :: pos_integer) :: {:ok, [result], t} | {:error, Error.t(), t}
  def query(%__MODULE__{} = wire, sql, timeout) do
    with :ok <- transmit(wire, message(?Q, [sql, 0])) do
      collect(wire, %{results: [], columns: [], rows: [], error: nil}, deadline(timeout))
    else
      {:error, error} -> {:error, error, wire}
    end
  end

  @spec close(t) :: :ok
  def close(%__MODULE__{} = wire) do
    _ = wire.send.(message(?X, []))
    wire.close.()
    :ok
  end

  @doc "When `timeout` milliseconds from now are over, on the monotonic clock."
  @spec deadline(timeout_ms :: non_neg_integer) :: integer
  def deadline(timeout), do: System.monotonic_time(:millisecond) + timeout

  @doc """
  A string as an SQL literal.

      iex> Pglite.Wire.literal("it's")
      "'it''s'"
  """
  @spec literal(String.t()) :: String.t()
  def literal(text) do
    quoted = "'" <> String.replace(text, "'", "''") <> "'"
    if String.contains?(text, "\\"), do: " E" <> String.replace(quoted, "\\", "\\\\"), else: quoted
  end

  defp authenticate(wire, password, scram, deadline) do
    with {:ok, type, body, wire} <- next(wire, deadline) do
      case {type, body} do
        {?R, <<0::32>>} ->
          {:ok, wire}

        {?R, <<3::32>>} ->
          answer(wire, [password || "", 0], password, nil, deadline)

        {?R, <<10::32, mechanisms::binary>>} ->
          begin_scram(wire, mechanisms, password, deadline)

        {?R, <<11::32, challenge::binary>>} when scram != nil ->
          go_on(wire, scram, challenge, password, deadline)

        {?R, <<12::32, proof::binary>>} when scram != nil ->
          finish_scram(wire, scram, proof, password, deadline)

        {?R, <<method::32, _::binary>>} ->
          protocol_error("authentication method #{method} is not supported")

        {?E, fields} ->
          {:error, server_error(fields)}

        {type, _} ->
          unexpected(type)
      end
    end
  end

  defp answer(wire, body, password, scram, deadline) do
    with :ok <- transmit(wire, message(?p, body)), do: authenticate(wire, password, scram, deadline)
  end

  defp begin_scram(_wire, _mechanisms, nil, _deadline) do
    {:error, Error.new(:sql, "the server asks for a password, and none is given", "28P01")}
  end

  defp begin_scram(wire, mechanisms, password, deadline) do
    if Scram.mechanism() in String.split(mechanisms, <<0>>) do
      {scram, first} = Scram.start(password)
      body = [Scram.mechanism(), 0, <<byte_size(first)::32>>, first]
      answer(wire, body, password, scram, deadline)
    else
      protocol_error("the server offers no SCRAM-SHA-256")
    end
  end

  defp go_on(wire, scram, challenge, password, deadline) do
    case Scram.respond(scram, challenge) do
      {:ok, scram, response} -> answer(wire, response, password, scram, deadline)
      :error -> protocol_error("the server's SCRAM challenge is not valid")
    end
  end

  defp finish_scram(wire, scram, proof, password, deadline) do
    if Scram.server_proved?(scram, proof) do
      authenticate(wire, password, nil, deadline)
    else
      protocol_error("the server does not know the password")
    end
  end

  defp await_ready(wire, deadline) do
    with {:ok, type, body, wire} <- next(wire, deadline) do
      case type do
        ?Z -> {:ok, wire}
        ?E -> {:error, server_error(body)}
        _parameters_key_notices -> await_ready(wire, deadline)
      end
    end
  end

  defp collect(wire, state, deadline) do
    case next(wire, deadline) do
      {:ok, ?Z, _status, wire} -> finish(state, wire)
      {:ok, type, body, wire} -> step(type, body, wire, state, deadline)
      {:error, error} -> {:error, error, wire}
    end
  end

  defp step(type, body, wire, state, deadline) do
    case gather(type, body, wire, state) do
      {:ok, state} -> collect(wire, state, deadline)
      {:error, error} -> {:error, error, wire}
    end
  end

  defp gather(?T, body, _wire, state),
    do: with({:ok, names} <- columns(body), do: {:ok, %{state | columns: names}})

  defp gather(?D, body, _wire, state),
    do: with({:ok, row} <- row(body), do: {:ok, %{state | rows: [row | state.rows]}})

  defp gather(?C, tag, _wire, state) do
    result = %{
      columns: state.columns,
      rows: Enum.reverse(state.rows),
      command: String.trim_trailing(tag, <<0>>)
    }

    {:ok, %{state | results: [result | state.results], columns: [], rows: []}}
  end

  defp gather(?E, fields, _wire, state), do: {:ok, %{state | error: server_error(fields)}}

  defp gather(?G, _formats, wire, state),
    do: with(:ok <- transmit(wire, message(?f, ["no data", 0])), do: {:ok, state})

  # Empty query, COPY's data, notices, parameters, notifications: nothing to keep.
  defp gather(type, _body, _wire, state) when type in [?I, ?H, ?d, ?c, ?N, ?S, ?A], do: {:ok, state}
  defp gather(type, _body, _wire, _state), do: unexpected(type)

  defp finish(%{error: nil, results: results}, wire), do: {:ok, Enum.reverse(results), wire}
  defp finish(%{error: error}, wire), do: {:error, error, wire}

  defp columns(<<count::16, rest::binary>>), do: columns(count, rest, [])

  defp columns(0, "", names), do: {:ok, Enum.reverse(names)}

  defp columns(count, text, names) when count > 0 do
    case String.split(text, <<0>>, parts: 2) do
      [name, <<_attributes::binary-size(18), rest::binary>>] -> columns(count - 1, rest, [name | names])
      _ -> protocol_error("a row description is cut short")
    end
  end

  defp columns(_count, _rest, _names), do: protocol_error("a row description is too long")

  defp row(<<count::16, rest::binary>>), do: row(count, rest, [])

  defp row(0, "", values), do: {:ok, Enum.reverse(values)}
  defp row(n, <<-1::signed-32, rest::binary>>, values) when n > 0, do: row(n - 1, rest, [nil | values])

  defp row(n, <<size::32, value::binary-size(size), rest::binary>>, values) when n > 0,
    do: row(n - 1, rest, [value | values])

  defp row(_count, _rest, _values), do: protocol_error("a row does not have the length that it says")

  # The next whole message.
  defp next(%{buffer: <<type, size::32, rest::binary>>} = wire, deadline) do
    cond do
      size < 4 or size > @longest_message ->
        protocol_error("a message says that it is #{size} bytes long")

      byte_size(rest) >= size - 4 ->
        <<body::binary-size(size - 4), buffer::binary>> = rest
        {:ok, type, body, %{wire | buffer: buffer}}

      true ->
        receive_more(wire, size - 4 - byte_size(rest), deadline)
    end
  end

  defp next(wire, deadline), do: receive_more(wire, 1, deadline)

  # At least `missing` bytes: a long message is put together once, not once a packet.
  defp receive_more(wire, missing, deadline) do
    with {:ok, parts} <- receive_parts(wire, missing, [], deadline) do
      next(%{wire | buffer: IO.iodata_to_binary([wire.buffer | Enum.reverse(parts)])}, deadline)
    end
  end

  defp receive_parts(_wire, missing, parts, _deadline) when missing <= 0, do: {:ok, parts}

  defp receive_parts(wire, missing, parts, deadline) do
    remaining = max(deadline - System.monotonic_time(:millisecond), 0)

    case wire.receive.(remaining, wire.buffer == "" and parts == []) do
      {:ok, bytes} -> receive_parts(wire, missing - byte_size(bytes), [bytes | parts], deadline)
      {:error, :timeout} -> {:error, Error.new(:timeout, "the database has not answered in time")}
      {:error, reason} -> {:error, connection_error(reason)}
    end
  end

  defp transmit(wire, data) do
    with {:error, reason} <- wire.send.(data), do: {:error, connection_error(reason)}
  end

  defp message(type, body), do: [type, <<IO.iodata_length(body) + 4::32>>, body]

  defp server_error(fields) do
    values =
      for <<key, value::binary>> <- String.split(fields, <<0>>, trim: true), into: %{}, do: {key, value}

    Error.new(:sql, "#{values[?S]}: #{values[?M]}", values[?C])
  end

  defp connection_error({:refused, message}), do: Error.new(:connection, message)
  defp connection_error(:closed), do: Error.new(:connection, "the database has closed the connection")

  defp connection_error(reason),
    do: Error.new(:connection, "the connection broke: #{:inet.format_error(reason)}")

  defp unexpected(type), do: protocol_error("unexpected message #{inspect(<<type>>)}")
  defp protocol_error(message), do: {:error, Error.new(:protocol, message)}
end
