defmodule Pglite.Executable do
  @moduledoc """
  Where the program `calf` is: option `:calf_path`, `config :pglite, calf_path: …`, environment variable `CALF_PATH`,
  `priv/calf` of this package (see `mix calf.install`), `PATH`. What is named explicitly must be there: nothing else is tried then.
  """

  alias Pglite.Error

  @doc "The program's path."
  @spec find(Path.t() | nil) :: {:ok, Path.t()} | {:error, Error.t()}
  def find(option \\ nil) do
    explicit = [
      {option, "option :calf_path"},
      {Application.get_env(:pglite, :calf_path), "config :pglite, :calf_path"},
      {System.get_env("CALF_PATH"), "CALF_PATH"}
    ]

    case Enum.find(explicit, fn {path, _source} -> path not in [nil, ""] end) do
      {path, source} -> check(Path.expand(path), source)
      nil -> installed()
    end
  end

  defp installed do
    packaged = packaged()

    cond do
      packaged != nil and executable?(packaged) -> {:ok, packaged}
      found = System.find_executable("calf") -> {:ok, found}
      true -> not_found("the program calf is not installed; run mix calf.install, or set CALF_PATH")
    end
  end

  defp packaged do
    case :code.priv_dir(:pglite) do
      {:error, :bad_name} -> nil
      folder -> Path.join(List.to_string(folder), "calf")
    end
  end

  defp check(path, source) do
    if executable?(path), do: {:ok, path}, else: not_found("#{path} (#{source}) is not an executable file")
  end

  defp not_found(message), do: {:error, Error.new(:executable_not_found, message)}

  defp executable?(path) do
    case File.stat(path) do
      {:ok, %File.Stat{type: :regular, mode: mode}} -> Bitwise.band(mode, 0o111) != 0
      _ -> false
    end
  end
end
