defmodule Pglite.OsProcess do
  @moduledoc false
  # An OS process that can't be mistaken for a later one with the same pid: known by its pid and the time it was started
  # at, from /proc.

  @type t :: {pid :: pos_integer, started :: String.t()}

  @poll_ms 10

  @doc "The process that has this pid now."
  @spec identify(pos_integer | String.t()) :: {:ok, t} | :gone
  def identify(pid) do
    case stat(pid) do
      {:ok, _state, started} -> {:ok, {to_integer(pid), started}}
      :gone -> :gone
    end
  end

  @doc "This BEAM."
  @spec this() :: t
  def this do
    {:ok, process} = identify(System.pid())
    process
  end

  @doc "A zombie counts as gone."
  @spec alive?(t) :: boolean
  def alive?({pid, started}) do
    case stat(pid) do
      {:ok, state, ^started} -> state not in ["Z", "X"]
      _another_or_none -> false
    end
  end

  @doc "Nothing happens when the process is gone."
  @spec signal(t, :int | :kill) :: :ok
  def signal({pid, _started} = process, signal) do
    name = %{int: "INT", kill: "KILL"} |> Map.fetch!(signal)
    _ = if alive?(process), do: :os.cmd(String.to_charlist("kill -s #{name} #{pid}"))
    :ok
  end

  @doc "Waits until the process is gone."
  @spec await_exit(t, non_neg_integer) :: :ok | :timeout
  def await_exit(process, timeout_ms) do
    cond do
      not alive?(process) ->
        :ok

      timeout_ms <= 0 ->
        :timeout

      true ->
        Process.sleep(min(@poll_ms, timeout_ms))
        await_exit(process, timeout_ms - @poll_ms)
    end
  end

  @doc "Which numbering of processes this BEAM lives in: a pid means nothing in another container."
  @spec pid_namespace() :: String.t()
  def pid_namespace do
    case File.read_link("/proc/self/ns/pid") do
      {:ok, link} -> String.replace(link, ~r/\D/, "")
      {:error, _} -> "0"
    end
  end

  # Fields 3 (state) and 22 (starttime); field 2 is the command in parentheses and may hold anything.
  defp stat(pid) do
    with {:ok, text} <- File.read("/proc/#{pid}/stat"),
         [_, rest] <- Regex.run(~r/^.*\) (.*)$/s, text),
         [state | fields] <- String.split(rest),
         started when is_binary(started) <- Enum.at(fields, 18) do
      {:ok, state, started}
    else
      _ -> :gone
    end
  end

  defp to_integer(pid) when is_integer(pid), do: pid
  defp to_integer(pid), do: String.to_integer(pid)
end
