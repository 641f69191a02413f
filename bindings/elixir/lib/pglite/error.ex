defmodule Pglite.Error do
  @moduledoc """
  What went wrong: `reason` for programs, `message` for people, `sqlstate` when PostgreSQL said it.

  Reasons: `:invalid_option`, `:executable_not_found`, `:driver_missing`, `:startup_failed`, `:startup_timeout`,
  `:exited` (the database ended unasked), `:not_running`, `:timeout`, `:connection`, `:protocol`, `:sql`.
  """

  defexception [:reason, :message, :sqlstate]

  @type t :: %__MODULE__{reason: atom, message: String.t(), sqlstate: String.t() | nil}

  @doc false
  @spec new(atom, String.t(), String.t() | nil) :: t
  def new(reason, message, sqlstate \\ nil) do
    %__MODULE__{reason: reason, message: message, sqlstate: sqlstate}
  end
end
