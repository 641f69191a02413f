defmodule Pglite.SocketFolder do
  @moduledoc false
  # The private folder (mode 0700) of one instance: its socket, and a note about whose it is.
  #
  # A folder's name tells which BEAM made it (pid namespace, pid, start time), so that the next BEAM of the same user can tell a
  # folder that was left behind from one that is in use. The note `owner` has the server's pid and its data directory.

  alias Pglite.OsProcess

  @prefix "pglite"
  @port 5432
  # sockaddr_un has 108 bytes with the final zero.
  @longest_socket_path 107

  @type owner :: %{process: OsProcess.t(), data_dir: String.t() | nil}

  @doc "The port in the socket's name."
  @spec port() :: pos_integer
  def port, do: @port

  @spec socket_path(Path.t()) :: Path.t()
  def socket_path(folder), do: Path.join(folder, ".s.PGSQL.#{@port}")

  @doc """
  Where the folder with this key (12 hexadecimal digits) of this BEAM lies: in the temporary folder, or in /tmp if a socket's path
  would be too long there.
  """
  @spec path(String.t()) :: Path.t()
  def path(key) do
    {pid, started} = OsProcess.this()
    name = Enum.join([@prefix, OsProcess.pid_namespace(), pid, started, key], "-")
    folder = Path.join(temporary_folder(), name)
    if byte_size(socket_path(folder)) <= @longest_socket_path, do: folder, else: Path.join("/tmp", name)
  end

  @doc "A key that belongs to nothing."
  @spec random_key() :: String.t()
  def random_key, do: to_key(:crypto.strong_rand_bytes(6))

  @doc "The key that belongs to a name and a secret."
  @spec key_of(term, binary) :: String.t()
  def key_of(name, secret), do: to_key(:crypto.mac(:hmac, :sha256, secret, :erlang.term_to_binary(name)))

  defp to_key(<<bytes::binary-size(6), _rest::binary>>), do: Base.encode16(bytes, case: :lower)

  @doc "Fails when the path exists, whoever made it."
  @spec create(Path.t()) :: :ok | {:error, File.posix()}
  def create(folder) do
    with :ok <- File.mkdir(folder), do: File.chmod(folder, 0o700)
  end

  @spec remove(Path.t()) :: :ok
  def remove(folder) do
    _ = File.rm_rf(folder)
    :ok
  end

  @spec write_owner(Path.t(), owner) :: :ok | {:error, File.posix()}
  def write_owner(folder, %{process: {pid, started}, data_dir: data_dir}) do
    File.write(Path.join(folder, "owner"), "#{pid} #{started}\n#{data_dir}")
  end

  @spec read_owner(Path.t()) :: owner | nil
  def read_owner(folder) do
    with {:ok, text} <- File.read(Path.join(folder, "owner")),
         [_, pid, started, data_dir] <- Regex.run(~r/^(\d{1,10}) (\d{1,20})\n(.*)$/s, text) do
      %{process: {String.to_integer(pid), started}, data_dir: if(data_dir != "", do: data_dir)}
    else
      _ -> nil
    end
  end

  @doc "The folders that BEAMs of this user have left behind in this pid namespace."
  @spec left_behind() :: [Path.t()]
  def left_behind do
    namespace = OsProcess.pid_namespace()

    for temporary <- Enum.uniq([temporary_folder(), "/tmp"]),
        {:ok, names} <- [File.ls(temporary)],
        name <- names,
        [_, pid, started] <- [
          Regex.run(~r/^#{@prefix}-#{namespace}-(\d{1,10})-(\d{1,20})-[0-9a-f]{12}$/, name)
        ],
        not OsProcess.alive?({String.to_integer(pid), started}),
        folder = Path.join(temporary, name),
        ours?(folder) do
      folder
    end
  end

  defp ours?(folder) do
    with {:ok, %File.Stat{type: :directory, uid: uid}} <- File.lstat(folder),
         {:ok, %File.Stat{uid: ^uid}} <- File.stat("/proc/self") do
      true
    else
      _ -> false
    end
  end

  defp temporary_folder, do: System.tmp_dir() || "/tmp"
end
