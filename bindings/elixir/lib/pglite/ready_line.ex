defmodule Pglite.ReadyLine do
  @moduledoc false
  # The one line of JSON that `calf serve --json` prints: ready, or why not. OTP has a JSON decoder only from 27 on; this
  # one knows what such a line has: an object of strings, numbers, truth values and lists of these.

  @doc """
      iex> Pglite.ReadyLine.parse(~S({"id":"ready","success":true,"port":5432,"sockets":["/tmp/a"]}))
      {:ready, %{"id" => "ready", "port" => 5432, "sockets" => ["/tmp/a"], "success" => true}}

      iex> Pglite.ReadyLine.parse(~S({"success":false,"error":"no \\"room\\""}))
      {:failed, ~S(no "room")}

      iex> Pglite.ReadyLine.parse("LOG:  starting")
      :other
  """
  @spec parse(binary) :: {:ready, map} | {:failed, String.t()} | :other
  def parse("{" <> rest) do
    with {:ok, object, ""} <- members(rest, %{}) do
      case object do
        %{"id" => "ready", "success" => true} -> {:ready, object}
        %{"success" => false, "error" => error} when is_binary(error) -> {:failed, error}
        _ -> :other
      end
    else
      _ -> :other
    end
  end

  def parse(_line), do: :other

  defp members(text, object) do
    with {:ok, key, ":" <> rest} when is_binary(key) <- value(text),
         {:ok, value, rest} <- value(rest) do
      case rest do
        "," <> rest -> members(rest, Map.put(object, key, value))
        "}" <> rest -> {:ok, Map.put(object, key, value), rest}
        _ -> :error
      end
    else
      _ -> :error
    end
  end

  defp value("true" <> rest), do: {:ok, true, rest}
  defp value("false" <> rest), do: {:ok, false, rest}
  defp value("null" <> rest), do: {:ok, nil, rest}
  defp value("\"" <> rest), do: string(rest, [])
  defp value("[" <> rest), do: items(rest, [])

  defp value(text) do
    case Integer.parse(text) do
      {number, rest} -> {:ok, number, rest}
      :error -> :error
    end
  end

  defp items(text, items) do
    case value(text) do
      {:ok, value, "," <> rest} -> items(rest, [value | items])
      {:ok, value, "]" <> rest} -> {:ok, Enum.reverse([value | items]), rest}
      _ -> :error
    end
  end

  @escapes %{?" => ?", ?\\ => ?\\, ?/ => ?/, ?b => ?\b, ?f => ?\f, ?n => ?\n, ?r => ?\r, ?t => ?\t}

  defp string("\"" <> rest, parts), do: {:ok, IO.iodata_to_binary(Enum.reverse(parts)), rest}

  # Control characters are what the server writes so; it has no need of surrogates.
  defp string(<<"\\u", digits::binary-size(4), rest::binary>>, parts) do
    case Integer.parse(digits, 16) do
      {code, ""} when code not in 0xD800..0xDFFF -> string(rest, [<<code::utf8>> | parts])
      _ -> :error
    end
  end

  defp string(<<"\\", escape, rest::binary>>, parts) when is_map_key(@escapes, escape) do
    string(rest, [@escapes[escape] | parts])
  end

  defp string(<<byte, rest::binary>>, parts) when byte != ?\\, do: string(rest, [byte | parts])
  defp string(_text, _parts), do: :error
end
