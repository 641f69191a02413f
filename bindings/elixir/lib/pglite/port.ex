defmodule Pglite.Port do
  @moduledoc """
  A database behind an Erlang port (`calf port`): no socket, no folder, one session. The protocol travels in packets over standard
  input and output. For scripts and tools that want a database to themselves; for pools, Postgrex and Ecto use `Pglite`.

      {:ok, database} = Pglite.Port.start_link(data_dir: "priv/data")
      {:ok, [%{rows: [["1"]]}]} = Pglite.Port.query(database, "select 1")
      :ok = Pglite.Port.stop(database)

  The program's log goes to the BEAM's standard error.
  """

  use GenServer

  alias Pglite.{Error, Executable, Options, OsProcess, Wire}

  @query_timeout_ms 15_000

  @typedoc """
  `:data_dir`, `:memory`, `:name`, `:username`, `:database`, `:calf_path`, `:startup_timeout` and `:stop_timeout` as for
  `Pglite.start_link/1`; `:debug` is PostgreSQL's debug level, 0 to 5.
  """
  @type option :: {atom, term}

  @doc "Starts a database, and logs in."
  @spec start_link([option]) :: {:ok, pid} | {:error, Error.t() | {:already_started, pid}}
  def start_link(raw \\ []) do
    {debug, raw} = Keyword.pop(raw, :debug, 0)

    with {:ok, options} <- Options.parse(Keyword.put(raw, :driver, false)),
         {:ok, environment} <- environment(options, debug),
         {:error, {:shutdown, %Error{} = error}} <-
           GenServer.start_link(
             __MODULE__,
             {options, environment},
             if(options.name, do: [name: options.name], else: [])
           ) do
      {:error, error}
    end
  end

  @doc """
  Runs a script of SQL statements: one result for each. Values are text, as PostgreSQL prints them, and `nil`. When the answer
  isn't there in time, the database ends: its state is not known then.
  """
  @spec query(GenServer.server(), String.t(), timeout_ms :: pos_integer) ::
          {:ok, [Wire.result()]} | {:error, Error.t()}
  def query(database, sql, timeout \\ @query_timeout_ms) do
    GenServer.call(database, {:query, sql, timeout}, :infinity)
  catch
    :exit, {reason, _} ->
      {:error,
       Error.new(:not_running, "no database runs as #{inspect(database)}: #{Exception.format_exit(reason)}")}
  end

  @doc "Ends the session and the database, which shuts down in order."
  @spec stop(GenServer.server()) :: :ok
  def stop(database), do: GenServer.stop(database, :normal, :infinity)

  @doc false
  # For measurements: a session that belongs to the caller, and the process behind it.
  @spec open(Options.t(), [{charlist, charlist | false}]) ::
          {:ok, Wire.t(), OsProcess.t()} | {:error, Error.t()}
  def open(options, environment) do
    deadline = Wire.deadline(options.startup_timeout)
    login = [username: options.username, database: options.database, password: options.password.()]

    with {:ok, executable} <- Executable.find(options.calf_path),
         {:ok, port, process} <- spawn_port(executable, environment) do
      case Wire.log_in(Wire.over_port(port), login, deadline) do
        {:ok, wire} ->
          {:ok, wire, process}

        {:error, error} ->
          OsProcess.signal(process, :kill)
          {:error, error}
      end
    end
  end

  @doc false
  @spec environment(Options.t(), term) :: {:ok, [{charlist, charlist | false}]} | {:error, Error.t()}
  def environment(options, debug) when debug in 0..5 do
    variables = [
      Options.variable(~c"PGLITE_DATA_DIR", options.data_dir || "memory://"),
      Options.variable(~c"PGLITE_USERNAME", options.username),
      Options.variable(~c"PGLITE_DATABASE", options.database),
      Options.variable(~c"PGLITE_DEBUG", Integer.to_string(debug))
    ]

    {:ok, Options.environment(options) ++ variables}
  end

  def environment(_options, debug) do
    {:error, Error.new(:invalid_option, ":debug must be a level from 0 to 5, not #{inspect(debug)}")}
  end

  defp spawn_port(executable, environment) do
    options = [:binary, :exit_status, :hide, packet: 4, env: environment, args: ["port"]]
    port = Port.open({:spawn_executable, executable}, options)

    with {:os_pid, pid} <- Port.info(port, :os_pid), {:ok, process} <- OsProcess.identify(pid) do
      {:ok, port, process}
    else
      _ -> {:error, Error.new(:startup_failed, "#{executable} ended at once")}
    end
  rescue
    error in ErlangError ->
      {:error, Error.new(:startup_failed, "cannot run #{executable}: #{inspect(error.original)}")}
  end

  @impl true
  def init({options, environment}) do
    Process.flag(:trap_exit, true)

    case open(options, environment) do
      {:ok, wire, process} ->
        {:ok, %{wire: wire, process: process, stop_timeout: options.stop_timeout}}

      {:error, error} ->
        Pglite.Server.unlink_parent()
        {:stop, {:shutdown, error}}
    end
  end

  @impl true
  def handle_call({:query, sql, timeout}, _from, state) do
    case Wire.query(state.wire, sql, timeout) do
      {:ok, results, wire} -> {:reply, {:ok, results}, %{state | wire: wire}}
      {:error, %Error{reason: :sql} = error, wire} -> {:reply, {:error, error}, %{state | wire: wire}}
      {:error, error, wire} -> {:stop, {:shutdown, error}, {:error, error}, %{state | wire: wire}}
    end
  end

  @impl true
  def handle_info({port, {:data, bytes}}, state) when is_port(port) do
    {:noreply, %{state | wire: Wire.push(state.wire, bytes)}}
  end

  def handle_info({port, {:exit_status, status}}, state) when is_port(port) do
    {:stop, Error.new(:exited, "calf ended with status #{status}"), state}
  end

  def handle_info({:EXIT, from, reason}, state) when is_port(from) or reason == :normal, do: {:noreply, state}
  def handle_info({:EXIT, _from, reason}, state), do: {:stop, reason, state}
  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state) do
    Wire.close(state.wire)

    with :timeout <- OsProcess.await_exit(state.process, state.stop_timeout) do
      OsProcess.signal(state.process, :kill)
    end
  end
end
