defmodule Pglite.Janitor do
  @moduledoc false
  # Sees to it that nothing is left of an instance whose manager is gone: neither the OS process nor the folder.
  #
  # A manager that ends in order cleans up itself and says so (`release/0`). For one that was killed, the janitor waits until the
  # server has noticed that its standard input is closed, kills it if it hasn't in time, and removes the folder. At start it does
  # the same for what BEAMs that are gone have left behind. A new instance waits (in `prepare/3`) until the cleaning for its data
  # directory and its folder is over, for the directory's lock lasts as long as the old process.

  use GenServer
  require Logger

  alias Pglite.{Error, OsProcess, SocketFolder}

  # PostgreSQL's own fast shutdown becomes immediate after 5 s.
  @grace_ms 8_000
  # Managers get this long to stop in order when the application ends.
  @shutdown_ms 12_000

  defmodule Instance do
    @moduledoc false
    defstruct [:manager, :folder, :data_dir, :process]
  end

  defmodule Cleaning do
    @moduledoc false
    defstruct [:folder, :data_dir]
  end

  def child_spec(_argument) do
    %{id: __MODULE__, start: {__MODULE__, :start_link, []}, shutdown: @shutdown_ms + 1_000}
  end

  @spec start_link() :: GenServer.on_start()
  def start_link, do: GenServer.start_link(__MODULE__, nil, name: __MODULE__)

  @doc """
  Makes the calling manager's folder, once whatever used it or the data directory before is gone. Whoever has a name gets the
  same path every time, so that clients find a restarted instance.
  """
  @spec prepare(term, Path.t() | nil, timeout) :: {:ok, Path.t()} | {:error, Error.t()}
  def prepare(name, data_dir, timeout_ms) do
    GenServer.call(__MODULE__, {:prepare, name, data_dir}, timeout_ms)
  catch
    :exit, {:timeout, _} ->
      {:error, Error.new(:startup_timeout, "the instance before has not ended within #{timeout_ms} ms")}

    :exit, {reason, _} ->
      {:error,
       Error.new(:not_running, "the application :pglite doesn't run: #{Exception.format_exit(reason)}")}
  end

  @doc "The calling manager's server runs as this process."
  @spec started(OsProcess.t()) :: :ok
  def started(process), do: GenServer.cast(__MODULE__, {:started, self(), process})

  @doc "The calling manager's server has ended: removes its folder. Doesn't wait for the janitor, who may be waiting for the manager."
  @spec release(Path.t()) :: :ok
  def release(folder) do
    SocketFolder.remove(folder)
    GenServer.cast(__MODULE__, {:released, self()})
  end

  @impl true
  def init(nil) do
    Process.flag(:trap_exit, true)
    state = %{instances: %{}, cleanings: %{}, waiting: [], secret: :crypto.strong_rand_bytes(32)}
    {:ok, Enum.reduce(SocketFolder.left_behind(), state, &clean_left_behind/2)}
  end

  @impl true
  def handle_call({:prepare, name, data_dir}, from, state) do
    {:noreply, serve_waiting(%{state | waiting: state.waiting ++ [{from, name, data_dir}]})}
  end

  @impl true
  def handle_cast({:started, manager, process}, state) do
    {:noreply, put_process(state, manager, process)}
  end

  def handle_cast({:released, manager}, state) do
    {gone, kept} =
      Enum.split_with(state.instances, fn {_reference, instance} -> instance.manager == manager end)

    for {reference, _instance} <- gone, do: Process.demonitor(reference, [:flush])
    {:noreply, serve_waiting(%{state | instances: Map.new(kept)})}
  end

  @impl true
  def handle_info({:DOWN, reference, :process, _pid, _reason}, state) do
    case Map.pop(state.instances, reference) do
      {nil, _instances} ->
        {:noreply, serve_waiting(%{state | cleanings: Map.delete(state.cleanings, reference)})}

      {instance, instances} ->
        {:noreply, clean(%{state | instances: instances}, instance)}
    end
  end

  # Cleaners are not linked; what else may come is an exit signal of somebody's.
  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state) do
    for {_reference, instance} <- state.instances, do: Process.exit(instance.manager, :shutdown)
    deadline = System.monotonic_time(:millisecond) + @shutdown_ms

    for {reference, instance} <- state.instances do
      receive do
        {:DOWN, ^reference, :process, _pid, _reason} -> :ok
      after
        max(deadline - System.monotonic_time(:millisecond), 0) -> :ok
      end

      SocketFolder.remove(instance.folder)
    end
  end

  defp put_process(state, manager, process) do
    instances =
      Map.new(state.instances, fn
        {reference, %Instance{manager: ^manager} = instance} -> {reference, %{instance | process: process}}
        other -> other
      end)

    %{state | instances: instances}
  end

  defp serve_waiting(state) do
    {blocked, ready} =
      Enum.split_with(state.waiting, fn {_from, name, data_dir} -> in_cleaning?(state, name, data_dir) end)

    Enum.reduce(ready, %{state | waiting: blocked}, &admit/2)
  end

  # A manager that is gone is cleaned up after as soon as its end is reported.
  defp in_cleaning?(state, name, data_dir) do
    folder = folder_of(name, state)
    dying = for {_reference, instance} <- state.instances, not Process.alive?(instance.manager), do: instance

    Enum.any?(Map.values(state.cleanings) ++ dying, fn before ->
      before.folder == folder or (data_dir != nil and before.data_dir == data_dir)
    end)
  end

  defp admit({{manager, _tag} = from, name, data_dir}, state) do
    case make_folder(folder_of(name, state)) do
      {:ok, folder} ->
        GenServer.reply(from, {:ok, folder})
        instance = %Instance{manager: manager, folder: folder, data_dir: data_dir}
        %{state | instances: Map.put(state.instances, Process.monitor(manager), instance)}

      {:error, message} ->
        GenServer.reply(from, {:error, Error.new(:startup_failed, message)})
        state
    end
  end

  # Whoever has a name has one folder; only this BEAM can tell which.
  defp folder_of(nil, _state), do: nil
  defp folder_of(name, state), do: name |> SocketFolder.key_of(state.secret) |> SocketFolder.path()

  # A new one, also when somebody has taken the one that belongs to the name.
  defp make_folder(nil) do
    folder = SocketFolder.path(SocketFolder.random_key())

    case SocketFolder.create(folder) do
      :ok -> {:ok, folder}
      {:error, posix} -> {:error, "cannot make #{folder} for the socket: #{:file.format_error(posix)}"}
    end
  end

  defp make_folder(folder) do
    case SocketFolder.create(folder) do
      :ok -> {:ok, folder}
      {:error, _posix} -> make_folder(nil)
    end
  end

  defp clean_left_behind(folder, state) do
    owner = SocketFolder.read_owner(folder) || %{process: nil, data_dir: nil}
    clean(state, %Instance{folder: folder, process: owner.process, data_dir: owner.data_dir})
  end

  defp clean(state, %Instance{folder: folder, process: process, data_dir: data_dir}) do
    {_pid, reference} =
      spawn_monitor(fn ->
        if process, do: end_process(process)
        SocketFolder.remove(folder)
      end)

    cleaning = %Cleaning{folder: folder, data_dir: data_dir}
    %{state | cleanings: Map.put(state.cleanings, reference, cleaning)}
  end

  defp end_process({pid, _started} = process) do
    with :timeout <- OsProcess.await_exit(process, @grace_ms) do
      Logger.warning("calf (pid #{pid}) outlived its manager and is killed")
      OsProcess.signal(process, :kill)
      OsProcess.await_exit(process, @grace_ms)
    end
  end
end
