defmodule Pglite.InstallTest do
  # Changes the current folder.
  use Pglite.InstanceCase, async: false

  test "mix calf.install copies the program, and only one that runs" do
    {:ok, calf} = Pglite.Executable.find()
    folder = temporary_folder()
    broken = script("exit 7\n")

    File.cd!(folder, fn ->
      ExUnit.CaptureIO.capture_io(fn -> Mix.Tasks.Calf.Install.run([calf]) end)
      assert_raise Mix.Error, ~r/status 7/, fn -> Mix.Tasks.Calf.Install.run([broken]) end
    end)

    installed = Path.join(folder, "priv/calf")
    assert File.stat!(installed).size == File.stat!(calf).size
    assert Pglite.health_check(start(calf_path: installed)) == :ok
  end
end
