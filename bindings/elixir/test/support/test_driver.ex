defmodule Pglite.TestDriver do
  @moduledoc false
  # A pool of sessions with the two functions of Postgrex's that the library uses, for tests where Hex is out of reach: real
  # sessions of the real database, over `Pglite.Wire`. Parameters and types are not supported: values are text.

  use GenServer

  alias Pglite.{Server, Wire}

  @doc "The driver of this test run."
  def module, do: if(Code.ensure_loaded?(Postgrex), do: Postgrex, else: __MODULE__)

  @doc "Rows of one statement in a session of its own."
  def once(manager, sql) do
    info = Server.info(manager)
    options = [username: info.username, database: info.database, password: info.password.()]
    {:ok, wire} = Wire.connect(info.socket_path, options)
    {:ok, results, wire} = Wire.query(wire, sql, 10_000)
    Wire.close(wire)
    List.last(results).rows
  end

  def start_link(options) do
    GenServer.start_link(__MODULE__, options, Keyword.take(options, [:name]))
  end

  def query(pool, sql, [], options \\ []) do
    timeout = Keyword.get(options, :timeout, 15_000)
    GenServer.call(pool, {:query, sql, timeout}, timeout)
  end

  @impl true
  def init(options) do
    pool = self()

    workers =
      for _ <- 1..Keyword.get(options, :pool_size, 1), do: spawn_link(fn -> work(pool, connect(options)) end)

    {:ok, %{idle: workers, waiting: :queue.new()}}
  end

  defp connect(options) do
    {:ok, wire} = Wire.connect(Path.join(options[:socket_dir], ".s.PGSQL.#{options[:port]}"), options)
    wire
  end

  defp work(pool, wire) do
    receive do
      {from, sql, timeout} ->
        {answer, wire} = run(wire, sql, timeout)
        GenServer.reply(from, answer)
        send(pool, {:idle, self()})
        work(pool, wire)
    end
  end

  defp run(wire, sql, timeout) do
    case Wire.query(wire, sql, timeout) do
      {:ok, results, wire} -> {{:ok, %{rows: List.last(results).rows}}, wire}
      {:error, error, wire} -> {{:error, error}, wire}
    end
  end

  @impl true
  def handle_call({:query, sql, timeout}, from, state) do
    {:noreply, assign(%{state | waiting: :queue.in({from, sql, timeout}, state.waiting)})}
  end

  @impl true
  def handle_info({:idle, worker}, state), do: {:noreply, assign(%{state | idle: [worker | state.idle]})}

  defp assign(%{idle: [worker | idle]} = state) do
    case :queue.out(state.waiting) do
      {{:value, job}, waiting} ->
        send(worker, job)
        %{state | idle: idle, waiting: waiting}

      {:empty, _} ->
        state
    end
  end

  defp assign(state), do: state
end
