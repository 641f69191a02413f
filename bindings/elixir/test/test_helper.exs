# The program under test: CALF_PATH, else the build of this repository.
build = Path.expand("../../../build/release/calf", __DIR__)
if System.get_env("CALF_PATH") in [nil, ""] and File.exists?(build), do: System.put_env("CALF_PATH", build)

{:ok, calf} = Pglite.Executable.find()
{:ok, {manager, nil}} = Pglite.start_link(driver: false)
branches? = Pglite.TestDriver.once(manager, "select to_regproc('calf.branch') is not null") == [["t"]]
:ok = Pglite.stop(manager)
{_text, status} = System.cmd(calf, ["port", "--help"], stderr_to_stdout: true)

exclude = [:slow] ++ if(branches?, do: [], else: [:branches]) ++ if(status == 0, do: [], else: [:calf_port])
ExUnit.start(exclude: exclude, capture_log: true)
