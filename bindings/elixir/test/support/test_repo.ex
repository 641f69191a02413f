defmodule Pglite.TestRepo do
  @moduledoc false
  # The part of an Ecto repository that `Pglite.Case` uses: started with options, chosen per process.

  def child_spec(options), do: %{id: __MODULE__, start: {__MODULE__, :start_link, [options]}}

  def start_link(options) do
    {nil, options} = Keyword.pop!(options, :name)
    Pglite.TestDriver.start_link(options)
  end

  def put_dynamic_repo(pid), do: Process.put(__MODULE__, pid)

  def query!(sql) do
    {:ok, result} = Pglite.TestDriver.query(Process.get(__MODULE__), sql, [])
    result
  end
end
