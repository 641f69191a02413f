defmodule Pglite do
  @moduledoc """
  A whole PostgreSQL 18 as a child of your application: no server to install, ready in milliseconds.

      {:ok, {manager, conn}} = Pglite.start_link()
      {:ok, _} = Postgrex.query(conn, "create table users (id int primary key, name text)", [])
      :ok = Pglite.stop(manager)

  Each instance is an OS process of its own (`calf serve`), reached through a Unix socket in a private temporary folder. It ends
  with its manager, also when the BEAM is killed. Its sessions are PostgreSQL's own: `pool_size: 10` gives ten that really run
  beside each other.

  ## In a supervision tree

      children = [
        {Pglite, name: MyApp.Database, data_dir: "priv/data", driver: false},
        MyApp.Repo
      ]

  with `Pglite.get_connection_opts(MyApp.Database)` merged into the repo's configuration in `c:Ecto.Repo.init/2`. When the database
  is killed its manager ends and the supervisor starts both anew: a data directory comes back with its data, and a *named* instance
  at the same socket, so that pools reconnect by themselves.

  ## Errors

  Functions return `{:error, %Pglite.Error{}}`; its `reason` is for programs, its message for people.
  """

  alias Pglite.{Error, Options, Server, Wire}

  @typedoc "A manager, by pid or name."
  @type manager :: GenServer.server()

  @typedoc """
  What `start_link/1` takes.

    * `:data_dir` - a directory for the data, made when it is not there. Default: in memory
    * `:memory` - `true`: in memory, whatever `:data_dir` says
    * `:name` - registers the manager (an atom, `{:global, term}` or `{:via, module, term}`)
    * `:conn_name` - registers the pool of connections (Postgrex's `:name`)
    * `:username`, `:database` - made when they are not there. Default: `"postgres"`
    * `:password` - a string, or a function that returns one; clients then log in by SCRAM-SHA-256
    * `:extensions` - names of extensions, created in the database at start
    * `:settings` - PostgreSQL's settings: `[work_mem: "64MB", fsync: "off"]`
    * `:tcp_port` - listens on 127.0.0.1, too; 0 takes a free port. Without a password every user of the machine may log in there
    * `:startup_timeout` - milliseconds until the database must be ready. Default: 30000
    * `:stop_timeout` - milliseconds for PostgreSQL's fast shutdown, before it is killed. Default: 10000
    * `:calf_path` - the program; see `Pglite.Executable`
    * `:mode` - `:socket`, the default. A database behind a port has no pool: see `Pglite.Port`
    * `:driver` - the module whose `start_link/1` and `query/4` are used. Default: `Postgrex`; `false` starts none

  All others go to `Postgrex.start_link/1`: `:pool_size`, `:timeout`, `:parameters`, `:types`, …
  """
  @type option :: {atom, term}

  @doc """
  Starts an instance and a pool of connections to it, linked to the caller. Returns when queries are answered.

      {:ok, {manager, conn}} = Pglite.start_link(data_dir: "/var/lib/my_app/db", pool_size: 10)

  With `driver: false` there is no pool:

      iex> {:ok, {manager, nil}} = Pglite.start_link(driver: false)
      iex> Pglite.health_check(manager)
      :ok
      iex> Pglite.stop(manager)
      :ok

  An error is a value; the caller isn't ended by it:

      iex> {:error, error} = Pglite.start_link(startup_timeout: :soon)
      iex> error.reason
      :invalid_option
  """
  @spec start_link([option]) :: {:ok, {pid, pid | nil}} | {:error, Error.t() | {:already_started, pid}}
  def start_link(options \\ []) do
    with {:ok, manager} <- Server.start_link(options), do: {:ok, {manager, Server.info(manager).conn}}
  end

  @doc """
  For supervisors: `{Pglite, options}`. The child is the manager; get its pool by `conn/1`, or name it with `:conn_name`.
  Several in one supervisor need a `:name` each.
  """
  @spec child_spec([option]) :: Supervisor.child_spec()
  def child_spec(options) do
    %{
      id: Keyword.get(options, :name, __MODULE__),
      start: {Server, :start_link, [Options.conceal(options)]},
      type: :worker,
      # The manager's own wait is bounded: never leave it no time to tidy up.
      shutdown: :infinity
    }
  end

  @doc """
  Stops an instance: the pool, then the database by PostgreSQL's fast shutdown, then its folder. Returns when all are gone. A
  supervisor would start it anew: there, use `Supervisor.terminate_child/2`.
  """
  @spec stop(manager) :: :ok | {:error, Error.t()}
  def stop(manager) do
    GenServer.stop(manager, :normal, :infinity)
  catch
    :exit, {:noproc, _} ->
      {:error, Error.new(:not_running, "no instance runs as #{inspect(manager)}")}

    :exit, reason ->
      {:error, Error.new(:exited, "it ended while it was told to: #{Exception.format_exit(reason)}")}
  end

  @doc "The pool's pid; `nil` with `driver: false`."
  @spec conn(manager) :: pid | nil
  def conn(manager), do: Server.info(manager).conn

  @doc """
  Asks the database for an answer (`select 1`), through the pool if there is one, otherwise in a session of its own. A pool whose
  connections are all busy until the deadline is not healthy.
  """
  @spec health_check(manager, timeout_ms :: pos_integer) :: :ok | {:error, Error.t()}
  def health_check(manager, timeout \\ 5_000) do
    case run(manager, "select 1", timeout) do
      {:ok, [["1"]]} -> :ok
      {:ok, [[1]]} -> :ok
      {:ok, other} -> {:error, Error.new(:protocol, "select 1 gave #{inspect(other)}")}
      {:error, error} -> {:error, error}
    end
  end

  @doc """
  Postgrex's (and an Ecto repository's) options for a connection to this instance.

      {:ok, conn} = Postgrex.start_link(Pglite.get_connection_opts(manager))

      iex> {:ok, {manager, nil}} = Pglite.start_link(driver: false, database: "shop")
      iex> Pglite.get_connection_opts(manager) |> Keyword.take([:username, :database])
      [username: "postgres", database: "shop"]
      iex> Pglite.stop(manager)
      :ok
  """
  @spec get_connection_opts(manager) :: keyword
  def get_connection_opts(manager), do: manager |> Server.info() |> Server.connection_options()

  @doc "Where the instance listens, and which OS process it is."
  @spec get_socket_info(manager) :: %{
          socket_dir: Path.t(),
          socket_path: Path.t(),
          port: pos_integer,
          tcp_port: pos_integer | nil,
          os_pid: pos_integer | nil,
          data_dir: Path.t() | nil
        }
  def get_socket_info(manager) do
    manager |> Server.info() |> Map.take([:socket_dir, :socket_path, :port, :tcp_port, :os_pid, :data_dir])
  end

  @branch_timeout_ms 30_000

  @doc """
  Makes a branch: a copy of the whole database, written on apart from it, made in milliseconds. Returns the options for a
  connection to it.

      {:ok, options} = Pglite.branch(manager, "b1")
      {:ok, conn} = Postgrex.start_link(options)
  """
  @spec branch(manager, String.t()) :: {:ok, keyword} | {:error, Error.t()}
  def branch(manager, name) do
    with {:ok, _} <- call_sql(manager, "branch", name) do
      options = get_connection_opts(manager)
      {:ok, Keyword.update!(options, :database, &(&1 <> "@" <> name))}
    end
  end

  @doc "Drops a branch with all that was written to it."
  @spec drop_branch(manager, String.t()) :: :ok | {:error, Error.t()}
  def drop_branch(manager, name), do: with({:ok, _} <- call_sql(manager, "drop_branch", name), do: :ok)

  @doc "Sets a branch back to what its database is now."
  @spec reset_branch(manager, String.t()) :: :ok | {:error, Error.t()}
  def reset_branch(manager, name), do: with({:ok, _} <- call_sql(manager, "reset_branch", name), do: :ok)

  @doc "The names of the branches."
  @spec branches(manager) :: {:ok, [String.t()]} | {:error, Error.t()}
  def branches(manager) do
    with {:ok, rows} <- branch_sql(manager, "select name from calf.branches() order by name") do
      {:ok, List.flatten(rows)}
    end
  end

  defp call_sql(manager, function, name) when is_binary(name) do
    branch_sql(manager, "select calf.#{function}(#{Wire.literal(name)})")
  end

  # Never in the pool's sessions: they may be in a transaction, or a sandbox.
  defp branch_sql(manager, sql), do: own_session(Server.info(manager), sql, Wire.deadline(@branch_timeout_ms))

  defp run(manager, sql, timeout) do
    deadline = Wire.deadline(timeout)

    case Server.info(manager, timeout) do
      %{conn: nil} = info -> own_session(info, sql, deadline)
      info -> through_pool(info, sql, deadline)
    end
  catch
    :exit, _ -> {:error, Error.new(:not_running, "no instance runs as #{inspect(manager)}")}
  end

  defp own_session(info, sql, deadline) do
    options = [
      username: info.username,
      database: info.database,
      password: info.password.(),
      timeout: left(deadline)
    ]

    with {:ok, wire} <- Wire.connect(info.socket_path, options) do
      result = Wire.query(wire, sql, left(deadline))
      Wire.close(wire)

      case result do
        {:ok, results, _wire} -> {:ok, Enum.flat_map(results, & &1.rows)}
        {:error, error, _wire} -> {:error, error}
      end
    end
  end

  # In a process that can be given up: a driver's own timeouts are for parts of the call.
  defp through_pool(%{driver: driver, conn: conn}, sql, deadline) do
    timeout = left(deadline)
    {pid, reference} = spawn_monitor(fn -> exit({:answer, ask_driver(driver, conn, sql, timeout)}) end)

    receive do
      {:DOWN, ^reference, :process, _pid, {:answer, answer}} ->
        answer

      {:DOWN, ^reference, :process, _pid, reason} ->
        {:error, Error.new(:connection, Exception.format_exit(reason))}
    after
      timeout ->
        Process.demonitor(reference, [:flush])
        Process.exit(pid, :kill)
        {:error, Error.new(:timeout, "no answer within #{timeout} ms")}
    end
  end

  defp ask_driver(driver, conn, sql, timeout) do
    case driver.query(conn, sql, [], timeout: timeout) do
      {:ok, %{rows: rows}} -> {:ok, rows}
      {:error, error} -> {:error, Error.new(:connection, Exception.message(error))}
    end
  rescue
    error -> {:error, Error.new(:connection, Exception.message(error))}
  end

  defp left(deadline), do: max(deadline - System.monotonic_time(:millisecond), 1)
end
