# The round trip of SELECT 1 from the BEAM: through a Unix socket (`calf serve`) and through a port (`calf port`).
#
#     mix run bench/round_trip.exs [ROUND_TRIPS]
#
# Both use the same client (Pglite.Wire) in the calling process, in turns, so that what differs is the way there and back.

alias Pglite.{Options, Wire}

defmodule RoundTrip do
  @rounds 5

  def measure(ways, count) do
    for {_name, session} <- ways, do: run(session, div(count, 10))

    for(_ <- 1..@rounds, {name, session} <- ways, do: {name, run(session, div(count, @rounds))})
    |> Enum.group_by(&elem(&1, 0), &elem(&1, 1))
    |> Map.new(fn {name, runs} -> {name, runs |> List.flatten() |> Enum.sort()} end)
  end

  # Each round trip's time in ns.
  defp run(session, count) do
    for _ <- 1..count do
      began = System.monotonic_time(:nanosecond)
      {:ok, [%{rows: [["1"]]}], _} = Wire.query(session, "SELECT 1", 5_000)
      System.monotonic_time(:nanosecond) - began
    end
  end

  def print(name, times) do
    at = fn share -> Float.round(Enum.at(times, trunc((length(times) - 1) * share)) / 1000, 1) end
    mean = Enum.sum(times) / length(times)
    numbers = [at.(0.5), at.(0.99), round(1.0e9 / mean)]
    IO.puts(Enum.join([String.pad_trailing(name, 12) | Enum.map(numbers, &String.pad_leading("#{&1}", 12))]))
  end
end

Logger.configure(level: :warning)
count = System.argv() |> List.first("20000") |> String.to_integer()

{:ok, {manager, nil}} = Pglite.start_link(driver: false)
path = Pglite.get_socket_info(manager).socket_path
{:ok, socket} = Wire.connect(path, username: "postgres", database: "postgres")

{:ok, options} = Options.parse(driver: false)
{:ok, environment} = Pglite.Port.environment(options, 0)

ways =
  case Pglite.Port.open(options, environment) do
    {:ok, port, _process} ->
      [{"Unix socket", socket}, {"port", port}]

    {:error, error} ->
      IO.puts("no port: #{Exception.message(error)}")
      [{"Unix socket", socket}]
  end

times = RoundTrip.measure(ways, count)
IO.puts("SELECT 1       median, µs     p99, µs  per second")
for {name, _} <- ways, do: RoundTrip.print(name, times[name])
