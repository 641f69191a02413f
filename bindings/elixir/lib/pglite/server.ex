defmodule Pglite.Server do
  @moduledoc false
  # The manager of one instance: runs `calf serve` as an OS process of its own, starts the pool of connections to it, and ends
  # both. The server ends with this process, however this process ends: its standard input closes.

  use GenServer
  require Logger

  alias Pglite.{Error, Executable, Janitor, LogLine, Options, OsProcess, ReadyLine, SocketFolder}

  # The port's driver cuts longer lines; pieces are put together up to the second limit.
  @line_piece 8_192
  @longest_line 65_536
  # Lines of a start that failed without saying why.
  @kept_lines 20
  @kill_wait_ms 5_000

  defstruct [
    :options,
    :folder,
    :port,
    :process,
    :socket_path,
    :socket_port,
    :conn,
    piece: "",
    level: :info,
    last_lines: []
  ]

  @type info :: %{
          conn: pid | nil,
          driver: module | nil,
          data_dir: Path.t() | nil,
          os_pid: pos_integer | nil,
          socket_dir: Path.t(),
          socket_path: Path.t(),
          port: pos_integer,
          tcp_port: pos_integer | nil,
          username: String.t(),
          database: String.t(),
          password: Options.secret()
        }

  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(raw) do
    with {:ok, options} <- Options.parse(raw),
         {:error, {:shutdown, %Error{} = error}} <-
           GenServer.start_link(__MODULE__, options, if(options.name, do: [name: options.name], else: [])) do
      {:error, error}
    end
  end

  @doc "What clients need to know. Exits as `GenServer.call/3` does."
  @spec info(GenServer.server(), timeout) :: info
  def info(server, timeout \\ 5_000), do: GenServer.call(server, :info, timeout)

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)

    case start(options) do
      {:ok, state} ->
        {:ok, state}

      {:error, error} ->
        # The caller gets the error as a value; an exit signal beside it would end those that handle it.
        unlink_parent()
        {:stop, {:shutdown, error}}
    end
  end

  defp start(options) do
    deadline = now() + options.startup_timeout

    with :ok <- check_driver(options.driver),
         {:ok, executable} <- Executable.find(options.calf_path),
         {:ok, folder} <- Janitor.prepare(options.name, options.data_dir, options.startup_timeout) do
      with {:ok, state} <- launch(%__MODULE__{options: options, folder: folder}, executable),
           {:ok, state} <- await_ready(state, deadline),
           {:ok, state} <- start_driver(state) do
        {:ok, state}
      else
        {:error, error} ->
          Janitor.release(folder)
          {:error, error}
      end
    end
  end

  defp check_driver(nil), do: :ok

  defp check_driver(driver) do
    if Code.ensure_loaded?(driver) do
      :ok
    else
      message = "#{inspect(driver)} is not there: add it to the dependencies, or give driver: false"
      {:error, Error.new(:driver_missing, message)}
    end
  end

  defp launch(state, executable) do
    port =
      Port.open({:spawn_executable, executable}, [
        :binary,
        :exit_status,
        :stderr_to_stdout,
        :hide,
        line: @line_piece,
        env: Options.environment(state.options),
        args: Options.arguments(state.options, state.folder, SocketFolder.port())
      ])

    {:ok, note_process(%{state | port: port})}
  rescue
    error in ErlangError ->
      {:error, Error.new(:startup_failed, "cannot run #{executable}: #{inspect(error.original)}")}
  end

  # A process that is gone already says so by its exit status.
  defp note_process(%{port: port} = state) do
    with {:os_pid, pid} <- Port.info(port, :os_pid),
         {:ok, process} <- OsProcess.identify(pid) do
      # Without the note, what is left behind is still found by the folder's name.
      _ = SocketFolder.write_owner(state.folder, %{process: process, data_dir: state.options.data_dir})
      Janitor.started(process)
      %{state | process: process}
    else
      _ -> state
    end
  end

  defp await_ready(%{port: port} = state, deadline) do
    receive do
      {^port, {:data, data}} ->
        {line, state} = take_line(state, data)
        handle_start_line(line && ReadyLine.parse(line), line, state, deadline)

      {^port, {:exit_status, status}} ->
        {:error, Error.new(:startup_failed, "calf ended with status #{status}#{last_words(state)}")}

      {:EXIT, from, reason} when is_pid(from) and reason != :normal ->
        end_process(state, :kill)
        {:error, Error.new(:exited, "told to stop while starting: #{inspect(reason)}")}
    after
      max(deadline - now(), 0) ->
        end_process(state, :kill)
        {:error, Error.new(:startup_timeout, "calf was not ready within #{state.options.startup_timeout} ms")}
    end
  end

  defp handle_start_line({:ready, ready}, _line, state, _deadline) do
    with [socket_path | _] <- ready["sockets"], socket_port when is_integer(socket_port) <- ready["port"] do
      {:ok, %{state | socket_path: socket_path, socket_port: socket_port, last_lines: []}}
    else
      _ ->
        end_process(state, :kill)
        {:error, Error.new(:protocol, "calf's ready line names no socket; is it of this version?")}
    end
  end

  defp handle_start_line({:failed, message}, _line, state, _deadline) do
    end_process(state, nil)
    {:error, Error.new(:startup_failed, message)}
  end

  defp handle_start_line(nil, nil, state, deadline), do: await_ready(state, deadline)

  defp handle_start_line(:other, line, state, deadline) do
    last = Enum.take([line | state.last_lines], @kept_lines)
    await_ready(%{log(state, line) | last_lines: last}, deadline)
  end

  defp last_words(%{last_lines: []}), do: ""

  defp last_words(state) do
    text = state.last_lines |> Enum.reverse() |> Enum.join("\n")
    ": " <> LogLine.presentable(text, state.options.password.())
  end

  defp start_driver(%{options: %{driver: nil}} = state), do: {:ok, state}

  defp start_driver(%{options: %{driver: driver} = options} = state) do
    case driver.start_link(Keyword.merge(options.driver_options, connection_options(describe(state)))) do
      {:ok, conn} ->
        {:ok, %{state | conn: conn}}

      {:error, reason} ->
        stop_server(state)
        message = "#{inspect(driver)} does not start: #{Exception.format_exit(reason)}"
        {:error, Error.new(:startup_failed, message)}
    end
  end

  @doc "The driver's options for a connection to this instance."
  @spec connection_options(info) :: keyword
  def connection_options(info) do
    options = [
      socket_dir: info.socket_dir,
      port: info.port,
      username: info.username,
      database: info.database
    ]

    case info.password.() do
      nil -> options
      password -> options ++ [password: password]
    end
  end

  @impl true
  def handle_call(:info, _from, state), do: {:reply, describe(state), state}

  defp describe(%{options: options} = state) do
    %{
      conn: state.conn,
      driver: options.driver,
      data_dir: options.data_dir,
      os_pid: state.process && elem(state.process, 0),
      socket_dir: state.folder,
      socket_path: state.socket_path,
      port: state.socket_port,
      tcp_port: if(options.tcp_port, do: state.socket_port),
      username: options.username,
      database: options.database,
      password: options.password
    }
  end

  @impl true
  def handle_info({port, {:data, data}}, %{port: port} = state) do
    {line, state} = take_line(state, data)
    {:noreply, if(line, do: log(state, line), else: state)}
  end

  def handle_info({port, {:exit_status, status}}, %{port: port} = state) do
    error = Error.new(:exited, "calf ended with status #{status}")
    {:stop, error, %{state | port: nil}}
  end

  def handle_info({:EXIT, conn, reason}, %{conn: conn} = state) when is_pid(conn) do
    {:stop, reason, %{state | conn: nil}}
  end

  # Ports of the past, and linked processes that ended well.
  def handle_info({:EXIT, from, reason}, state) when is_port(from) or reason == :normal, do: {:noreply, state}
  def handle_info({:EXIT, _from, reason}, state), do: {:stop, reason, state}
  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state) do
    stop_driver(state.conn)
    stop_server(state)
    Janitor.release(state.folder)
  end

  # First, so that its connections close in order instead of reporting a lost server.
  defp stop_driver(nil), do: :ok

  defp stop_driver(conn) do
    reference = Process.monitor(conn)
    Process.exit(conn, :shutdown)

    receive do
      {:DOWN, ^reference, :process, _pid, _reason} -> :ok
    after
      @kill_wait_ms -> Process.exit(conn, :kill)
    end
  end

  # PostgreSQL's fast shutdown, bounded.
  defp stop_server(%{port: nil}), do: :ok
  defp stop_server(state), do: end_process(state, :int)

  # Ends the server by a signal (or awaits the end it has announced), and kills it when it is not gone in time.
  defp end_process(%{port: port} = state, signal) do
    if signal && state.process, do: OsProcess.signal(state.process, signal)

    with :timeout <- await_exit(state, now() + state.options.stop_timeout) do
      Logger.warning("#{label(state)} did not stop within #{state.options.stop_timeout} ms and is killed")
      if state.process, do: OsProcess.signal(state.process, :kill)
      await_exit(state, now() + @kill_wait_ms)
    end

    if Port.info(port), do: Port.close(port)
    :ok
  end

  defp await_exit(%{port: port} = state, deadline) do
    receive do
      {^port, {:exit_status, _status}} ->
        :ok

      {^port, {:data, data}} ->
        {line, state} = take_line(state, data)
        await_exit(if(line, do: log(state, line), else: state), deadline)
    after
      max(deadline - now(), 0) -> :timeout
    end
  end

  # A whole line, once its last piece is there. What is over the limit is dropped.
  defp take_line(state, {:noeol, piece}), do: {nil, %{state | piece: join(state.piece, piece)}}
  defp take_line(state, {:eol, piece}), do: {join(state.piece, piece), %{state | piece: ""}}

  defp join(before, piece) when byte_size(before) < @longest_line, do: before <> piece
  defp join(before, _piece), do: before

  defp log(state, line) do
    {level, text} = LogLine.parse(line, state.level)
    password = state.options.password

    Logger.log(level, fn -> "#{label(state)} #{LogLine.presentable(text, password.())}" end)
    %{state | level: level}
  end

  defp label(%{options: %{name: nil}}), do: "[calf]"
  defp label(%{options: %{name: name}}), do: "[calf #{inspect(name)}]"

  @doc "Spares the process that starts this one the exit signal of a start that fails."
  @spec unlink_parent() :: term
  def unlink_parent do
    case Process.get(:"$ancestors") do
      [parent | _] when is_pid(parent) -> Process.unlink(parent)
      [parent | _] when is_atom(parent) -> if pid = Process.whereis(parent), do: Process.unlink(pid)
      _ -> :ok
    end
  end

  defp now, do: System.monotonic_time(:millisecond)
end
