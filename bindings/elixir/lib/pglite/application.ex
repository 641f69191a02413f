defmodule Pglite.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _arguments) do
    Supervisor.start_link([Pglite.Janitor], strategy: :one_for_one, name: Pglite.Supervisor)
  end
end
