defmodule Pglite.InstanceCase do
  @moduledoc false
  # What tests of running instances share.

  use ExUnit.CaseTemplate

  alias Pglite.{OsProcess, TestDriver}

  using do
    quote do
      import Pglite.InstanceCase
      alias Pglite.{Error, OsProcess, TestDriver}
    end
  end

  @doc "An instance that ends with the test."
  def start(options \\ []) do
    start_supervised!({Pglite, Keyword.put_new(options, :driver, false)}, id: make_ref())
  end

  @doc "A new directory that goes with the test."
  def temporary_folder do
    folder = Path.join(System.tmp_dir!(), "pglite_test_#{System.unique_integer([:positive])}_#{System.pid()}")
    File.mkdir_p!(folder)
    on_exit(fn -> File.rm_rf!(folder) end)
    folder
  end

  @doc "An executable shell script."
  def script(text) do
    path = Path.join(temporary_folder(), "program")
    File.write!(path, "#!/bin/sh\n" <> text)
    File.chmod!(path, 0o755)
    path
  end

  @doc "Rows of one statement, in a session of its own."
  defdelegate sql(manager, statement), to: TestDriver, as: :once

  def os_process(manager) do
    {:ok, process} = OsProcess.identify(Pglite.get_socket_info(manager).os_pid)
    process
  end

  @doc "Stops a process where it is (SIGSTOP), with all its threads."
  def freeze({pid, _started}) do
    :os.cmd(~c"kill -s STOP #{pid}")

    true =
      eventually(fn ->
        Enum.all?(Path.wildcard("/proc/#{pid}/task/*/stat"), &(File.read!(&1) =~ ~r/\) [Tt] /))
      end)

    :ok
  end

  def thaw({pid, _started}), do: :os.cmd(~c"kill -s CONT #{pid}")

  @doc "Asks until the answer is true, at most `timeout_ms` long."
  def eventually(question, timeout_ms \\ 10_000) do
    cond do
      question.() ->
        true

      timeout_ms <= 0 ->
        false

      true ->
        Process.sleep(20)
        eventually(question, timeout_ms - 20)
    end
  end
end
