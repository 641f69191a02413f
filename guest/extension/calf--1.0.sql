\echo Use "CREATE EXTENSION calf" to load this file. \quit

-- Made here, so that it belongs to the extension, and pg_dump leaves it out.
CREATE SCHEMA calf;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'calf_branch') THEN
    CREATE ROLE calf_branch NOLOGIN;
  END IF;
END
$$;

CREATE FUNCTION calf.command(verb text, name text, argument text) RETURNS text
  LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'calf_sql_command';

CREATE FUNCTION calf.branch(name text) RETURNS text
  STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  BEGIN ATOMIC
    SELECT calf.command('create', name, current_database());
    SELECT current_database() || '@' || name;
  END;
COMMENT ON FUNCTION calf.branch(text) IS
  'makes a copy-on-write branch of this cluster as it is now; gives the database name to connect to, DATABASE@BRANCH';

CREATE FUNCTION calf.reset_branch(name text) RETURNS void
  STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  BEGIN ATOMIC
    SELECT calf.command('reset', name, '');
    SELECT calf.command('create', name, current_database());
  END;
COMMENT ON FUNCTION calf.reset_branch(text) IS 'ends a branch''s sessions and makes it anew from its parent as that is now';

CREATE FUNCTION calf.drop_branch(name text) RETURNS void
  STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  BEGIN ATOMIC SELECT calf.command('drop', name, ''); END;
COMMENT ON FUNCTION calf.drop_branch(text) IS 'ends a branch''s sessions and deletes it';

CREATE FUNCTION calf.promote_branch(name text, directory text) RETURNS void
  STRICT VOLATILE PARALLEL UNSAFE SECURITY DEFINER
  BEGIN ATOMIC SELECT calf.command('promote', name, directory); END;
COMMENT ON FUNCTION calf.promote_branch(text, text) IS
  'ends a branch''s sessions and turns it into a data directory of the host; it is a branch no more';

CREATE FUNCTION calf.branches(OUT name text, OUT parent text, OUT created_at timestamptz, OUT state text, OUT sessions int)
  RETURNS SETOF record
  VOLATILE PARALLEL UNSAFE SECURITY DEFINER ROWS 20
  BEGIN ATOMIC
    SELECT b.name, b.parent, b.created_at, b.state, b.sessions
    FROM json_to_recordset(calf.command('list', '', '')::json)
      AS b(name text, parent text, created_at timestamptz, state text, sessions int);
  END;
COMMENT ON FUNCTION calf.branches() IS 'the branches of this server; the parent of a branch of the server''s own cluster is null';

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA calf FROM PUBLIC;
GRANT USAGE ON SCHEMA calf TO calf_branch;
-- Not calf.command(), nor what writes to the host's disk.
GRANT EXECUTE ON FUNCTION calf.branch(text), calf.reset_branch(text), calf.drop_branch(text), calf.branches() TO calf_branch;
