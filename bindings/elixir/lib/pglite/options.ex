defmodule Pglite.Options do
  @moduledoc false
  # The options of `Pglite.start_link/1`, checked, and what follows from them: the server's command line and environment.

  alias Pglite.Error

  @startup_timeout_ms 30_000
  @stop_timeout_ms 10_000

  @own [
    :data_dir,
    :memory,
    :name,
    :username,
    :database,
    :password,
    :startup_timeout,
    :stop_timeout,
    :extensions,
    :settings,
    :tcp_port,
    :calf_path,
    :driver,
    :conn_name,
    :mode
  ]
  # Where the driver connects is what this library decides.
  @decided [:socket, :socket_dir, :hostname, :port, :endpoints, :url]

  defstruct [
    :name,
    :data_dir,
    :username,
    :database,
    :password,
    :startup_timeout,
    :stop_timeout,
    :extensions,
    :settings,
    :tcp_port,
    :calf_path,
    :driver,
    :driver_options
  ]

  @typedoc "The password is in a function, so that no crash report or state dump shows it."
  @type secret :: (() -> String.t() | nil)

  @type t :: %__MODULE__{
          name: GenServer.name() | nil,
          data_dir: Path.t() | nil,
          username: String.t(),
          database: String.t(),
          password: secret,
          startup_timeout: pos_integer,
          stop_timeout: pos_integer,
          extensions: [String.t()],
          settings: [{String.t(), String.t()}],
          tcp_port: 0..65_535 | nil,
          calf_path: Path.t() | nil,
          driver: module | nil,
          driver_options: keyword
        }

  @doc "Wraps the password of raw options, so that they can be kept in a child specification."
  @spec conceal(keyword) :: keyword
  def conceal(options) do
    case Keyword.fetch(options, :password) do
      {:ok, password} when is_binary(password) -> Keyword.put(options, :password, fn -> password end)
      _absent_or_wrapped -> options
    end
  end

  @spec parse(keyword) :: {:ok, t} | {:error, Error.t()}
  def parse(options) do
    {:ok, parse!(options)}
  catch
    {:invalid, message} -> {:error, Error.new(:invalid_option, message)}
  end

  defp parse!(options) do
    check(Keyword.keyword?(options), "options must be a keyword list")

    for key <- @decided,
        do:
          check(
            not Keyword.has_key?(options, key),
            "#{inspect(key)} can't be given: Pglite decides where to connect"
          )

    {own, rest} = Keyword.split(options, @own)

    check(
      Keyword.get(own, :mode, :socket) == :socket,
      ":mode can only be :socket; for a port there is Pglite.Port"
    )

    %__MODULE__{
      name: name(own[:name]),
      data_dir: data_dir(own[:data_dir], Keyword.get(own, :memory, false)),
      username: text(own, :username, "postgres"),
      database: text(own, :database, "postgres"),
      password: password(own[:password]),
      startup_timeout: milliseconds(own, :startup_timeout, @startup_timeout_ms),
      stop_timeout: milliseconds(own, :stop_timeout, @stop_timeout_ms),
      extensions: extensions(Keyword.get(own, :extensions, [])),
      settings: settings(Keyword.get(own, :settings, [])),
      tcp_port: tcp_port(own[:tcp_port]),
      calf_path: own[:calf_path],
      driver: driver(Keyword.get(own, :driver, Postgrex)),
      driver_options: if(own[:conn_name], do: Keyword.put(rest, :name, own[:conn_name]), else: rest)
    }
  end

  @doc "Arguments of the program. The password isn't among them: other users can read them."
  @spec arguments(t, Path.t(), pos_integer) :: [String.t()]
  def arguments(%__MODULE__{} = options, folder, socket_port) do
    {host, port} = if options.tcp_port, do: {"127.0.0.1", options.tcp_port}, else: {"", socket_port}

    ["serve", options.data_dir || "memory://", "-h", host, "-p", Integer.to_string(port), "-k", folder] ++
      ["--json", "--exit-with-stdin", "--user=" <> options.username, "--db=" <> options.database] ++
      if(options.extensions == [], do: [], else: ["--extensions=" <> Enum.join(options.extensions, ",")]) ++
      Enum.flat_map(options.settings, fn {name, value} -> ["-c", name <> "=" <> value] end)
  end

  # What the BEAM's own environment says about some other database must not reach this one.
  @unset ~w(PGDATA PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_PASSWORD)c

  @doc "Changes of the environment for the program; the password is here."
  @spec environment(t) :: [{charlist, charlist | false}]
  def environment(%__MODULE__{password: password}) do
    unset = Enum.map(@unset, &{&1, false})

    case password.() do
      nil -> unset
      text -> List.keystore(unset, ~c"PGPASSWORD", 0, variable(~c"PGPASSWORD", text))
    end
  end

  @doc "A variable whose value arrives as the text's bytes, whatever the BEAM takes the locale's encoding for."
  @spec variable(charlist, String.t()) :: {charlist, charlist}
  def variable(name, text) do
    case :file.native_name_encoding() do
      :utf8 -> {name, String.to_charlist(text)}
      :latin1 -> {name, :binary.bin_to_list(text)}
    end
  end

  defp name({:global, _term} = name), do: name
  defp name({:via, module, _term} = name) when is_atom(module), do: name

  defp name(name) do
    check(is_atom(name), ":name must be an atom, {:global, term} or {:via, module, term}")
    name
  end

  defp data_dir(_data_dir, true), do: nil
  defp data_dir(nil, false), do: nil
  defp data_dir("memory://" <> _name, false), do: nil
  defp data_dir("file://" <> path, false), do: data_dir(path, false)

  defp data_dir(path, false) do
    check(is_binary(path) and path != "" and clean?(path), ":data_dir must be a path")
    Path.expand(path)
  end

  defp data_dir(_data_dir, other), do: invalid(":memory must be true or false, not #{inspect(other)}")

  defp text(options, key, default) do
    value = Keyword.get(options, key, default)

    check(
      is_binary(value) and value != "" and clean?(value),
      "#{inspect(key)} must be a string that isn't empty"
    )

    value
  end

  defp password(nil), do: fn -> nil end
  defp password(function) when is_function(function, 0), do: password(function.())

  defp password(password) do
    valid = is_binary(password) and password != "" and clean?(password)
    check(valid, ":password must be a string that isn't empty, or a function that returns one")
    fn -> password end
  end

  defp milliseconds(options, key, default) do
    value = Keyword.get(options, key, default)
    check(is_integer(value) and value > 0, "#{inspect(key)} must be a number of milliseconds above 0")
    value
  end

  defp extensions(names) do
    check(is_list(names), ":extensions must be a list of names")

    for name <- names do
      check(
        (is_binary(name) or is_atom(name)) and to_string(name) =~ ~r/^[\w-]+$/,
        "#{inspect(name)} is not an extension's name"
      )

      to_string(name)
    end
  end

  defp settings(settings) do
    check(is_list(settings) or is_map(settings), ":settings must be a list or map of names and values")

    for setting <- settings do
      check(match?({_name, _value}, setting), "#{inspect(setting)} is not a setting: give {name, value}")
      {name, value} = setting
      check(to_string(name) =~ ~r/^[A-Za-z_][\w.]*$/, "#{inspect(name)} is not a setting's name")
      check(clean?(to_string(value)), "the value of #{name} is not text")
      {to_string(name), to_string(value)}
    end
  end

  defp tcp_port(port) do
    check(port == nil or port in 0..65_535, ":tcp_port must be a port, or 0 for a free one")
    port
  end

  defp driver(nothing) when nothing in [nil, false], do: nil

  defp driver(module) do
    check(is_atom(module), ":driver must be a module, or false")
    module
  end

  defp clean?(text), do: String.valid?(text) and not String.contains?(text, <<0>>)

  defp check(true, _message), do: :ok
  defp check(false, message), do: invalid(message)

  defp invalid(message), do: throw({:invalid, message})
end
