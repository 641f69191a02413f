defmodule Pglite.LogLine do
  @moduledoc false
  # A line of the server's log: which of Logger's levels it has, and what it says.

  @levels %{
    "DEBUG" => :debug,
    "LOG" => :info,
    "INFO" => :info,
    "NOTICE" => :notice,
    "WARNING" => :warning,
    "ERROR" => :error,
    "FATAL" => :error,
    "PANIC" => :critical
  }
  @line ~r/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \S+ \[\d+\] .*?(DEBUG|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION|BACKTRACE)\d?:  (.*)$/s

  @type level :: :debug | :info | :notice | :warning | :error | :critical

  @doc """
  Details, hints and further lines of a message have its level: give the level of the line before.

      iex> Pglite.LogLine.parse("2026-01-02 03:04:05.678 UTC [42] WARNING:  out of milk", :info)
      {:warning, "WARNING:  out of milk"}

      iex> Pglite.LogLine.parse("2026-01-02 03:04:05.678 UTC [42] HINT:  Buy some.", :warning)
      {:warning, "HINT:  Buy some."}

      iex> Pglite.LogLine.parse("calf: cannot start", :info)
      {:error, "calf: cannot start"}
  """
  @spec parse(binary, level) :: {level, binary}
  def parse("calf: " <> _ = line, _level_before), do: {:error, line}

  def parse(line, level_before) do
    case Regex.run(@line, line) do
      [_, severity, text] -> {Map.get(@levels, severity, level_before), severity <> ":  " <> text}
      nil -> {level_before, line}
    end
  end

  @doc """
  The line as Logger may have it: without the password, and valid UTF-8.

      iex> Pglite.LogLine.presentable("alter role x password 's3cret'", "s3cret")
      "alter role x password '********'"
  """
  @spec presentable(binary, String.t() | nil) :: String.t()
  def presentable(line, password) do
    line = if password, do: String.replace(line, password, "********"), else: line
    if String.valid?(line), do: line, else: inspect(line, binaries: :as_strings, printable_limit: :infinity)
  end
end
