defmodule Users.MixProject do
  use Mix.Project

  def project, do: [app: :users, version: "0.1.0", elixir: "~> 1.14", consolidate_protocols: false]
end
