defmodule Mix.Tasks.Calf.Install do
  @shortdoc "Copies the program calf into this package's priv folder"
  @moduledoc """
  Copies the program `calf` to `priv/calf` of the package `pglite`, where `Pglite.Executable` finds it and releases take it along.

      mix calf.install            # the build of the repository that this package lies in, else CALF_PATH, else PATH
      mix calf.install PATH

  The file is replaced as a whole: instances that run keep the one they have.
  """

  use Mix.Task

  @build "../../../build/release/calf"

  @impl true
  def run(arguments) do
    source = source(arguments)
    target = Path.join(priv_folder(), "calf")
    fresh = "#{target}.#{System.pid()}"
    File.mkdir_p!(Path.dirname(target))
    File.cp!(source, fresh)
    File.chmod!(fresh, 0o755)
    version = version(fresh)
    File.rename!(fresh, target)
    Mix.shell().info("#{target}: #{version}, from #{source}")
  end

  defp source([path]), do: Path.expand(path)

  defp source([]) do
    build = Path.expand(@build, priv_folder())

    cond do
      File.regular?(build) -> build
      path = System.get_env("CALF_PATH") -> Path.expand(path)
      path = System.find_executable("calf") -> path
      true -> Mix.raise("no calf in #{build}, CALF_PATH or PATH; give its path: mix calf.install PATH")
    end
  end

  defp source(_more), do: Mix.raise("mix calf.install takes one path, or none")

  # The package's source folder, also when it is a dependency: _build has a link to its priv.
  defp priv_folder do
    case Mix.Project.config()[:app] do
      :pglite -> Path.expand("priv")
      _ -> Path.join(Map.fetch!(Mix.Project.deps_paths(), :pglite), "priv")
    end
  end

  defp version(path) do
    case System.cmd(path, ["--version"], stderr_to_stdout: true) do
      {text, 0} -> String.trim(text)
      {text, status} -> Mix.raise("#{path} --version ended with status #{status}: #{text}")
    end
  end
end
