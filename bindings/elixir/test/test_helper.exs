# The program under test: CALF_PATH, else the build of this repository.
build = Path.expand("../../../build/release/calf", __DIR__)
if System.get_env("CALF_PATH") in [nil, ""] and File.exists?(build), do: System.put_env("CALF_PATH", build)

{:ok, calf} = Pglite.Executable.find()
{:ok, {manager, nil}} = Pglite.start_link(driver: false)
branches? = Pglite.TestDriver.once(manager, "select to_regproc('calf.branch') is not null") == [["t"]]
:ok = Pglite.stop(manager)
{help, 0} = System.cmd(calf, ["--help"], stderr_to_stdout: true)
port? = help =~ ~r/^\s+port\s/m

absent =
  for {tag, present?} <- [branches: branches?, calf_port: port?, p1_pgsql: Code.ensure_loaded?(:pgsql)],
      not present?,
      do: tag

ExUnit.start(exclude: [:slow | absent], capture_log: true)
