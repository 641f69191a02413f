defmodule Pglite.Scram do
  @moduledoc false
  # The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

  @mechanism "SCRAM-SHA-256"
  @channel "n,,"
  # A server that asks for more only wants to keep us busy.
  @most_iterations 1_000_000

  defstruct [:password, :nonce, :client_first, :server_signature]

  @type t :: %__MODULE__{}

  @spec mechanism() :: String.t()
  def mechanism, do: @mechanism

  @doc "The state and the client's first message. PostgreSQL takes the user from the startup packet."
  @spec start(String.t()) :: {t, binary}
  def start(password) do
    nonce = Base.encode64(:crypto.strong_rand_bytes(18))
    first = "n=,r=" <> nonce

    {%__MODULE__{password: :unicode.characters_to_nfkc_binary(password), nonce: nonce, client_first: first},
     @channel <> first}
  end

  @doc "The answer to the server's first message."
  @spec respond(t, binary) :: {:ok, t, binary} | :error
  def respond(%__MODULE__{} = scram, challenge) do
    own = scram.nonce

    with %{"r" => nonce, "s" => salt, "i" => iterations} <- attributes(challenge),
         true <- String.starts_with?(nonce, own) and nonce != own,
         {:ok, salt} <- Base.decode64(salt),
         {iterations, ""} when iterations in 1..@most_iterations <- Integer.parse(iterations) do
      final = "c=" <> Base.encode64(@channel) <> ",r=" <> nonce
      prove(scram, Enum.join([scram.client_first, challenge, final], ","), final, salt, iterations)
    else
      _ -> :error
    end
  end

  defp prove(scram, transcript, final, salt, iterations) do
    salted = :crypto.pbkdf2_hmac(:sha256, scram.password, salt, iterations, 32)
    client_key = hmac(salted, "Client Key")
    signature = hmac(:crypto.hash(:sha256, client_key), transcript)
    proof = Base.encode64(:crypto.exor(client_key, signature))
    server_signature = hmac(hmac(salted, "Server Key"), transcript)
    {:ok, %{scram | server_signature: server_signature}, final <> ",p=" <> proof}
  end

  @doc "Does the server know the password, too?"
  @spec server_proved?(t, binary) :: boolean
  def server_proved?(%__MODULE__{server_signature: nil}, _final), do: false

  def server_proved?(%__MODULE__{server_signature: expected}, final) do
    with %{"v" => signature} <- attributes(final),
         {:ok, signature} <- Base.decode64(signature) do
      signature == expected
    else
      _ -> false
    end
  end

  defp hmac(key, data), do: :crypto.mac(:hmac, :sha256, key, data)

  defp attributes(text) do
    for part <- String.split(text, ","),
        [key, value] <- [String.split(part, "=", parts: 2)],
        into: %{},
        do: {key, value}
  end
end
