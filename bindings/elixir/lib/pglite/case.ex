defmodule Pglite.Case do
  @moduledoc """
  A branch of the database for each test: tests write and commit what they like, beside each other (`async: true`), and start from
  the same state. For code that a transaction that is rolled back doesn't suit: several processes, `LISTEN`, DDL, `COMMIT`.

  Start one instance in `test/test_helper.exs`, and put into it what every test shall find:

      {:ok, {_manager, conn}} = Pglite.start_link(name: MyApp.TestDatabase)
      Postgrex.query!(conn, "create table users (id int primary key, name text)", [])

  Then, with Postgrex:

      defmodule MyApp.UsersTest do
        use ExUnit.Case, async: true
        use Pglite.Case, server: MyApp.TestDatabase

        test "an empty table", %{conn: conn} do
          assert Postgrex.query!(conn, "select * from users", []).rows == []
        end
      end

  or with Ecto: the repository is started for the test, and the test's process uses it (`c:Ecto.Repo.put_dynamic_repo/1`):

      use Pglite.Case, server: MyApp.TestDatabase, repo: MyApp.Repo

  Options:

    * `:server` - the instance. Required
    * `:repo` - an Ecto repository; without it a connection of the driver's is started
    * `:driver` - Default: `Postgrex`
    * `:options` - more options for the repository or the driver, like `[pool_size: 2]`

  The test's context has `:branch` (its name), `:connection_options`, and `:conn` (of the driver) or `:repo` (the repository's pid).
  """

  # ExUnit is there in tests only.
  @compile {:no_warn_undefined, ExUnit.Callbacks}

  @doc false
  defmacro __using__(options) do
    quote do
      setup do
        Pglite.Case.start_branch(unquote(options))
      end
    end
  end

  @doc "What `use Pglite.Case` does before each test; for a `setup` of your own."
  @spec start_branch(keyword) :: %{required(atom) => term}
  def start_branch(options) do
    server = Keyword.fetch!(options, :server)
    name = "test_" <> Base.encode16(:crypto.strong_rand_bytes(8), case: :lower)

    connection_options =
      case Pglite.branch(server, name) do
        {:ok, connection_options} -> connection_options
        {:error, error} -> raise error
      end

    # After the test's processes have ended.
    ExUnit.Callbacks.on_exit(fn -> Pglite.drop_branch(server, name) end)
    context = %{branch: name, connection_options: connection_options}
    all = Keyword.merge(connection_options, Keyword.get(options, :options, []))

    case options[:repo] do
      nil -> Map.put(context, :conn, start_driver(Keyword.get(options, :driver, Postgrex), all))
      repo -> Map.put(context, :repo, start_repo(repo, all))
    end
  end

  defp start_driver(driver, options) do
    ExUnit.Callbacks.start_supervised!(%{id: driver, start: {driver, :start_link, [options]}})
  end

  # An ordinary pool, also where the configuration for tests says Ecto.Adapters.SQL.Sandbox: the branch is the sandbox.
  defp start_repo(repo, options) do
    pid =
      ExUnit.Callbacks.start_supervised!(
        {repo, Keyword.merge([name: nil, pool: DBConnection.ConnectionPool], options)}
      )

    repo.put_dynamic_repo(pid)
    pid
  end
end
