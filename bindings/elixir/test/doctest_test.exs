defmodule Pglite.DoctestTest do
  use ExUnit.Case, async: true

  doctest Pglite
  doctest Pglite.LogLine
  doctest Pglite.ReadyLine
  doctest Pglite.Wire
end
