defmodule Calf do
  @moduledoc "The server of `calf serve --run`: PGHOST, PGPORT and PGUSER say where it is."

  @doc "A copy of `database` under a name of its own."
  def branch!(name, database \\ System.fetch_env!("PGDATABASE")) do
    run!("calf", ["branch", "create", name], [{"PGDATABASE", database}])
  end

  def drop!(name), do: run!("calf", ["branch", "drop", name], [])

  @doc "With psql, so that this needs no package; with Postgrex the database's name is all that differs."
  def query(database, sql) do
    case System.cmd("psql", ["-XAtqc", sql, database], stderr_to_stdout: true) do
      {output, 0} -> {:ok, String.trim(output)}
      {output, _} -> {:error, output}
    end
  end

  defp run!(program, arguments, environment) do
    {output, 0} = System.cmd(program, arguments, env: environment)
    String.trim(output)
  end
end

defmodule Calf.Case do
  @moduledoc "`use Calf.Case`: each test has a database of its own, `%{database: name}`."
  use ExUnit.CaseTemplate

  setup do
    name = "test-#{System.unique_integer([:positive])}"
    database = Calf.branch!(name, "postgres@template")
    on_exit(fn -> Calf.drop!(name) end)
    %{database: database}
  end
end

template = Calf.branch!("template")
{:ok, _} = Calf.query(template, "create table users (id serial primary key, name text unique not null)")

ExUnit.start()
