defmodule Pglite.MixProject do
  use Mix.Project

  @version "0.1.0"

  def project do
    [
      app: :pglite,
      version: @version,
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      elixirc_paths: elixirc_paths(Mix.env()),
      # Mix sometimes fails at it in a fresh build ("could not write to file …/consolidated/…"), and tests need it not.
      consolidate_protocols: Mix.env() != :test,
      deps: deps(System.get_env("PGLITE_WITHOUT_HEX")),
      description:
        "PostgreSQL 18 as a child of your application: no server to install, ready in milliseconds",
      package: package(),
      docs: [main: "readme", extras: ["README.md"]]
    ]
  end

  def application do
    [mod: {Pglite.Application, []}, extra_applications: [:logger, :crypto]]
  end

  # Nothing but the client comes from Hex. Where the index is out of reach, everything else builds and is tested without.
  defp deps(nil), do: [{:postgrex, "~> 0.17"}]
  defp deps(_set), do: []

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp package do
    [
      licenses: ["Apache-2.0"],
      files: ["lib", "priv/calf", "mix.exs", "README.md", ".formatter.exs"]
    ]
  end
end
